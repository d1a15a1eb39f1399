"""The founding question on one environment: named arms, the same seeds, one population."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from softstep import runs
from softstep.config import Config, ConfigError
from softstep.presets import comparison_arms


def arms_for(config: Config) -> Config:
    """`config` with the arms `soft`, `smaller-alpha` and `same-alpha`; ConfigError where its target is not soft."""
    if config.target.kind != "soft":
        raise ConfigError(
            f"target.tau = {config.target.tau:g} is no soft update, so there is nothing to compare a smaller step"
            " with: choose tau below 1"
        )
    return dataclasses.replace(config, arms=comparison_arms(config))


def compare(config: Config, out: Path | str | None = None, **options: Any) -> runs.Run:
    """Train the three arms on `config`'s environment and seeds, from the same initial parameters per seed.

    `options` are those of `softstep.train`. The run's curves tell the arms apart by their column `arm`.
    """
    compared = arms_for(config)
    return runs.train(compared, out if out is not None else runs.default_out(config, "compare"), **options)
