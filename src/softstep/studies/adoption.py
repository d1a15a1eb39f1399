"""Adopt agents that were trained in another folder, from the table of the study there.

Checkpoints are too large to publish or to move, and a table is small: of the other folder, only study.json and
study.parquet are needed, and declaration.json if the study was declared. origins.json says where its agents were
trained, if it is there. Adopted agents have curves and no weights; the folder keeps their curves in adopted.parquet.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from softstep.errors import StoreError
from softstep.studies import study_folder
from softstep.studies.agents import StudyAgent, population_agents
from softstep.studies.declared_study import Carried, read_carried
from softstep.studies.grid import cell_config
from softstep.studies.origins import Origin, adopted_agents, read_origins, trained_origins, write_origins
from softstep.studies.progress import study_progress
from softstep.studies.spec import Spec
from softstep.studies.table import read_adopted, rows_of, table_curves, write_adopted

if TYPE_CHECKING:
    import polars as pl

WITHOUT = "leave out --adopt"
"""What to do about a folder from which nothing can be adopted."""


class Adoptable(NamedTuple):
    """What the folder of another study has to give."""

    folder: Path
    curves: pl.DataFrame
    """The complete curves in its table, with the columns of `curves.parquet`."""
    origins: list[Origin]
    """Where the agents of these curves were trained."""
    declaration: Carried | None
    """What the folder says about its declaration; None if it was not declared."""


def read_adoptable(folder: Path, spec: Spec) -> Adoptable:
    """Return what a folder's table has of agents that are trained to their end, for a study with this spec.

    Raises:
        StoreError: the folder has no study or no table, its spec differs in more than additions, its table was cut
            down, or no curve in it is complete.
    """
    study_folder.check_is_extended(folder, study_folder.read_spec(folder), spec, otherwise=WITHOUT)
    curves = table_curves(folder)
    complete = _complete_agents(curves, spec)
    if not complete:
        raise StoreError(f"no agent in the table of {folder} is trained to its end, so there is nothing to adopt")
    return Adoptable(folder, rows_of(curves, complete), _origins(folder, complete), read_carried(folder))


def _complete_agents(curves: pl.DataFrame, spec: Spec) -> list[StudyAgent]:
    """Return the agents whose last record is that of their run's end, where diverged ones end as well."""
    import polars as pl

    configs = {name: cell_config(cell, spec.base) for name, cell in spec.named_cells().items()}
    ends = {name: config.iterations * config.steps_per_iteration for name, config in configs.items()}
    last = curves.group_by("arm", "seed", maintain_order=True).agg(pl.col("env_steps").max())
    return [StudyAgent(cell, seed) for cell, seed, steps in last.rows() if cell in ends and steps >= ends[cell]]


def _origins(folder: Path, agents: Collection[StudyAgent]) -> list[Origin]:
    """Return where agents of a folder were trained, as far as its origins, or else its runs, tell."""
    wanted = set(agents)
    recorded = read_origins(folder) or trained_origins(study_progress(folder, wanted).trained)
    known = {agent for origin in recorded for agent in origin.agents}
    unknown = Origin(tuple(agent for agent in agents if agent not in known), None, True)
    return [*(origin.of(wanted)._replace(adopted=True) for origin in recorded), unknown]


def without_begun(adoptable: Adoptable, path: Path) -> Adoptable | None:
    """Return what the study in a folder has neither begun nor adopted yet; None if that is nothing."""
    begun = {agent for run in study_folder.study_runs(path) for agent in population_agents(run.config)}
    offered = {agent for origin in adoptable.origins for agent in origin.agents}
    new = offered - begun - set(adopted_agents(path))
    if not new:
        return None
    origins = [origin.of(new) for origin in adoptable.origins]
    return adoptable._replace(curves=rows_of(adoptable.curves, new), origins=origins)


def adopt_agents(path: Path, adoptable: Adoptable) -> None:
    """Copy the curves into the folder of a study, which counts their agents as finished from now on."""
    import polars as pl

    held = [read_adopted(path)] if adopted_agents(path) else []
    write_adopted(path, pl.concat([*held, adoptable.curves]))
    write_origins(path, [*read_origins(path), *adoptable.origins])
