"""The report of a comparison: its verdicts, answer and page."""
