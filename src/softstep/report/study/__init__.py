"""The report of a study: answer, figures and page."""
