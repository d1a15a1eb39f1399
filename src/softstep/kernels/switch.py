"""The environment variable that turns the kernels off.

This module imports neither JAX nor LLVM, so that `runs` can record the setting.
"""

from __future__ import annotations

import os

from softstep.errors import ConfigError

VARIABLE = "SOFTSTEP_KERNELS"


def switched_on() -> bool:
    """Return whether `SOFTSTEP_KERNELS` leaves the kernels on.

    They are on when it is unset, empty or 1. At 0, XLA and NumPy compute the same formulas. Programs that are
    compiled already keep the setting they were compiled under.

    Raises:
        ConfigError: any other value.
    """
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "0", "1"):
        raise ConfigError(f"{VARIABLE} = {value!r} must be 0 (turn the kernels off) or 1 (use them, the default)")
    return value != "0"


def state() -> str:
    """Return what `versions.json` records: `on`, or `off` with the cause."""
    return "on" if switched_on() else f"off ({VARIABLE}=0)"


def environment() -> dict[str, str]:
    """Return the variable for a child process, which may not inherit this process's environment."""
    return {VARIABLE: "1" if switched_on() else "0"}
