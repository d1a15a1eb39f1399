"""What an agent scores in a comparison: the greedy return at its end, or the floor if it diverged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from softstep.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl


class ReturnCriteria(NamedTuple):
    """How the returns of an environment are judged, fixed before any of its runs is seen."""

    margin: float
    """δ, the smallest difference in return that matters."""
    floor: float
    """The score of a diverged agent."""


RETURN_CRITERIA = {
    "LunarLander-v3": ReturnCriteria(20.0, -500.0),
    "CartPole-v1": ReturnCriteria(47.5, 0.0),
    "Acrobot-v1": ReturnCriteria(10.0, -500.0),
    "MountainCar-v0": ReturnCriteria(11.0, -200.0),
    "Pendulum-v1": ReturnCriteria(30.0, -1600.0),
    "BipedalWalker-v3": ReturnCriteria(30.0, -200.0),
    "MountainCarContinuous-v0": ReturnCriteria(9.0, -100.0),
}
"""Declared criteria by environment id without its maker; δ is 10 % of the size of Gymnasium's reward threshold.

Pendulum has no threshold; its δ is a fifth of the size of a good return, −150. The floors are near the lowest return of
an episode; BipedalWalker's is that of a fall, −100, after a walk whose torques cost as much again.
"""


def return_criteria(
    env: str, margin: float | None = None, floor: float | None = None, *, where: str = ""
) -> ReturnCriteria:
    """Return the margin and floor of an environment; arguments take precedence over `RETURN_CRITERIA`.

    Args:
        env: the environment's id.
        margin: the margin that was given, if any.
        floor: the floor that was given, if any.
        where: says in an error where missing ones are given, such as ` in the spec`.

    Raises:
        ConfigError: a margin or floor is neither given nor declared, or is out of range.
    """
    name = env.rpartition(":")[2]
    values = {"margin": margin, "floor": floor}
    if name in RETURN_CRITERIA:
        declared = RETURN_CRITERIA[name]._asdict()
        values = {key: declared[key] if value is None else value for key, value in values.items()}
    missing = [key for key, value in values.items() if value is None]
    if missing:
        raise ConfigError(
            f"{name} has no declared margin and floor for its returns: set {' and '.join(missing)}{where}"
        )
    criteria = ReturnCriteria(**{key: float(value) for key, value in values.items() if value is not None})
    if not 0 < criteria.margin < math.inf:
        raise ConfigError(f"margin = {criteria.margin:g} must be above 0 and finite")
    if not math.isfinite(criteria.floor):
        raise ConfigError(f"floor = {criteria.floor:g} must be finite")
    return criteria


def scores_by_seed(curves: pl.DataFrame, floor: float) -> dict[str, dict[int, float]]:
    """Return the final return of every agent, by arm and seed."""
    scores: dict[str, dict[int, float]] = {}
    for (arm, seed), agent in by_agent(curves).items():
        scores.setdefault(arm, {})[seed] = final_return(agent, floor)
    return scores


def final_return(agent: pl.DataFrame, floor: float) -> float:
    """Return the mean of the last ⌈10 %⌉ of an agent's evaluations; the floor if it ends diverged or has none."""
    evaluations = values_of(agent, "eval_return")
    finite = evaluations[np.isfinite(evaluations)]
    if agent["diverged"][-1] or not finite.size:
        return floor
    return float(finite[-math.ceil(finite.size / 10) :].mean())


def by_agent(curves: pl.DataFrame) -> dict[tuple[str, int], pl.DataFrame]:
    """Return the rows of every agent in order of time, by arm and seed."""
    groups = curves.sort("env_steps", maintain_order=True).partition_by("arm", "seed", as_dict=True)
    return {(str(arm), int(seed)): agent for (arm, seed), agent in groups.items()}


def values_of(agent: pl.DataFrame, name: str) -> Float[np.ndarray, " records"]:
    """Return a column (records,) in float64, with NaN for missing values."""
    return agent[name].cast(float).fill_null(math.nan).to_numpy()
