"""Pack a study's missing agents into populations of one shape and one block width."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from softstep.config import Config
from softstep.studies.agents import StudyAgent
from softstep.studies.grid import cell_arm, cell_config
from softstep.studies.spec import Spec


def pack_populations(spec: Spec, missing: Sequence[StudyAgent], alone: Iterable[StudyAgent] = ()) -> list[Config]:
    """Return populations that train the `missing` agents.

    Cells that differ in data only (α, c, γ, period, exploration) and miss the same seeds share a population. All
    blocks have the study's width W, so that an agent's bits depend neither on when it was added nor on the agents
    beside it. Each missing agent that is also in `alone` gets a population of its own.
    """
    cells = spec.named_cells()
    isolated = set(alone)
    shared = (agent for agent in missing if agent not in isolated)
    groups: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for name, agents in itertools.groupby(shared, key=lambda agent: agent.cell):
        shape = cell_config(cells[name], spec.base).content_hash()
        seeds = tuple(sorted(agent.seed for agent in agents))
        groups.setdefault((shape, seeds), []).append(name)
    populations = [
        _population(spec, group, first, count)
        for (_, seeds), group in groups.items()
        for first, count in _consecutive_ranges(seeds)
    ]  # fmt: skip
    singles = [_population(spec, [agent.cell], agent.seed, 1) for agent in missing if agent in isolated]
    return populations + singles


def _population(spec: Spec, names: Sequence[str], first_seed: int, num_seeds: int) -> Config:
    cells = spec.named_cells()
    config = cell_config(cells[names[0]], spec.base)
    arms = tuple(cell_arm(cells[name], config, name) for name in names)
    return dataclasses.replace(config, arms=arms, seed=first_seed, seeds=num_seeds, block_width=spec.width)


def _consecutive_ranges(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as ranges without gaps: (first, count)."""
    ranges: list[tuple[int, int]] = []
    for seed in seeds:
        if ranges and sum(ranges[-1]) == seed:
            first, count = ranges[-1]
            ranges[-1] = first, count + 1
        else:
            ranges.append((seed, 1))
    return ranges
