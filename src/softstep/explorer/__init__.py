"""The explorer: a page where α and c are under one's fingers, and the pure functions that answer it."""
