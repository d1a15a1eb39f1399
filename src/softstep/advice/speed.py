"""How fast y moves: a law with one exact factor and two measured constants.

    standard deviations of y per gradient step = k · α^p · √(τ/(2−τ))

The root is exact for a target whose online network moves by white noise: the steps of T are then those of Q, filtered,
with the share τ/(2−τ) of their variance (`TargetUpdate.noise_gain`). k and p are fitted to the atlas.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from softstep.advice import atlas
from softstep.advice.atlas import Table
from softstep.target import TargetUpdate


class SpeedLaw(NamedTuple):
    """The fitted law."""

    factor: float
    """k, in standard deviations of y per gradient step at α = 1 without a target network."""
    exponent: float
    """p."""
    scatter: float
    """Factor by which a cell typically differs from the law: 10 to the power of the residuals' standard deviation."""
    cells: int
    """Cells that it was fitted to."""
    environments: int
    """Environments that they come from."""
    slowest: float
    """Smallest α of these cells."""
    fastest: float
    """Largest α of these cells."""

    def speed(self, learning_rate: float, tau: float) -> float:
        """Return k·α^p·√(τ/(2−τ)), in standard deviations of y per gradient step."""
        return self.factor * learning_rate**self.exponent * math.sqrt(TargetUpdate(tau).noise_gain)

    def tau_at(self, speed: float, learning_rate: float) -> float:
        """Return the τ at which y moves at `speed`: 2q/(1+q) with q = (speed/(k·α^p))²; 1 if it never does."""
        q = (speed / (self.factor * learning_rate**self.exponent)) ** 2
        return min(1.0, 2 * q / (1 + q))


def fit(tables: Sequence[Table]) -> SpeedLaw:
    """Fit k and p to the logarithms of the measured speeds by least squares.

    Cells without a target network (τ = 1) are left out, because many of them have blown up, and so are targets too slow
    for the run (τ·(1−γ)·G < 1), in which y moves by following and not by noise.
    """
    columns = [
        (table.environment, cell.learning_rate, cell.y_speed / math.sqrt(TargetUpdate(cell.tau).noise_gain))
        for table in tables
        for cell in table.cells
        if cell.tau < 1 and cell.tau * table.horizons >= 1 and cell.y_speed > 0
    ]
    environments, alphas, speeds = zip(*columns, strict=True)
    x, y = np.log10(alphas), np.log10(speeds)
    design = np.stack([np.ones_like(x), x], axis=1)
    constant, exponent = np.linalg.lstsq(design, y, rcond=None)[0]
    residuals = y - design @ [constant, exponent]
    return SpeedLaw(
        float(10**constant), float(exponent), float(10 ** residuals.std()), len(x), len(set(environments)),
        min(alphas), max(alphas),
    )  # fmt: skip


@functools.cache
def shipped_law() -> SpeedLaw:
    """Return the law fitted to the shipped maps."""
    return fit([*atlas.maps(atlas.load()).values()])
