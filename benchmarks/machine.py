"""The machine of a benchmark: its description, the load from other processes, and the cores available."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

OURS = ("softstep", "jax", "jaxlib", "numpy", "optax", "equinox", "gymnax", "gymnasium", "Box2D")
"""Distributions whose versions every result records."""

BUSY = 0.1
"""Share of processor time in use by other processes above which timings come with a warning."""

_THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_OTHERS = ("XLA_FLAGS", "JAX_PLATFORMS", "OPENBLAS_CORETYPE")
"""Variables besides numbers of threads that change how fast a library computes."""


def cores() -> list[int]:
    """Return the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def can_pin() -> bool:
    """Return whether the system can pin a process to a core."""
    return hasattr(os, "sched_setaffinity")


def environment(*, one_thread: bool) -> dict[str, str]:
    """Return the environment variables without those that set speeds, or with thread counts set to one."""
    kept = {name: value for name, value in os.environ.items() if name not in (*_THREADS, *_OTHERS)}
    return kept | (dict.fromkeys(_THREADS, "1") if one_thread else {})


def pin_to(core: int) -> None:
    """Pin this process and its children to one core, if the system can."""
    if can_pin():
        os.sched_setaffinity(0, {core})


def cpu_model() -> str:
    """Return the processor's model name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        name = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
        return name.stdout.strip() or platform.processor()
    return platform.processor() or platform.machine()


def gpu_model() -> str | None:
    """Return the name of the first GPU that NVIDIA's driver knows, or None."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return listed.stdout.strip().partition("\n")[0] or None


def describe() -> dict[str, Any]:
    """Return the description of the machine that every result records."""
    return {
        "gpu": gpu_model(),
        "cpu": cpu_model(),
        "cores": len(cores()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "pinned_core_for_core": can_pin(),
    }


def versions() -> dict[str, str]:
    """Return the versions of softstep and its dependencies."""
    installed = {}
    for name in OURS:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed[name] = "not installed"
    return installed


def commit(root: Path) -> str:
    """Return the commit of the repository at `root`, with a + if files differ from it, or unknown."""
    git = ["git", "-C", str(root)]
    try:
        head, changes = (
            subprocess.run([*git, *arguments], capture_output=True, text=True, check=True).stdout.strip()
            for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "--", ":!benchmarks/results"))
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changes else "")


def busy_share(seconds: float = 1.0) -> float:
    """Return the share of processor time in use over `seconds` (0 to 1); without /proc/stat, use the load."""
    before = _cpu_times()
    if before is None:
        return min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    time.sleep(seconds)
    after = _cpu_times()
    assert after is not None
    total = after[1] - before[1]
    return (after[0] - before[0]) / total if total else 0.0


def _cpu_times() -> tuple[int, int] | None:
    """Return the machine's (busy, total) processor ticks since boot, or None without /proc/stat."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def warning(busy: float, load: float) -> str | None:
    """Return a warning if other processes are using the machine, else None."""
    if busy < BUSY:
        return None
    return (
        f"WARNING: other processes use {busy:.0%} of this machine (load average {load:.1f} on {os.cpu_count()} cores):"
        " these timings are unreliable; run again when the machine is idle"
    )
