"""The report of a comparison: answer, verdicts, figures and page."""
