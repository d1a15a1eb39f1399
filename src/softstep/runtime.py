"""How worker processes start JAX: on one thread, with compiled programs cached on disk.

XLA's thread pool slows programs of this size down (55 µs per agent-step against 40 with one thread); processes side
by side, each with one thread, use a machine's cores better.
"""

from __future__ import annotations

import os
from pathlib import Path

ONE_THREAD = {"NPROC": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
"""Environment variables of a process that computes on one thread; XLA's CPU client sizes its pool by NPROC."""


def cache_dir() -> Path:
    """Where compiled programs are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "softstep" / "xla"


def settings(*, overlap: bool) -> dict[str, str]:
    """Environment variables for JAX in a process of ours; `overlap` lets an update run while Python steps on."""
    return ONE_THREAD | {
        "JAX_COMPILATION_CACHE_DIR": str(cache_dir()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_CPU_ENABLE_ASYNC_DISPATCH": "true" if overlap else "false",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
