"""What an agent scores in a comparison: the greedy return it ended with, or the floor where it diverged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from softstep.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl


class Declared(NamedTuple):
    """What was fixed for an environment before any of its runs was seen."""

    margin: float
    """δ, the difference in return that matters."""
    floor: float
    """The score of an agent that diverged."""


DECLARED = {
    "LunarLander-v3": Declared(20.0, -500.0),
    "CartPole-v1": Declared(47.5, 0.0),
    "Acrobot-v1": Declared(10.0, -500.0),
    "MountainCar-v0": Declared(11.0, -200.0),
}
"""By environment id without its maker; δ is 10 % of the size of Gymnasium's reward threshold."""


def declared(env: str, margin: float | None = None, floor: float | None = None) -> Declared:
    """Margin and floor of an environment, those given before those of `DECLARED`; ConfigError where one is missing."""
    name = env.rpartition(":")[2]
    found = {"margin": margin, "floor": floor}
    if name in DECLARED:
        found = {key: getattr(DECLARED[name], key) if given is None else given for key, given in found.items()}
    missing = [f"--{key}" for key, value in found.items() if value is None]
    if missing:
        raise ConfigError(f"{name} has no declared margin and floor for its returns: give {' and '.join(missing)}")
    fixed = Declared(**{key: float(value) for key, value in found.items() if value is not None})
    if not (0 < fixed.margin < math.inf and math.isfinite(fixed.floor)):
        raise ConfigError(f"--margin {fixed.margin:g} must be above 0 and --floor {fixed.floor:g} finite")
    return fixed


def learning_scores(curves: pl.DataFrame, floor: float) -> dict[str, dict[int, float]]:
    """Every arm's scores by seed."""
    scores: dict[str, dict[int, float]] = {}
    for (arm, seed), agent in by_agent(curves).items():
        scores.setdefault(arm, {})[seed] = final_return(agent, floor)
    return scores


def final_return(agent: pl.DataFrame, floor: float) -> float:
    """Mean of the last ⌈10 %⌉ of an agent's evaluations; the floor if it ends diverged or has none."""
    evaluations = values_of(agent, "eval_return")
    finite = evaluations[np.isfinite(evaluations)]
    if agent["diverged"][-1] or not finite.size:
        return floor
    return float(finite[-math.ceil(finite.size / 10) :].mean())


def by_agent(curves: pl.DataFrame) -> dict[tuple[str, int], pl.DataFrame]:
    """Every agent's rows in time, by arm and seed."""
    parts = curves.sort("env_steps", maintain_order=True).partition_by("arm", "seed", as_dict=True)
    return {(str(arm), int(seed)): agent for (arm, seed), agent in parts.items()}


def values_of(agent: pl.DataFrame, name: str) -> Float[np.ndarray, " records"]:
    """A column (records,) in float64, NaN where there is no value."""
    return agent[name].cast(float).fill_null(math.nan).to_numpy()
