"""What several reports use: curves as bands, colours, axes, HTML, files."""
