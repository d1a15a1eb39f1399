"""The thread in which JAX computes: the calling one, or another while Python continues."""

from __future__ import annotations

import os

import jax

from softstep.jax_settings.table import OVERLAP


def set_dispatch() -> None:
    """Compute in the calling thread if `worker_env.settings` says so; call this before JAX has computed anything.

    JAX reads no environment variable for this setting. In another thread, a call costs two context switches, and the
    networks may move to another core's cache.
    """
    if os.environ.get(OVERLAP) == "0":
        jax.config.update("jax_cpu_enable_async_dispatch", False)
