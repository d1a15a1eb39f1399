"""Curves with values known by construction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import polars as pl
import pytest

from softstep.config import Config
from softstep.settings import Arm
from softstep.target import TargetUpdate

SETTINGS = {
    "soft": (1e-3, 0.005, 1),
    "smaller-alpha": (5e-6, 1.0, 1),
    "same-alpha": (1e-3, 1.0, 1),
    "hard": (1e-3, 1.0, 399),
}
STEPS = range(10_000, 100_001, 10_000)

Curve = Callable[[int, int], float]
"""A function of seed and environment step that returns a training return."""


def _make_curves(arms: Mapping[str, Curve], seeds: int = 3, **columns: object) -> pl.DataFrame:
    rows = []
    for arm, curve in arms.items():
        learning_rate, tau, period = SETTINGS.get(arm, (1e-3, 0.005, 1))
        for step in STEPS:
            for seed in range(seeds):
                row = {
                    "arm": arm, "seed": seed, "learning_rate": learning_rate, "tau": tau, "period": period,
                    "env_steps": step, "gradient_steps": step // 4, "episodes": step // 200,
                    "train_return": float(curve(seed, step)), "eval_return": math.nan, "loss": 1.0, "q_mean": 5.0,
                    "y_drift": 0.01 if tau < 1 else 0.2, "target_gap": 0.3 if tau < 1 else 0.0, "diverged": False,
                }  # fmt: skip
                rows.append(row | columns)
    return pl.DataFrame(rows)


@pytest.fixture
def make_curves() -> Callable[..., pl.DataFrame]:
    """Return a function of arms (curves by name), seeds and columns to overwrite that makes a table of curves."""
    return _make_curves


@pytest.fixture
def demo() -> Config:
    """A configuration with three arms of three seeds."""
    none = TargetUpdate.none()
    arms = (Arm("soft", 1e-3, TargetUpdate(0.005)), Arm("smaller-alpha", 5e-6, none), Arm("same-alpha", 1e-3, none))
    return Config(seeds=3, arms=arms)
