"""Where the blocks of a run are computed: on the CPU's cores, or one after the other on a GPU."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from softstep.errors import ConfigError

if TYPE_CHECKING:
    from softstep.config import Config

Device = Literal["cpu", "gpu"]

PLATFORMS: dict[Device, str] = {"cpu": "cpu", "gpu": "cuda"}
"""JAX's names of the devices."""

WIDEST_BLOCK = 4_096
"""Most agents in a block on a GPU whose run does not say how many."""


def check(config: Config, device: str, workers: int | None) -> None:
    """Raise ConfigError if a run cannot be computed on the device."""
    if device not in PLATFORMS:
        raise ConfigError(f"device = {device!r} must be cpu or gpu")
    if device == "cpu":
        return
    if not config.env.startswith("gymnax:"):
        raise ConfigError(
            f"device = 'gpu': {config.env} is stepped by the CPU, one step after the other, and a GPU would wait for"
            " it: choose an environment gymnax:ID, or leave device at cpu"
        )
    if workers is not None:
        raise ConfigError(f"workers = {workers}: on a GPU the blocks run one after the other: leave workers out")


def with_wide_blocks(config: Config, device: Device) -> Config:
    """Return the configuration for a device: on a GPU all agents form one block, or several of `WIDEST_BLOCK`."""
    if device == "cpu" or config.block_width is not None:
        return config
    return dataclasses.replace(config, block_width=min(config.num_agents, WIDEST_BLOCK))
