"""The progress of a study: which agents are finished, which have failed and which are missing."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from softstep.runs import checkpoints, run_folder
from softstep.runs.run_folder import RunFolder
from softstep.studies.agents import StudyAgent, study_agents
from softstep.studies.spec import Spec
from softstep.studies.study_folder import read_failures, study_runs


class StudyProgress(NamedTuple):
    """The state of every agent of a study."""

    finished: dict[StudyAgent, RunFolder]
    """Agents that are trained to their end, and the run they are in."""
    failed: dict[StudyAgent, str]
    """Agents whose environment raised while they ran alone, and the error."""
    suspects: list[StudyAgent]
    """Agents of a block that failed, at least one of which is the cause."""
    unfinished_runs: list[RunFolder]
    """Runs that have started and are not finished."""


def study_progress(path: Path, spec: Spec) -> StudyProgress:
    """Return the state of every agent of the study in a folder."""
    wanted = set(study_agents(spec))
    progress = StudyProgress({}, {}, [], [])
    for run in study_runs(path):
        failures = read_failures(run)
        trained, in_tables = checkpoints.finished_blocks(run), run_folder.blocks_in_tables(run)
        for block, block_agents in enumerate(run.config.blocks()):
            agents = [StudyAgent(agent.arm, agent.seed) for agent in block_agents]
            if trained[block] and in_tables[block]:
                progress.finished.update((agent, run) for agent in agents if agent in wanted)
            elif block in failures and len(agents) == 1:
                progress.failed[agents[0]] = failures[block]
            elif block in failures:
                progress.suspects.extend(agents)
            elif run not in progress.unfinished_runs:
                progress.unfinished_runs.append(run)
    return progress


def missing_agents(spec: Spec, progress: StudyProgress) -> list[StudyAgent]:
    """Return the agents that no run of the study has finished or is to finish, in the order of the grid."""
    started = {StudyAgent(agent.arm, agent.seed) for run in progress.unfinished_runs for agent in run.config.agents()}
    known = {*progress.finished, *progress.failed, *(started - set(progress.suspects))}
    return [agent for agent in study_agents(spec) if agent not in known]
