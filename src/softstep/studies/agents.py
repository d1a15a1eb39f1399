"""The agents that a study asks for."""

from __future__ import annotations

from typing import NamedTuple

from softstep.studies.grid import cell_name
from softstep.studies.spec import Spec


class Member(NamedTuple):
    """One agent of a study."""

    cell: str
    seed: int


def members(spec: Spec) -> list[Member]:
    """Every agent that the study asks for, cell by cell."""
    seeds = range(spec.base.seed, spec.base.seed + spec.seeds)
    return [Member(cell_name(cell), seed) for cell in spec.cells() for seed in seeds]
