"""Text for the terminal: progress, tables, curves."""
