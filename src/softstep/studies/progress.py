"""How far a study is: the agents at their end, the failed ones, and those that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from softstep.runs import checkpoints, run_folder
from softstep.runs.run_folder import RunFolder
from softstep.studies.agents import Member, members
from softstep.studies.spec import Spec
from softstep.studies.study_folder import failures, runs_of


class Standing(NamedTuple):
    """How far a study is."""

    covered: dict[Member, RunFolder]
    """Agents at their end, and the run they are in."""
    failed: dict[Member, str]
    """Agents whose environment raised while they ran alone, and what it said."""
    suspects: list[Member]
    """Agents of a block that failed: one of them is to blame."""
    open: list[RunFolder]
    """Runs that have begun and are not at their end."""


def standing(path: Path, spec: Spec) -> Standing:
    """Every agent's state."""
    wanted = set(members(spec))
    found = Standing({}, {}, [], [])
    for run in runs_of(path):
        broken, done, told = failures(run), checkpoints.finished_blocks(run), run_folder.blocks_in_tables(run)
        for block, agents in enumerate(run.config.blocks()):
            held = [Member(agent.arm, agent.seed) for agent in agents]
            if done[block] and told[block]:
                found.covered.update((member, run) for member in held if member in wanted)
            elif block in broken and len(held) == 1:
                found.failed[held[0]] = broken[block]
            elif block in broken:
                found.suspects.extend(held)
            elif run not in found.open:
                found.open.append(run)
    return found


def missing(spec: Spec, now: Standing) -> Sequence[Member]:
    """The agents that no run of the study has, nor has begun."""
    begun = {Member(a.arm, a.seed) for run in now.open for a in run.config.agents()}
    suspects = set(now.suspects)
    known = {*now.covered, *now.failed, *(begun - suspects)}
    return [member for member in members(spec) if member not in known]
