"""The thread in which JAX and our kernels compute: the calling one, or another while Python continues."""

from __future__ import annotations

import jax

_SETTING = "jax_cpu_enable_async_dispatch"


def set_dispatch(*, overlap: bool) -> None:
    """Choose the thread; call this before JAX has computed anything.

    JAX reads no environment variable for this setting. In another thread, a call of XLA's costs two context switches,
    and the networks may move to another core's cache.

    Args:
        overlap: compute in another thread, while Python continues.
    """
    jax.config.update(_SETTING, overlap)


def overlaps() -> bool:
    """Return whether another thread computes; so it is by JAX's default."""
    return bool(jax.config.read(_SETTING))
