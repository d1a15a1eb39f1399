"""From the table of curves to the numbers the faces show: bands over steps, and one summary per arm."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import polars as pl


MANY_SEEDS = 8
"""From here on a band spans the middle half of the seeds."""


class Band(NamedTuple):
    """An arm's curve over environment steps: the mean over its seeds, and what the band around it reaches."""

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int


class ArmSummary(NamedTuple):
    """An arm at the end of its run; arrays (S,) hold one number per seed, NaN where there is none."""

    arm: str
    learning_rate: float
    tau: float
    period: int
    seeds: tuple[int, ...]
    train_return: np.ndarray
    """Last record."""
    eval_return: np.ndarray
    """Last record; NaN where it had no evaluation."""
    best_eval: np.ndarray
    """Best of a seed's evaluations."""
    episodes: np.ndarray
    diverged: np.ndarray
    target_gap: np.ndarray
    """Median over a seed's records."""
    y_drift: np.ndarray
    """Median over a seed's records."""


class Contrast(NamedTuple):
    """One arm against another, paired by seed."""

    difference: float
    """Mean of first − second."""
    error: float
    """Standard error of that mean; NaN for fewer than two pairs."""
    higher: int
    """Pairs in which the first is higher."""
    pairs: int

    @property
    def clear(self) -> bool:
        """Whether the difference exceeds two standard errors, of at least three pairs: a reading aid, not a test."""
        return self.pairs >= 3 and abs(self.difference) > 2 * self.error


def reach(seeds: int) -> str:
    """What a band of so many seeds spans, in words."""
    return "the middle half" if seeds >= MANY_SEEDS else "worst to best"


def arms_of(curves: pl.DataFrame) -> list[str]:
    """Arms in order of appearance."""
    return curves["arm"].unique(maintain_order=True).to_list()


def bands(curves: pl.DataFrame, column: str) -> dict[str, Band]:
    """A band for every arm that has a finite value in `column`.

    Each seed's curve is linear between its own records. A band begins where every seed has a value; a seed that
    stopped early keeps its last one. Diverged agents are part of it. It reaches from the worst to the best seed, and
    over the middle half of many: extremes say less the more seeds there are.
    """
    found = {}
    for arm, seeds in finite_curves(curves, column).items():
        grid, values = on_one_grid(seeds)
        low, high = (0.25, 0.75) if len(seeds) >= MANY_SEEDS else (0, 1)
        found[arm] = Band(grid, values.mean(0), np.quantile(values, low, 0), np.quantile(values, high, 0), len(seeds))
    return found


def finite_curves(curves: pl.DataFrame, column: str) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Every seed's steps and finite values, by arm."""
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    finite = curves.filter(curves[column].cast(float).is_finite()).sort("env_steps", maintain_order=True)
    for arm in arms_of(curves):
        agents = finite.filter(finite["arm"] == arm).partition_by("seed", maintain_order=True)
        if agents:
            found[arm] = [(a["env_steps"].to_numpy().astype(float), a[column].to_numpy()) for a in agents]
    return found


def on_one_grid(seeds: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Steps (R,) and every seed's values there (S, R)."""
    begin = max(steps[0] for steps, _ in seeds)
    union = np.unique(np.concatenate([steps for steps, _ in seeds]))
    grid = union[union >= begin]
    return grid, np.stack([np.interp(grid, steps, values) for steps, values in seeds])


def show_range(found: dict[str, Band]) -> tuple[float, float]:
    """Lowest and highest value to show; a dip deeper than the height of all the rest is cut off."""
    lows = np.concatenate([band.low for band in found.values()])
    high = float(max(band.high.max() for band in found.values()))
    usual = float(np.quantile(lows, 0.05))
    height = high - usual
    lowest = float(lows.min())
    return (usual - 0.25 * height if lowest < usual - height and height > 0 else lowest), high


def summaries(curves: pl.DataFrame) -> list[ArmSummary]:
    """One summary per arm, in order of appearance."""
    ordered = curves.sort("env_steps", maintain_order=True)
    return [
        _summary(arm, ordered.filter(ordered["arm"] == arm).partition_by("seed", maintain_order=True))
        for arm in arms_of(curves)
    ]


def _summary(arm: str, agents: list[pl.DataFrame]) -> ArmSummary:
    agents = sorted(agents, key=lambda agent: agent["seed"][0])

    def each(of: Callable[[np.ndarray], float], column: str) -> np.ndarray:
        return np.array([of(agent[column].cast(float).fill_null(np.nan).to_numpy()) for agent in agents])

    return ArmSummary(
        arm=arm,
        learning_rate=float(agents[0]["learning_rate"][-1]),
        tau=float(agents[0]["tau"][-1]),
        period=int(agents[0]["period"][-1]),
        seeds=tuple(int(agent["seed"][0]) for agent in agents),
        train_return=each(_last, "train_return"),
        eval_return=each(_last, "eval_return"),
        best_eval=each(lambda values: _finite(np.max, values), "eval_return"),
        episodes=each(_last, "episodes"),
        diverged=np.array([bool(agent["diverged"].any()) for agent in agents]),
        target_gap=each(lambda values: _finite(np.median, values), "target_gap"),
        y_drift=each(lambda values: _finite(np.median, values), "y_drift"),
    )


def _last(values: np.ndarray) -> float:
    return float(values[-1])


def _finite(of: Callable[[np.ndarray], float], values: np.ndarray) -> float:
    kept = values[np.isfinite(values)]
    return float(of(kept)) if kept.size else float("nan")


def mean_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (of a sample) over the finite values; NaN where there are too few."""
    kept = values[np.isfinite(values)]
    return (
        float(kept.mean()) if kept.size else float("nan"),
        float(kept.std(ddof=1)) if kept.size > 1 else float("nan"),
    )


def contrast(first: ArmSummary, second: ArmSummary, measure: str) -> Contrast:
    """`first` − `second` in the field `measure`, over the seeds both have a finite value for."""
    a = dict(zip(first.seeds, getattr(first, measure), strict=True))
    b = dict(zip(second.seeds, getattr(second, measure), strict=True))
    differences = np.array([a[seed] - b[seed] for seed in a if seed in b], float)
    differences = differences[np.isfinite(differences)]
    mean, sd = mean_sd(differences)
    count = len(differences)
    return Contrast(mean, sd / math.sqrt(count) if count > 1 else float("nan"), int((differences > 0).sum()), count)
