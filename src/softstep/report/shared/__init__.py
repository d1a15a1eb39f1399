"""Shared parts of the reports: curves as bands, colours, axes, number formats, HTML, output files."""
