"""From the table of curves to the numbers that reports show: bands over steps, and one summary per arm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import polars as pl


MANY_SEEDS = 8
"""Number of seeds from which a band spans their middle half."""


class Band(NamedTuple):
    """An arm's curve over environment steps: the mean over its seeds, and the band around it."""

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int


class ArmSummary(NamedTuple):
    """An arm at the end of its run; arrays (S,) hold one number per seed, NaN if it is missing."""

    arm: str
    learning_rate: float
    tau: float
    period: int
    seeds: tuple[int, ...]
    train_return: np.ndarray
    """Value of the last record."""
    eval_return: np.ndarray
    """Value of the last record; NaN if that has no evaluation."""
    best_eval: np.ndarray
    """Best evaluation of a seed."""
    episodes: np.ndarray
    diverged: np.ndarray
    target_gap: np.ndarray
    """Median over a seed's records."""
    y_drift: np.ndarray
    """Median over a seed's records."""


class Contrast(NamedTuple):
    """One arm compared with another, paired by seed."""

    difference: float
    """Mean of first − second."""
    error: float
    """Standard error of that mean; NaN for fewer than two pairs."""
    higher: int
    """Number of pairs in which the first is higher."""
    pairs: int

    @property
    def clear(self) -> bool:
        """Whether the mean of at least three pairs exceeds two standard errors; this is a reading aid, not a test."""
        return self.pairs >= 3 and abs(self.difference) > 2 * self.error


def band_meaning(seeds: int) -> str:
    """Return the words for what a band over so many seeds spans."""
    return "the middle half" if seeds >= MANY_SEEDS else "worst to best"


def arms_of(curves: pl.DataFrame) -> list[str]:
    """Return the arms in order of appearance."""
    return curves["arm"].unique(maintain_order=True).to_list()


def bands(curves: pl.DataFrame, column: str) -> dict[str, Band]:
    """Return a band for every arm that has a finite value in `column`.

    Each seed's curve is linear between its own records. A band starts where every seed has a value; a seed that
    stopped early keeps its last value. Diverged agents are included. The band reaches from the worst to the best seed,
    or over the middle half of many seeds, because extremes say less the more seeds there are.
    """
    result = {}
    for arm, seeds in finite_curves(curves, column).items():
        grid, values = on_common_grid(seeds)
        low, high = (0.25, 0.75) if len(seeds) >= MANY_SEEDS else (0, 1)
        result[arm] = Band(grid, values.mean(0), np.quantile(values, low, 0), np.quantile(values, high, 0), len(seeds))
    return result


def finite_curves(curves: pl.DataFrame, column: str) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Return every seed's steps and finite values, by arm."""
    result: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    finite = curves.filter(curves[column].cast(float).is_finite()).sort("env_steps", maintain_order=True)
    for arm in arms_of(curves):
        agents = finite.filter(finite["arm"] == arm).partition_by("seed", maintain_order=True)
        if agents:
            result[arm] = [(a["env_steps"].to_numpy().astype(float), a[column].to_numpy()) for a in agents]
    return result


def on_common_grid(seeds: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate every seed's steps and values; return common steps (R,) and values (S, R)."""
    begin = max(steps[0] for steps, _ in seeds)
    union = np.unique(np.concatenate([steps for steps, _ in seeds]))
    grid = union[union >= begin]
    return grid, np.stack([np.interp(grid, steps, values) for steps, values in seeds])


def visible_range(drawn: dict[str, Band]) -> tuple[float, float]:
    """Return the lowest and the highest value to show; a dip deeper than the height of everything else is cut off."""
    lows = np.concatenate([band.low for band in drawn.values()])
    high = float(max(band.high.max() for band in drawn.values()))
    usual = float(np.quantile(lows, 0.05))
    height = high - usual
    lowest = float(lows.min())
    return (usual - 0.25 * height if lowest < usual - height and height > 0 else lowest), high


def summaries(curves: pl.DataFrame) -> list[ArmSummary]:
    """Return one summary per arm, in order of appearance."""
    ordered = curves.sort("env_steps", maintain_order=True)
    return [
        _summary(arm, ordered.filter(ordered["arm"] == arm).partition_by("seed", maintain_order=True))
        for arm in arms_of(curves)
    ]


def _summary(arm: str, agents: list[pl.DataFrame]) -> ArmSummary:
    agents = sorted(agents, key=lambda agent: agent["seed"][0])

    def per_seed(reduce: Callable[[np.ndarray], float], column: str) -> np.ndarray:
        return np.array([reduce(agent[column].cast(float).fill_null(np.nan).to_numpy()) for agent in agents])

    return ArmSummary(
        arm=arm,
        learning_rate=float(agents[0]["learning_rate"][-1]),
        tau=float(agents[0]["tau"][-1]),
        period=int(agents[0]["period"][-1]),
        seeds=tuple(int(agent["seed"][0]) for agent in agents),
        train_return=per_seed(_last, "train_return"),
        eval_return=per_seed(_last, "eval_return"),
        best_eval=per_seed(lambda values: _over_finite(np.max, values), "eval_return"),
        episodes=per_seed(_last, "episodes"),
        diverged=np.array([bool(agent["diverged"].any()) for agent in agents]),
        target_gap=per_seed(lambda values: _over_finite(np.median, values), "target_gap"),
        y_drift=per_seed(lambda values: _over_finite(np.median, values), "y_drift"),
    )


def _last(values: np.ndarray) -> float:
    return float(values[-1])


def _over_finite(reduce: Callable[[np.ndarray], float], values: np.ndarray) -> float:
    """Reduce the finite values to one; NaN if there are none."""
    finite = values[np.isfinite(values)]
    return float(reduce(finite)) if finite.size else math.nan


def find_arm(arms: Sequence[ArmSummary], name: str) -> ArmSummary | None:
    """Return the summary of the arm called `name`, or None if it is not among `arms`."""
    return next((arm for arm in arms if arm.arm == name), None)


def mean_sd(values: np.ndarray) -> tuple[float, float]:
    """Return mean and sample standard deviation of the finite values; NaN if there are too few."""
    finite = values[np.isfinite(values)]
    mean = float(finite.mean()) if finite.size else math.nan
    return mean, float(finite.std(ddof=1)) if finite.size > 1 else math.nan


def contrast(first: ArmSummary, second: ArmSummary, measure: str) -> Contrast:
    """Compare `first` − `second` in the field `measure`, over the seeds for which both have a finite value."""
    a = dict(zip(first.seeds, getattr(first, measure), strict=True))
    b = dict(zip(second.seeds, getattr(second, measure), strict=True))
    differences = np.array([a[seed] - b[seed] for seed in a if seed in b], float)
    differences = differences[np.isfinite(differences)]
    mean, sd = mean_sd(differences)
    count = len(differences)
    return Contrast(mean, sd / math.sqrt(count) if count > 1 else math.nan, int((differences > 0).sum()), count)
