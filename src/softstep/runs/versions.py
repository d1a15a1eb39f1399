"""Versions that the bits of a run depend on."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from softstep.config import SCHEMA, Config

ARITHMETIC = ("jax", "jaxlib", "llvmlite", "numpy")
"""Packages on which the bits of a run depend."""


def versions(config: Config) -> dict[str, Any]:
    """What a result depends on besides its configuration."""
    libraries = ("optax", "equinox", "gymnasium", "gymnax", "box2d", "envpool")
    found = {}
    for name in ("softstep", *ARITHMETIC, *libraries):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return {
        "schema": SCHEMA,
        "packages": found,
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "block_width": config.width,
        "env": config.env if ":" in config.env else f"gymnasium:{config.env}",
    }


def cpu_model() -> str:
    """The processor's name, as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def version_changes(folder: Path, config: Config) -> list[str]:
    """What differs now from when the run began, of what its bits depend on."""
    try:
        then = json.loads((folder / "versions.json").read_text())
    except (OSError, json.JSONDecodeError):
        return ["versions.json cannot be read"]
    now = versions(config)
    pairs = [("CPU", then.get("cpu"), now["cpu"])]
    pairs += [(name, then.get("packages", {}).get(name), now["packages"].get(name)) for name in ARITHMETIC]
    return [f"{name} was {old}, is {new}" for name, old, new in pairs if old != new]
