"""What the bits of a run depend on besides its configuration: package versions and the processor."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from softstep.config import SCHEMA, Config
from softstep.kernels import switch

ARITHMETIC = ("jax", "jaxlib", "llvmlite", "numpy")
"""Packages that decide the bits of a run."""


def versions(config: Config) -> dict[str, Any]:
    """Return what `versions.json` stores: the packages, Python, processor and block width of a run."""
    libraries = ("optax", "equinox", "gymnasium", "gymnax", "box2d", "envpool")
    packages = {}
    for name in ("softstep", *ARITHMETIC, *libraries):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            packages[name] = importlib.metadata.version(name)
    return {
        "schema": SCHEMA,
        "packages": packages,
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "kernels": switch.state(),
        "block_width": config.width,
        "env": config.env if ":" in config.env else f"gymnasium:{config.env}",
    }


def cpu_model() -> str:
    """Return the processor's name as the system reports it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def version_changes(folder: Path, config: Config) -> list[str]:
    """List what has changed since the run started, among what its bits depend on."""
    try:
        then = json.loads((folder / "versions.json").read_text())
    except (OSError, json.JSONDecodeError):
        return ["versions.json cannot be read"]
    now = versions(config)
    pairs = [("CPU", then.get("cpu"), now["cpu"])]
    pairs += [("use of kernels", then.get("kernels", "on"), now["kernels"])]  # older runs have no such entry
    pairs += [(name, then.get("packages", {}).get(name), now["packages"].get(name)) for name in ARITHMETIC]
    return [f"{name} was {old}, is {new}" for name, old, new in pairs if old != new]
