"""The explorer without a server: rooms as static pages over answers computed beforehand."""
