"""A study's claims, judged: sides selected on the selection seeds, compared on the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from softstep.comparison.decision_rules import SIGNIFICANCE_LEVEL, VerdictWord, decide_superiority
from softstep.stats import Paired, holm, paired_difference, probability_of_improvement
from softstep.studies.grid import cell_name
from softstep.studies.spec import Spec

if TYPE_CHECKING:
    import polars as pl


class ClaimVerdict(NamedTuple):
    """What the judging seeds say of a claim."""

    claim: str
    first: str
    """The cell of the first side: the best of its cells on the selection seeds."""
    second: str
    estimate: float
    """Mean difference of the final returns, first − second, paired by seed."""
    low: float
    high: float
    p: float
    p_holm: float
    improvement: float
    """Probability that a seed of the first side ends above a seed of the second."""
    n: int
    verdict: VerdictWord


def judge(each: pl.DataFrame, spec: Spec) -> list[ClaimVerdict]:
    """Every claim of the spec on the agents' table (`outcomes.agents`)."""
    sides = [(_selected(each, spec, claim.first), _selected(each, spec, claim.second)) for claim in spec.claims]
    scores = [tuple(_judging(each, spec, cell) for cell in pair) for pair in sides]
    found = [_compared(first, second) for first, second in scores]
    adjusted = holm([result.p for result in found])
    return [
        ClaimVerdict(
            claim.name, *pair, result.estimate, result.low, result.high, result.p, p, _improvement(*of), result.n,
            _word(result, p, spec),
        )
        for claim, pair, of, result, p in zip(spec.claims, sides, scores, found, adjusted, strict=True)
    ]  # fmt: skip


def _word(found: Paired, p_holm: float, spec: Spec) -> VerdictWord:
    """Exploratory where even the smallest p, 2/2ⁿ, would not survive all claims."""
    if found.n < 1 or 2 / 2**found.n * len(spec.claims) > SIGNIFICANCE_LEVEL:
        return "exploratory"
    return decide_superiority(found, p_holm, spec.declared.margin)


def _selected(each: pl.DataFrame, spec: Spec, side: Mapping[str, Sequence[Any]]) -> str:
    """The side's cell with the best mean on the selection seeds; of equals, the first."""
    import polars as pl

    names = [cell_name(cell) for cell in spec.side(side)]
    if len(names) == 1:
        return names[0]
    last = spec.base.seed + spec.selection
    chosen = each.filter(pl.col("cell").is_in(names) & (pl.col("seed") < last))
    means = chosen.group_by("cell", maintain_order=True).agg(pl.col("final_return").mean())
    return (
        str(means.sort("final_return", descending=True, maintain_order=True)["cell"][0]) if means.height else names[0]
    )


def _judging(each: pl.DataFrame, spec: Spec, cell: str) -> dict[int, float]:
    """The cell's scores on the judging seeds."""
    import polars as pl

    first = spec.base.seed + spec.selection
    rows = each.filter((pl.col("cell") == cell) & (pl.col("seed") >= first))
    return dict(zip(rows["seed"].to_list(), rows["final_return"].to_list(), strict=True))


def _compared(first: dict[int, float], second: dict[int, float]) -> Paired:
    seeds = sorted(first.keys() & second.keys())
    return paired_difference(_array(first, seeds), _array(second, seeds))


def _array(scores: dict[int, float], seeds: list[int]) -> Float[np.ndarray, " seeds"]:
    return np.array([scores[seed] for seed in seeds], float)


def _improvement(first: dict[int, float], second: dict[int, float]) -> float:
    if not first or not second:
        return math.nan
    return probability_of_improvement(_array(first, sorted(first)), _array(second, sorted(second)))
