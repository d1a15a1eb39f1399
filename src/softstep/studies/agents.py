"""The agents of a study: every cell with every seed."""

from __future__ import annotations

from typing import NamedTuple

from softstep.studies.grid import cell_name
from softstep.studies.spec import Spec


class StudyAgent(NamedTuple):
    """One agent of a study."""

    cell: str
    seed: int


def study_agents(spec: Spec) -> list[StudyAgent]:
    """Return every agent that a study asks for, cell by cell."""
    seeds = range(spec.base.seed, spec.base.seed + spec.seeds)
    return [StudyAgent(cell_name(cell), seed) for cell in spec.cells() for seed in seeds]
