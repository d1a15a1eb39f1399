"""The progress of a study: which agents are finished, which have failed and which are missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from softstep.runs import checkpoints, run_folder
from softstep.runs.run_folder import RunFolder
from softstep.studies.agents import StudyAgent, population_agents
from softstep.studies.origins import adopted_agents
from softstep.studies.study_folder import read_failures, study_runs


class StudyProgress(NamedTuple):
    """The state of every agent of a study."""

    trained: dict[StudyAgent, RunFolder]
    """Agents that are trained to their end, and the run they are in."""
    adopted: list[StudyAgent]
    """Agents that were trained to their end in another folder; their curves are here, their weights are not."""
    failed: dict[StudyAgent, str]
    """Agents whose environment raised while they ran alone, and the error."""
    suspects: list[StudyAgent]
    """Agents of a block that failed, at least one of which is the cause."""
    unfinished_runs: list[RunFolder]
    """Runs that have started and are not finished."""

    @property
    def finished(self) -> list[StudyAgent]:
        """The agents whose curves are complete, wherever they were trained."""
        return [*self.trained, *self.adopted]

    def missing(self, wanted: Sequence[StudyAgent]) -> list[StudyAgent]:
        """Return the agents, of those `wanted`, that are not finished and that no run is to finish, in order."""
        started = {agent for run in self.unfinished_runs for agent in population_agents(run.config)}
        known = {*self.finished, *self.failed, *(started - set(self.suspects))}
        return [agent for agent in wanted if agent not in known]

    def complete(self, wanted: Sequence[StudyAgent]) -> bool:
        """Return whether every agent is trained to its end or has failed on its own."""
        return not self.unfinished_runs and not self.missing(wanted)


def study_progress(path: Path, agents: Collection[StudyAgent]) -> StudyProgress:
    """Return the state of those `agents` that the study in a folder has begun."""
    wanted = set(agents)
    progress = StudyProgress({}, [], {}, [], [])
    for run in study_runs(path):
        failures = read_failures(run)
        trained, in_tables = checkpoints.finished_blocks(run), run_folder.blocks_in_tables(run)
        for block, block_agents in enumerate(run.config.blocks()):
            its_agents = [StudyAgent(agent.arm, agent.seed) for agent in block_agents]
            if trained[block] and in_tables[block]:
                progress.trained.update((agent, run) for agent in its_agents if agent in wanted)
            elif block in failures and len(its_agents) == 1:
                progress.failed[its_agents[0]] = failures[block]
            elif block in failures:
                progress.suspects.extend(its_agents)
            elif run not in progress.unfinished_runs:
                progress.unfinished_runs.append(run)
    progress.adopted.extend(agent for agent in adopted_agents(path) if agent in wanted)
    return progress
