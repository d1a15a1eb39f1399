"""The explorer without a server: static pages that read answers computed in advance."""
