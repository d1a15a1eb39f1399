"""Which runs a study needs: its missing agents, packed into populations of one shape and one width."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from softstep.config import Config
from softstep.studies.agents import Member
from softstep.studies.grid import Cell, arm_of, cell_name, shaped
from softstep.studies.spec import Spec


def parts(spec: Spec, missing: Sequence[Member], alone: Iterable[Member] = ()) -> list[Config]:
    """Populations that train the `missing` agents; each of `alone` gets one of its own, away from all others.

    Cells that differ in data only (α, c, γ, period) and miss the same seeds share a population. All blocks have the
    study's width W, so that an agent's bits do not depend on when it was added, or beside whom it runs.
    """
    cells = {cell_name(cell): cell for cell in spec.cells()}
    apart = set(alone)
    wanted: dict[tuple[str, tuple[int, ...]], list[Cell]] = {}
    for name, group in itertools.groupby((m for m in missing if m not in apart), key=lambda member: member.cell):
        shape = shaped(spec.base, cells[name]).content_hash()
        wanted.setdefault((shape, tuple(sorted(member.seed for member in group))), []).append(cells[name])
    made = [
        _part(spec, group, first, count)
        for (_, seeds), group in wanted.items()
        for first, count in _ranges(seeds)
    ]  # fmt: skip
    return made + [_part(spec, [cells[m.cell]], m.seed, 1) for m in missing if m in apart]


def _part(spec: Spec, cells: Sequence[Cell], seed: int, seeds: int) -> Config:
    arms = tuple(arm_of(cell, spec.base) for cell in cells)
    base = shaped(spec.base, cells[0])
    return dataclasses.replace(base, arms=arms, seed=seed, seeds=seeds, block_width=spec.width)


def _ranges(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """Rising numbers as stretches without a gap: first and count."""
    found: list[tuple[int, int]] = []
    for seed in seeds:
        if found and sum(found[-1]) == seed:
            found[-1] = found[-1][0], found[-1][1] + 1
        else:
            found.append((seed, 1))
    return found
