"""Carry a study out: begin or extend its folder, run what is missing, gather the table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Unpack, runtime_checkable

from softstep.config import Config
from softstep.errors import StoreError
from softstep.runs import api as runs
from softstep.runs import run_folder, worker_pool
from softstep.runs.api import Run
from softstep.studies import progress, study_folder, table
from softstep.studies.populations import parts
from softstep.studies.spec import Spec

if TYPE_CHECKING:
    import polars as pl


class Study:
    """A study's folder with its results."""

    def __init__(self, path: Path) -> None:
        self.path, self.spec = path, study_folder.read_spec(path)

    @property
    def standing(self) -> progress.Standing:
        """How far every agent is."""
        return progress.standing(self.path, self.spec)

    @property
    def finished(self) -> bool:
        """Whether every agent is at its end, or has failed alone."""
        now = self.standing
        return not now.open and not progress.missing(self.spec, now)

    @property
    def frame(self) -> pl.DataFrame:
        """The table: one row per agent and record."""
        return table.read(self.path)

    def __repr__(self) -> str:
        return f"Study({str(self.path)!r})"


@runtime_checkable
class Carry(Protocol):
    """Trains one population of a study: a new one, or the rest of one that has begun."""

    def __call__(self, config: Config, path: Path, execute: runs.Execute) -> Run:
        """The run, finished or stopped."""
        ...


def study(
    spec: Spec,
    out: Path | str,
    *,
    resume: bool = False,
    trusted: Sequence[str] = (),
    engine: Callable[..., Any] = worker_pool.run_blocks,
    **options: Unpack[runs.Options],
) -> Study:
    """Run every cell of the study with every seed; only what is missing, where `resume` lets an old study go on.

    spec: see `Spec`. out: the study's folder. resume: go on with a study that was begun there, whose spec may have got
    more seeds and more values since; failed agents are tried again. engine: runs the blocks of one population.
    `options` are those of `softstep.train`. StoreError for a taken folder or a spec that has changed otherwise.
    """

    def carry(config: Config, path: Path, execute: runs.Execute) -> Run:
        given: dict[str, Any] = {**options, "execute": execute}
        if run_folder.is_run(path):
            return runs.resume(path, trusted=trusted, **given)
        return runs.train(config, path, **given)

    return carry_out(spec, Path(out), carry, resume=resume, engine=engine)


def carry_out(
    spec: Spec, out: Path, carry: Carry, *, resume: bool, engine: Callable[..., Any] = worker_pool.run_blocks
) -> Study:
    """Population after population, until nothing is missing or one of them is stopped; then the table."""
    if not resume:
        study_folder.begin(out, spec)
    else:
        study_folder.check_is_study(out)
    with run_folder.locked(out):
        if resume:
            study_folder.extend(out, spec)
            study_folder.forget_failures(out)
            study_folder.delete_damaged_blocks(out)
        while _carry_round(spec, out, carry, engine):
            pass
        table.write(out, spec, progress.standing(out, spec))
    return Study(out)


def _carry_round(spec: Spec, out: Path, carry: Carry, engine: Callable[..., Any]) -> bool:
    """Every run that is open, then those that are missing; whether another round may find more to do."""
    now = progress.standing(out, spec)
    begun = [(run.config, run.path) for run in now.open]
    new = parts(spec, progress.missing(spec, now), alone=now.suspects)
    todo = begun + [(config, study_folder.part_folder(out, config.content_hash())) for config in new]
    for config, path in todo:
        failed: dict[int, str] = {}
        run = carry(config, path, functools.partial(engine, failed=failed))
        study_folder.note_failures(run.folder, failed)
        settled = not any(o is None or o["stopped"] for i, o in enumerate(run.summary["blocks"]) if i not in failed)
        if not settled:
            return False
    if todo and progress.standing(out, spec) == now:
        raise StoreError(f"{out}: {todo[0][1]} comes to no end; move it away and go on with --resume")
    return bool(todo)
