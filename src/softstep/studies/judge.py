"""Judge a study's claims: the cell of each side is selected on the selection seeds and compared on the others.

With contenders, a side's cell is the winner of its contender.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from softstep.comparison.decision_rules import SIGNIFICANCE_LEVEL, VerdictWord, decide_superiority
from softstep.stats import Paired, holm, paired_difference, probability_of_improvement
from softstep.studies.claims import CONTENDER, Side
from softstep.studies.grid import cell_name
from softstep.studies.spec import Spec
from softstep.studies.winners import Winner

if TYPE_CHECKING:
    import polars as pl


class StudyVerdict(NamedTuple):
    """What the judging seeds say of a claim."""

    claim: str
    first: str
    """Cell of the first side: the best of its cells on the selection seeds."""
    second: str
    estimate: float
    """Mean difference of the primary metric, first − second, paired by seed."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    p: float
    p_holm: float
    """p adjusted for the number of claims."""
    improvement: float
    """Probability that a seed of the first side ends above a seed of the second."""
    n: int
    """Number of pairs of seeds."""
    verdict: VerdictWord


def judge_study(agents: pl.DataFrame, spec: Spec, winners: Sequence[Winner] = ()) -> list[StudyVerdict]:
    """Judge every claim of the spec; with contenders, none before their winners are known.

    Args:
        agents: table of `summaries.summarize_agents`.
        spec: the study's spec.
        winners: the winners of its contenders, if it has any.
    """
    if spec.contenders and not winners:
        return []
    cells = [
        tuple(_winning_cell(winners, side) if spec.contenders else _select_cell(agents, spec, side) for side in sides)
        for sides in ((claim.first, claim.second) for claim in spec.claims)
    ]
    returns = [tuple(judging_values(agents, spec, cell, spec.metric) for cell in pair) for pair in cells]
    differences = [paired_difference(*paired_values(first, second)) for first, second in returns]
    adjusted = holm([difference.p for difference in differences])
    return [
        StudyVerdict(
            claim.name, first_cell, second_cell, difference.estimate, difference.low, difference.high, difference.p,
            p_holm, _improvement(first, second), difference.n, _decide(difference, p_holm, spec),
        )
        for claim, (first_cell, second_cell), (first, second), difference, p_holm in zip(
            spec.claims, cells, returns, differences, adjusted, strict=True
        )
    ]  # fmt: skip


def _decide(difference: Paired, p_holm: float, spec: Spec) -> VerdictWord:
    """Return the verdict; exploratory if even the smallest p, 2/2ⁿ, would not survive the number of claims."""
    if difference.n < 1 or 2 / 2**difference.n * len(spec.claims) > SIGNIFICANCE_LEVEL:
        return "exploratory"
    return decide_superiority(difference, p_holm, spec.criteria.margin)


def _winning_cell(winners: Sequence[Winner], side: Side) -> str:
    """Return the winner of the side's contender; of several contenders, the one with the best score, or the first."""
    return max((winner for winner in winners if winner.contender in side[CONTENDER]), key=lambda w: w.score).cell


def _select_cell(agents: pl.DataFrame, spec: Spec, side: Side) -> str:
    """Return the side's cell with the best mean of the primary metric on the selection seeds; of equals the first."""
    import polars as pl

    names = [cell_name(cell) for cell in spec.side_cells(side)]
    if len(names) == 1:
        return names[0]
    candidates = agents.filter(pl.col("cell").is_in(names) & (pl.col("seed") < spec.judging_seeds.start))
    if not candidates.height:
        return names[0]
    means = candidates.group_by("cell", maintain_order=True).agg(pl.col(spec.metric).mean())
    return str(means.sort(spec.metric, descending=True, maintain_order=True)["cell"][0])


def judging_values(agents: pl.DataFrame, spec: Spec, cell: str, column: str) -> dict[int, float]:
    """Return a cell's values of a column of the agents' table by judging seed, without missing ones."""
    import polars as pl

    rows = agents.filter((pl.col("cell") == cell) & (pl.col("seed") >= spec.judging_seeds.start))
    rows = rows.drop_nulls(column)
    return dict(zip(rows["seed"].to_list(), rows[column].to_list(), strict=True))


def paired_values(
    first: dict[int, float], second: dict[int, float]
) -> tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " seeds"]]:
    """Return the values (seeds,) of both sides on the seeds that both have, in the order of the seeds."""
    seeds = sorted(first.keys() & second.keys())
    return _array(first, seeds), _array(second, seeds)


def _improvement(first: dict[int, float], second: dict[int, float]) -> float:
    if not first or not second:
        return math.nan
    return probability_of_improvement(_array(first, sorted(first)), _array(second, sorted(second)))


def _array(returns: dict[int, float], seeds: list[int]) -> Float[np.ndarray, " seeds"]:
    return np.array([returns[seed] for seed in seeds], float)
