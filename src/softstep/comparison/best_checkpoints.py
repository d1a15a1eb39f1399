"""What the best checkpoints of a comparison earn on fresh episodes: a secondary measure, not judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from softstep.comparison.judge import RETURN_RULES
from softstep.runs.best_returns import BestReturns
from softstep.stats import Paired, paired_difference

Scores = Mapping[str, Mapping[int, float]]
"""Returns by arm and seed."""


class FreshDifference(NamedTuple):
    """The difference between the best checkpoints of two arms on fresh episodes."""

    claim: str
    """Name of the claim about the two arms."""
    arms: tuple[str, str]
    difference: Paired
    """First arm − second, paired by seed."""


def fresh_scores(best: BestReturns, floor: float) -> dict[str, dict[int, float]]:
    """Return the mean return on fresh episodes of every agent's best checkpoint, by arm and seed.

    An agent without a best checkpoint scores `floor`, and is left out if that is NaN.
    """
    scores: dict[str, dict[int, float]] = {}
    for agent in best.agents:
        value = floor if math.isnan(agent.fresh_return) else agent.fresh_return
        if not math.isnan(value):
            scores.setdefault(agent.arm, {})[agent.seed] = value
    return scores


def fresh_differences(scores: Scores) -> list[FreshDifference]:
    """Return the difference for every claim on greedy returns whose arms have a seed in common."""
    differences = []
    for claim in (claim for claim, _ in RETURN_RULES):
        first, second = (scores.get(arm, {}) for arm in claim.arms)
        seeds = sorted(first.keys() & second.keys())
        if seeds:
            a, b = (np.array([side[seed] for seed in seeds]) for side in (first, second))
            differences.append(FreshDifference(claim.name, claim.arms, paired_difference(a, b)))
    return differences
