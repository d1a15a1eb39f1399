"""The report of a study: its figures and page."""
