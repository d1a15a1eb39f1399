"""HTML pages in the output of a notebook's cell."""
