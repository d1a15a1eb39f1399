"""Whether JAX computes in the thread that calls it, or in another one while Python goes on."""

from __future__ import annotations

import os

import jax

from softstep.jax_settings.table import OVERLAP


def set_dispatch() -> None:
    """Compute in the calling thread where `worker_env.settings` says so; to be called before JAX has computed anything.

    JAX reads no environment variable for this setting. In another thread, a call costs two changes of threads, and the
    networks move to another core's cache and back.
    """
    if os.environ.get(OVERLAP) == "0":
        jax.config.update("jax_cpu_enable_async_dispatch", False)
