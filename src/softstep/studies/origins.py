"""Where the agents of a study were trained: in its own folder, or in another one, from whose table they were adopted.

origins.json in the folder names the versions and the processor under which each agent of the table was trained.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from softstep import files
from softstep.errors import StoreError
from softstep.runs import run_folder, versions
from softstep.runs.run_folder import RunFolder
from softstep.studies.agents import StudyAgent

FILE = "origins.json"


class Origin(NamedTuple):
    """Agents that were trained under the same versions."""

    agents: tuple[StudyAgent, ...]
    versions: Mapping[str, Any] | None
    """Content of `versions.json` of their runs; None if it is not known."""
    adopted: bool
    """Whether they were trained in another folder."""

    def of(self, agents: Collection[StudyAgent]) -> Origin:
        """Return the origin with those of its agents alone that are among `agents`."""
        return self._replace(agents=tuple(agent for agent in self.agents if agent in agents))


def adopted_agents(path: Path) -> list[StudyAgent]:
    """Return the agents that the study in a folder has adopted."""
    return [agent for origin in read_origins(path) if origin.adopted for agent in origin.agents]


def trained_origins(trained: Mapping[StudyAgent, RunFolder]) -> list[Origin]:
    """Return the origins of agents that were trained in the study's own folder."""
    recorded = {run.path: versions.read_versions(run.path) for run in trained.values()}
    groups: dict[str, list[StudyAgent]] = {}
    for agent, run in trained.items():
        groups.setdefault(files.canonical_json(recorded[run.path]), []).append(agent)
    return [Origin(tuple(agents), json.loads(text), False) for text, agents in groups.items()]


def record_trained(path: Path, trained: Mapping[StudyAgent, RunFolder]) -> None:
    """Record where the agents of the folder's own runs were trained, beside those that were adopted."""
    write_origins(path, [*(origin for origin in read_origins(path) if origin.adopted), *trained_origins(trained)])


def write_origins(path: Path, origins: Iterable[Origin]) -> None:
    """Write the origins of a study's agents into its folder, without those that have no agents."""
    listed = [
        {"adopted": origin.adopted, "versions": origin.versions, "agents": _seeds_by_cell(origin.agents)}
        for origin in origins
        if origin.agents
    ]
    files.write_file(path / FILE, files.json_text({"origins": listed}, indent=1).encode())


def _seeds_by_cell(agents: Iterable[StudyAgent]) -> dict[str, list[int]]:
    seeds: dict[str, list[int]] = {}
    for agent in agents:
        seeds.setdefault(agent.cell, []).append(agent.seed)
    return seeds


def read_origins(path: Path) -> list[Origin]:
    """Read the origins of the agents of a study's folder; none from a folder that has none recorded."""
    text = run_folder.read_result(path, FILE)
    if text is None:
        return []
    try:
        return [
            Origin(
                tuple(StudyAgent(cell, seed) for cell, seeds in fields["agents"].items() for seed in seeds),
                fields["versions"],
                fields["adopted"],
            )
            for fields in json.loads(text)["origins"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path / FILE} is damaged ({error}): restore it, or begin again in another folder") from None
