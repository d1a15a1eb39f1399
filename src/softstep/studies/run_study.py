"""Run a study: create or extend its folder, train the agents that are missing, and gather the table.

A study with contenders has two stages: all candidates on the selection seeds, then the winners on the judging seeds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Unpack, runtime_checkable

from softstep.config import Config
from softstep.errors import StoreError
from softstep.runs import api as runs
from softstep.runs import checkpoints, run_folder, worker_pool
from softstep.runs.api import Run
from softstep.studies import study_folder
from softstep.studies.adoption import Adoptable, adopt_agents, read_adoptable, without_begun
from softstep.studies.agents import StudyAgent, study_agents
from softstep.studies.declaration import Declaration
from softstep.studies.declared_study import Carried, carry, read_carried
from softstep.studies.origins import Origin, read_origins, record_trained
from softstep.studies.populations import pack_populations
from softstep.studies.progress import StudyProgress, study_progress
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents
from softstep.studies.table import gather_table, read_table, write_table
from softstep.studies.winners import Winner, select_winners

if TYPE_CHECKING:
    import polars as pl


class Study:
    """The folder of a study with its results."""

    def __init__(self, path: Path) -> None:
        self.path, self.spec = path.absolute(), study_folder.read_spec(path)

    @property
    def winners(self) -> list[Winner]:
        """The winners of the contenders; none before all candidates are trained, and in a grid."""
        return study_folder.read_winners(self.path)

    @property
    def agents(self) -> list[StudyAgent]:
        """The agents that are to be trained; without those of the winners until these are known."""
        return study_agents(self.spec, [winner.cell for winner in self.winners])

    @property
    def progress(self) -> StudyProgress:
        """The state of every agent."""
        return study_progress(self.path, self.agents)

    @property
    def finished(self) -> bool:
        """Whether every agent is trained to its end or has failed on its own."""
        agents = self.agents
        return len(agents) == self.spec.num_agents and self.progress.complete(agents)

    @property
    def origins(self) -> list[Origin]:
        """Where the agents of the table were trained: in this folder, or in another one before they were adopted."""
        return read_origins(self.path)

    @property
    def declaration(self) -> Carried | None:
        """What the folder says about the study's declaration; None if it was not declared."""
        return read_carried(self.path)

    @property
    def frame(self) -> pl.DataFrame:
        """The table: one row per agent and record."""
        return read_table(self.path)

    def __repr__(self) -> str:
        return f"Study({str(self.path)!r})"


@runtime_checkable
class TrainPopulation(Protocol):
    """Trains one population of a study: a new one, or the rest of one that was interrupted."""

    def __call__(self, config: Config, path: Path, execute: runs.Execute) -> Run:
        """Return the run, finished or stopped; `execute` trains its blocks."""
        ...


def study(
    spec: Spec,
    out: Path | str,
    *,
    resume: bool = False,
    trusted: Sequence[str] = (),
    engine: Callable[..., Any] = worker_pool.run_blocks,
    declarations: Sequence[Declaration] = (),
    adopt: Path | str | None = None,
    **options: Unpack[runs.NewRunOptions],
) -> Study:
    """Run every cell of a study with every seed, or, with `resume`, what is missing of it.

    With contenders, all candidates are run with the selection seeds, and the winners then with the judging seeds.

    Args:
        spec: cells or contenders, seeds and claims of the study.
        out: folder of the study.
        resume: continue the study in `out`; seeds, values, candidates and contenders may have been added to the spec
            since, and failed agents are tried again.
        trusted: the modules that the stored configurations name, repeated.
        engine: runs the blocks of one population; worker processes by default.
        declarations: declarations of the spec (`declaration.read_declarations`), which the folder keeps.
        adopt: folder of a study with the same spec or a smaller one, from whose table the complete curves are taken
            over, so that their agents are not trained again; `adoption` says which of its files are needed.
        **options: those of `softstep.train`.

    Returns:
        The study, finished or stopped.

    Raises:
        StoreError: the folder is taken, the spec has changed in any other way, the declarations do not continue those
            of the folder, or there is nothing that could be adopted.
    """

    def train_population(config: Config, path: Path, execute: runs.Execute) -> Run:
        run_options: dict[str, Any] = {**options, "execute": execute}
        device = run_options.pop("device", "cpu")
        if run_folder.is_run(path):  # it stays where it was begun
            return runs.resume(path, trusted=trusted, **run_options)
        return runs.train(config, path, device=device, **run_options)

    source = None if adopt is None else Path(adopt)
    return run_study(
        spec, Path(out), train_population, resume=resume, engine=engine, declarations=declarations, adopt=source
    )


