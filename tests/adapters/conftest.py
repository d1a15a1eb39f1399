"""Keras chooses its backend at import, so the backend is set here."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
