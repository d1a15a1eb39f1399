"""The winners of a study's contenders: the candidates with the best mean on the selection seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from softstep.studies.contenders import candidate_name
from softstep.studies.spec import Spec

if TYPE_CHECKING:
    import polars as pl


class Winner(NamedTuple):
    """The candidate that stands for a contender on the judging seeds."""

    contender: str
    candidate: int
    """Its number, from 1."""
    scores: tuple[float, ...]
    """Mean of the primary metric over the selection seeds, of every candidate."""

    @property
    def cell(self) -> str:
        """Name of the candidate."""
        return candidate_name(self.contender, self.candidate)

    @property
    def score(self) -> float:
        """Mean of the primary metric over the selection seeds; it is biased upwards, being the best of several."""
        return self.scores[self.candidate - 1]


def select_winners(agents: pl.DataFrame, spec: Spec) -> list[Winner]:
    """Return the winner of every contender; of equal candidates, the first.

    Args:
        agents: `summaries.summarize_agents` of all agents with selection seeds that have not failed. A failed one
            counts with the floor.
        spec: the study's spec.
    """
    values = {(row["cell"], row["seed"]): row[spec.metric] for row in agents.iter_rows(named=True)}
    winners = []
    for name, contender in spec.contenders.items():
        scores = []
        for number in range(1, len(contender.candidates) + 1):
            cell = candidate_name(name, number)
            returns = [values.get((cell, seed), spec.criteria.floor) for seed in spec.selection_seeds]
            scores.append(sum(returns) / max(1, len(returns)))
        winners.append(Winner(name, 1 + scores.index(max(scores)), tuple(scores)))
    return winners