def run_study(
    spec: Spec,
    out: Path,
    train_population: TrainPopulation,
    *,
    resume: bool,
    engine: Callable[..., Any] = worker_pool.run_blocks,
    declarations: Sequence[Declaration] = (),
    adopt: Path | None = None,
) -> Study:
    """Train population after population until no agent is missing or one of them is stopped, then write the table.

    Args:
        spec: cells, seeds and claims of the study.
        out: folder of the study.
        train_population: trains one population.
        resume: continue the study in `out`.
        engine: runs the blocks of one population; it gets a dictionary `failed` for the errors of failed blocks.
        declarations: declarations of the spec, which the folder keeps.
        adopt: folder of a study from whose table the complete curves are taken over.

    Raises:
        StoreError: the folder is taken, the spec has changed in other ways than by additions, the declarations do not
            continue those of the folder, or there is nothing that could be adopted.
    """
    out = out.absolute()  # the environment's code may change the working directory
    adoptable = read_adoptable(adopt, spec) if adopt else None
    if resume:
        study_folder.check_is_study(out)
    else:
        study_folder.create_study(out, spec)
    try:
        with run_folder.locked(out):
            if resume:
                study_folder.extend_spec(out, spec)
                study_folder.clear_failures(out)
                study_folder.delete_damaged_blocks(out)
            _take_over(out, spec, declarations, adoptable)
            _train(spec, out, train_population, engine)
            progress = Study(out).progress
            write_table(out, spec, progress)
            record_trained(out, progress.trained)
    except Exception:
        if not resume:
            study_folder.delete_empty_study(out)  # the folder is free for the next attempt
        raise
    return Study(out)


def _take_over(path: Path, spec: Spec, declarations: Sequence[Declaration], adoptable: Adoptable | None) -> None:
    """Write the declarations into a study's folder, and the curves that can be adopted and are not begun in it."""
    new = without_begun(adoptable, path) if adoptable else None
    carry(path, spec, declarations, {new.folder: new.declaration} if new else {})
    if new:
        adopt_agents(path, new)


def _train(spec: Spec, out: Path, train_population: TrainPopulation, engine: Callable[..., Any]) -> None:
    """Train all agents; with contenders, first the candidates, then the winners on the judging seeds."""

    def complete(agents: list[StudyAgent]) -> bool:
        while _train_missing(spec, agents, out, train_population, engine):
            pass
        return study_progress(out, agents).complete(agents)

    candidates = study_agents(spec)
    if complete(candidates) and spec.contenders:
        table = gather_table(out, spec, study_progress(out, candidates))
        winners = select_winners(summarize_agents(table, spec), spec)
        study_folder.write_winners(out, spec, winners)
        complete(study_agents(spec, [winner.cell for winner in winners]))


def _train_missing(
    spec: Spec, agents: list[StudyAgent], out: Path, train_population: TrainPopulation, engine: Callable[..., Any]
) -> bool:
    """Train all unfinished runs, then the missing `agents`; return whether another round may find more to do.

    Agents of failed blocks are trained alone in the next round, so that one failing agent does not take the others
    with it.
    """
    progress = study_progress(out, agents)
    populations = [(run.config, run.path) for run in progress.unfinished_runs]
    for config in pack_populations(spec, progress.missing(agents), alone=progress.suspects):
        populations.append((config, study_folder.population_folder(out, config.content_hash())))
    for config, path in populations:
        failures: dict[int, str] = {}
        run = train_population(config, path, functools.partial(engine, failed=failures))
        if run.summary["finished"]:
            checkpoints.delete_replay(run.folder)  # the spec decides its length
        study_folder.write_failures(run.folder, failures)
        if _was_stopped(run, failures):
            return False
    if populations and study_progress(out, agents) == progress:
        raise StoreError(f"{out}: training {populations[0][1]} makes no progress: move it away and use --resume")
    return bool(populations)


def _was_stopped(run: Run, failures: dict[int, str]) -> bool:
    """Return whether a block of the run was stopped before its end, other than by a failure."""
    outcomes = enumerate(run.summary["blocks"])
    return any(outcome is None or outcome["stopped"] for block, outcome in outcomes if block not in failures)
