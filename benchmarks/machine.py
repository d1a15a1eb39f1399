"""The machine a benchmark runs on: what it is, how busy others keep it, and which cores a process may use."""

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
"""Distributions whose versions go into every result."""

BUSY = 0.1
"""Share of the machine's time that others may take before timings are called into question."""

_THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS", "JAX_PLATFORMS")


def cores() -> list[int]:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def can_pin() -> bool:
    """Whether processes can be kept on one core here."""
    return hasattr(os, "sched_setaffinity")


def environment(*, one_thread: bool) -> dict[str, str]:
    """Our environment variables without any that set a number of threads; or with all of them at one."""
    kept = {name: value for name, value in os.environ.items() if name not in _THREADS}
    return kept | (dict.fromkeys(_THREADS[:4], "1") if one_thread else {})


def pin_to(core: int) -> None:
    """Keep this process and its children on one core, where the system can."""
    if can_pin():
        os.sched_setaffinity(0, {core})


def cpu_model() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        name = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
        return name.stdout.strip() or platform.processor()
    return platform.processor() or platform.machine()


def describe() -> dict[str, Any]:
    """What every result says of the machine."""
    return {
        "cpu": cpu_model(),
        "cores": len(cores()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "pinned_core_for_core": can_pin(),
    }


def versions() -> dict[str, str]:
    """Versions of softstep and of what it stands on."""
    found = {}
    for name in OURS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def busy_share(seconds: float = 1.0) -> float:
    """The share of the machine's time that is in use while we wait, 0 to 1; from the load where that cannot be told."""
    before = _cpu_times()
    if before is None:
        return min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    time.sleep(seconds)
    after = _cpu_times()
    assert after is not None
    total = after[1] - before[1]
    return (after[0] - before[0]) / total if total else 0.0


def _cpu_times() -> tuple[int, int] | None:
    """Ticks (in use, in all) of the whole machine since its start."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def warning(busy: float, load: float) -> str | None:
    """What to say when others are using the machine."""
    if busy < BUSY:
        return None
    return (
        f"WARNING: others use {busy:.0%} of this machine (load average {load:.1f} on {os.cpu_count()} cores):"
        " these timings say little; run again when it is quiet"
    )
