"""The explorer's page in a notebook's cell, with the kernel as its server."""
