"""The thread in which JAX computes: the calling one, or another while Python continues."""

from __future__ import annotations

import jax


def set_dispatch(*, overlap: bool) -> None:
    """Choose the thread; call this before JAX has computed anything.

    JAX reads no environment variable for this setting. In another thread, a call costs two context switches, and the
    networks may move to another core's cache.

    Args:
        overlap: compute in another thread, while Python continues.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", overlap)
