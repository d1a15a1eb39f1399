"""The explorer's HTTP server: routes, access control, JSON, and the page's static files."""
