"""Serve the explorer: routes, guard, JSON in and out, and the page's own files."""
