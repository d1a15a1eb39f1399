"""The explorer: a web page for moving α and c by hand, and the pure functions that compute its numbers."""
