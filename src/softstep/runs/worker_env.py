"""How processes of ours start Python and JAX: on one thread, with compiled programs cached on disk.

XLA's thread pool slows programs of this size down (55 µs per agent-step against 40 with one thread); processes side
by side, each with one thread, use a machine's cores better.
"""

from __future__ import annotations

import gc
import os
import runpy
import sys
from pathlib import Path

from softstep.kernels import switch

ONE_THREAD = {"NPROC": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
"""Environment variables of a process that computes on one thread; XLA's CPU client sizes its pool by NPROC."""


def cache_dir() -> Path:
    """Where compiled programs are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "softstep" / "xla"


def settings(*, overlap: bool) -> dict[str, str]:
    """Environment variables for JAX in a process of ours; `overlap` lets an update run while Python steps on."""
    return ONE_THREAD | switch.environment() | {
        "JAX_COMPILATION_CACHE_DIR": str(cache_dir()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_CPU_ENABLE_ASYNC_DISPATCH": "true" if overlap else "false",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def command(module: str) -> list[str]:
    """The command line of a process that runs `module` of the package, and looks for garbage seldom.

    Importing JAX and tracing programs make many objects and hardly any garbage: looking through them again and again
    took .4 s of the 2.6 s until the first gradient step, and two percent of a lander's time later on.
    """
    return [sys.executable, "-P", "-m", "softstep.runs.worker_env", module]


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    gc.set_threshold(20_000, 50, 50)
    runpy.run_module(sys.argv[1], run_name="__main__")
