"""The agents of a study: cells with their seeds."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from softstep.config import Config
from softstep.studies.spec import Spec


class StudyAgent(NamedTuple):
    """One agent of a study."""

    cell: str
    seed: int


def population_agents(population: Config) -> list[StudyAgent]:
    """Return the agents of a population, whose arms are cells."""
    return [StudyAgent(agent.arm, agent.seed) for agent in population.agents()]


def study_agents(spec: Spec, winners: Collection[str] = ()) -> list[StudyAgent]:
    """Return every agent that a study asks for, cell by cell.

    In a grid, every cell has every seed. With contenders, every candidate has the selection seeds, and the candidates
    called in `winners` have the judging seeds as well.
    """
    selection, judging = spec.selection_seeds, spec.judging_seeds

    def seeds(cell: str) -> range:
        if not spec.contenders or cell in winners:
            return range(selection.start, judging.stop)
        return selection

    return [StudyAgent(cell, seed) for cell in spec.named_cells() for seed in seeds(cell)]
