"""The command line and environment variables of worker processes.

They compute in one thread (in two where `may_overlap`), find the user's modules where their parent does, and cache
compiled programs on disk.

XLA's thread pool slows programs of this size down (55 µs per agent-step against 40 with one thread); several
one-thread processes use a machine's cores better.
"""

from __future__ import annotations

import contextlib
import gc
import os
import runpy
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from softstep import search_path
from softstep.files import cache_folder
from softstep.jax_settings import table
from softstep.kernels import switch
from softstep.runs.device import PLATFORMS, Device
from softstep.runs.signals import STOP_SIGNALS

ONE_THREAD = {"NPROC": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment variables of a one-thread process; XLA's CPU client sizes its thread pool by NPROC."""


def cache_dir() -> Path:
    """Return the folder in which compiled programs are kept between runs."""
    return cache_folder() / "xla"


def settings(device: Device = "cpu") -> dict[str, str]:
    """Return a worker's own environment variables.

    Args:
        device: where the worker computes. The kernels are code for a CPU, so that they are off on a GPU, whose only
            worker has all threads of the CPU to compile with.
    """
    on_device = {} if device == "cpu" else {"JAX_PLATFORMS": PLATFORMS[device], switch.VARIABLE: "0"}
    return (
        (ONE_THREAD if device == "cpu" else {})
        | table.environment()
        | search_path.worker_environment()
        | switch.environment()
        | {
            "JAX_COMPILATION_CACHE_DIR": str(cache_dir()),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        | on_device
    )


def command(module: str) -> list[str]:
    """Return the command line of a process that runs `module` with a high threshold for garbage collection.

    Importing JAX and tracing programs create many objects and hardly any garbage: with Python's default thresholds,
    collections took .4 s of the 2.6 s until the first gradient step, and 2 % of a lander's time later on.
    """
    return [sys.executable, "-P", "-m", "softstep.runs.worker_env", module]


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Start a worker in the block of `with`: signals wait until it has decided what to do with them.

    Those that this process gets meanwhile wait as well.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def may_overlap(workers: int) -> bool:
    """Return whether each of so many workers may compute in a second thread: whether every thread has a core."""
    return 2 * workers <= cores()


if __name__ == "__main__":
    gc.set_threshold(20_000, 50, 50)
    runpy.run_module(sys.argv[1], run_name="__main__")
