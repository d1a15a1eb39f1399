"""The global random streams of Python and NumPy, which belong to the user."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def random_streams_restored() -> Iterator[None]:
    """Restore both streams after the block of `with`, whatever it has drawn."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 (this stream is meant)
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
