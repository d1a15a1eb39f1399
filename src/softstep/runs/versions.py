"""What the bits of a run depend on besides its configuration: package versions and the processor."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softstep.config import SCHEMA, Config
from softstep.errors import ConfigError
from softstep.jax_settings import table
from softstep.kernels import switch
from softstep.runs.device import PLATFORMS, Device

ARITHMETIC = ("jax", "jaxlib", "llvmlite", "numpy")
"""Packages that decide the bits of a run."""


def versions(config: Config, device: Device = "cpu") -> dict[str, Any]:
    """Return what `versions.json` stores: the packages, Python, device, processor and block width of a run."""
    libraries = ("optax", "equinox", "gymnasium", "gymnax", "box2d", "envpool")
    packages = {}
    for name in ("softstep", *ARITHMETIC, *libraries):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            packages[name] = importlib.metadata.version(name)
    return {
        "schema": SCHEMA,
        "packages": packages,
        "python": platform.python_version(),
        "device": device,
        "cpu": cpu_model(),
        "kernels": switch.state() if device == "cpu" else "off (GPU)",
        **table.recorded(device),
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


def read_versions(folder: Path) -> dict[str, Any] | None:
    """Return the content of a run folder's `versions.json`; None if it cannot be read."""
    try:
        return dict(json.loads((folder / "versions.json").read_text()))
    except (OSError, json.JSONDecodeError):
        return None


def recorded_device(folder: Path) -> Device:
    """Return the device on which the run in a folder was begun; runs of older versions know the CPU only."""
    device: Device = (read_versions(folder) or {}).get("device", "cpu")
    return device if device in PLATFORMS else "cpu"


def version_changes(folder: Path, config: Config) -> list[str]:
    """List what has changed since the run started, among what its bits depend on.

    Raises:
        ConfigError: the run was computed under other settings of JAX, so that it would be two runs in one.
    """
    then = read_versions(folder)
    if then is None:
        return ["versions.json cannot be read"]
    now = versions(config, recorded_device(folder))
    pairs = [("CPU", then.get("cpu"), now["cpu"])]
    pairs += [("use of kernels", then.get("kernels", "on"), now["kernels"])]  # older runs have no such entry
    pairs += [("XLA_FLAGS", then.get("xla_flags", "") or "unset", now["xla_flags"] or "unset")]
    _check_jax_settings(folder, then.get("jax_settings", {}), now["jax_settings"])
    pairs += [(name, then.get("packages", {}).get(name), now["packages"].get(name)) for name in ARITHMETIC]
    return [f"{name} was {old}, is {new}" for name, old, new in pairs if old != new]


def _check_jax_settings(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ConfigError if a setting of JAX has another value now; runs of older versions have recorded none."""
    for name in then.keys() & now.keys():
        if then[name] != now[name]:
            raise ConfigError(
                f"{folder} was computed under {name} = {then[name]!r}, and this softstep computes under {now[name]!r}:"
                " resume it with the version that started it"
            )
