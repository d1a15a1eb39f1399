"""Starting, resuming and finishing runs: what `softstep.train` and `softstep train` do."""

from __future__ import annotations

import contextlib
import datetime
import re
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, runtime_checkable

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.records.events import Outcome, Progress
from softstep.records.history import History
from softstep.runs import checkpoints, registration, run_folder, versions, worker_pool
from softstep.runs.device import Device, with_wide_blocks
from softstep.runs.device import check as check_device
from softstep.runs.failure_log import log_failure
from softstep.runs.lengthening import lengthened, write_length
from softstep.runs.logged import LoggedView, chosen_log, logging
from softstep.runs.run_folder import RunFolder
from softstep.runs.tables import make_tables, read_curves, read_episodes, write_tables
from softstep.runs.worker_pool import RunView
from softstep.trackers import names
from softstep.trackers.names import Log

if TYPE_CHECKING:
    import polars as pl


class SilentView:
    """A view that ignores everything."""

    def update(self, block: int, progress: Progress) -> None:
        """Ignore the call."""

    def finished(self, block: int) -> None:
        """Ignore the call."""

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Ignore the call."""


@runtime_checkable
class Execute(Protocol):
    """A function that executes the blocks of a run."""

    def __call__(
        self, run: RunFolder, lock: int, view: RunView, *, workers: int | None, should_stop: Callable[[], bool]
    ) -> list[Outcome | None]:
        """Train every block."""
        ...


OpenView = Callable[[RunFolder], contextlib.AbstractContextManager[RunView]]
"""Opens a view of each run, for callers that train several or do not know the folder yet."""


class Options(TypedDict, total=False):
    """How a run is executed; none of this changes its numbers (see `train`)."""

    workers: int | None
    view: RunView | OpenView | None
    should_stop: Callable[[], bool]
    execute: Execute
    log: Log | None


class NewRunOptions(Options, total=False):
    """How a new run is executed; the device changes the last bits of its numbers (see `train`)."""

    device: Device


class Run:
    """A run folder with its results."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    @property
    def path(self) -> Path:
        """Path of the run folder."""
        return self.folder.path

    @property
    def config(self) -> Config:
        """The configuration that decided its numbers."""
        return self.folder.config

    @property
    def curves(self) -> pl.DataFrame:
        """One row per agent and record."""
        return read_curves(self.folder)

    @property
    def episodes(self) -> pl.DataFrame:
        """One row per finished training episode."""
        return read_episodes(self.folder)

    @property
    def summary(self) -> dict[str, Any]:
        """How the run ended: steps, times and which agents solved the environment."""
        return run_folder.read_summary(self.folder) or {}

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def default_out(config: Config, label: str, folder: Path = Path("runs")) -> Path:
    """Return `runs/ENV-LABEL-TIME`, a path that does not exist yet."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    base = folder / f"{re.sub('[:/]', '-', config.env)}-{label}-{stamp}"
    taken = (base.with_name(f"{base.name}-{i}") for i in range(2, 1000))
    return base if not base.exists() else next(path for path in taken if not path.exists())


def train(
    config: Config,
    out: Path | str | None = None,
    *,
    force: bool = False,
    workers: int | None = None,
    view: RunView | OpenView | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    execute: Execute = worker_pool.run_blocks,
    log: Log | None = None,
    device: Device = "cpu",
    files: Mapping[str, bytes] | None = None,
) -> Run:
    """Train every agent of `config`.

    Args:
        config: decides all numbers of the run.
        out: the run's folder; by default a new one under `runs/`.
        force: replace an existing run.
        workers: number of worker processes; by default one per core.
        view: observer of the run's progress, or a function that opens one; in a notebook, a progress bar by default.
        should_stop: polled during training; once true, the run saves and ends, and can be resumed.
        execute: how blocks are executed; by default in worker processes.
        log: where the records go while the run trains: "tensorboard", "wandb", "mlflow" or a `softstep.records.Sink` of
            your own, each of which may fail without harm to the run; None and () are nowhere.
        device: "gpu" computes the blocks one after the other on a GPU, for environments of gymnax; all agents form one
            block there, up to 4 096, unless the configuration says otherwise. A resumed run stays on its device.
        files: further files for the folder, by name.

    Returns: the run, finished or stopped.

    Raises:
        ConfigError: for an invalid setting.
        StoreError: if the folder cannot be written.
        EnvironmentFailed: if an environment raises; the last checkpoint remains, and `error.log` has the traceback. A
            run without a checkpoint leaves no folder.
    """
    check_workers(workers)
    check_device(config, device, workers)
    config = with_wide_blocks(config, device)
    names.check(log or ())
    _warn_if_nothing_is_learned(config)
    path = (Path(out) if out is not None else default_out(config, "train")).absolute()
    all_files = {**(files or {}), **registration.files(config.env)}
    folder = run_folder.create(path, config, force=force, files=all_files, device=device)
    try:
        return _execute(folder, workers, view, should_stop, execute, log or ())
    except Exception as error:
        if any(checkpoints.steps_reached(folder)):
            log_failure(error, folder.path)
        else:  # nothing is lost, and the folder is free for the next attempt
            run_folder.undo_creation(folder)
        raise
    except KeyboardInterrupt:
        if not any(checkpoints.steps_reached(folder)):
            run_folder.undo_creation(folder)
        raise
    finally:
        run_folder.finish_creation(folder)


def _warn_if_nothing_is_learned(config: Config) -> None:
    if config.learning_starts >= config.total_steps:
        warnings.warn(
            f"total_steps = {config.total_steps} do not exceed learning_starts = {config.learning_starts}: nothing is"
            " learned; make the run longer or learning_starts smaller",
            RuntimeWarning,
            stacklevel=3,
        )


def resume(
    path: Path | str,
    *,
    total_steps: int | None = None,
    workers: int | None = None,
    view: RunView | OpenView | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    trusted: Sequence[str] = (),
    execute: Execute = worker_pool.run_blocks,
    log: Log | None = None,
) -> Run:
    """Continue an interrupted run exactly from its newest checkpoints; a finished run is returned unchanged.

    With a larger `total_steps`, continue a finished or interrupted run to that length. The result equals, bit for bit,
    the run that had been so long from the start.

    Args:
        path: the run's folder.
        total_steps: the run's new length in environment steps per agent; None leaves it as it is.
        workers: number of worker processes; by default one per core.
        view: observer of the run's progress, or a function that opens one; in a notebook, a progress bar by default.
        should_stop: polled during training; once true, the run saves and ends.
        trusted: repeats the modules that the run's configuration names (see `check_trust`).
        execute: how blocks are executed; by default in worker processes.
        log: where the records go, as in `train`; None takes the names that the run was logged to before.

    Raises:
        ConfigError: `total_steps` is less than the run's length, or a setting cannot be used here.
        StoreError: there is no run, or it cannot be lengthened because its replay memory has been deleted.
    """
    stored = run_folder.open_run(path)
    check_workers(workers)
    check_trust(stored.config, trusted)
    folder, chosen = lengthened(stored, total_steps), chosen_log(stored, log)
    if (
        folder is stored
        and Run(folder).summary.get("finished")
        and all(steps > 0 for steps in checkpoints.steps_reached(folder))
    ):
        return Run(folder)
    for change in versions.version_changes(folder.path, folder.config):
        warnings.warn(f"{change}: the run continues, but its bits may differ from an undisturbed one", stacklevel=2)
    try:
        return _execute(folder, workers, view, should_stop, execute, chosen)
    except Exception as error:
        log_failure(error, folder.path)
        raise


def check_workers(workers: int | None) -> None:
    """Raise ConfigError unless `workers` is a possible number of worker processes, or None."""
    if workers is not None and workers < 1:
        raise ConfigError(f"workers = {workers} must be at least 1")


def check_trust(config: Config, trusted: Sequence[str]) -> None:
    """Raise ConfigError if a stored configuration would import modules that the caller has not named."""
    named = [*config.env_modules, *([config.network] if config.network else [])]
    for module in named:
        if module not in trusted:
            flag = "--network" if module == config.network else "--env-module"
            raise ConfigError(
                f"the run's configuration would import the module {module!r}: if you trust it, repeat it with"
                f" {flag} {module}"
            )


def _execute(
    folder: RunFolder,
    workers: int | None,
    view: RunView | OpenView | None,
    should_stop: Callable[[], bool],
    execute: Execute,
    log: Log,
) -> Run:
    start_time, run = time.perf_counter(), Run(folder)
    with run_folder.locked(folder.path) as lock:
        run_folder.delete_temporary_files(folder)
        if folder.config.total_steps != run_folder.open_run(folder.path).config.total_steps:
            write_length(folder)
        with logging(folder, log) as deliveries:
            try:
                with _opened(view, folder) as observer:
                    logged = LoggedView(observer, deliveries)
                    outcomes = execute(folder, lock, logged, workers=workers, should_stop=should_stop)
            except BaseException as error:
                deliveries.ending = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
                _write_tables(run, {"finished": False})
                raise
            known = [o for o in outcomes if o is not None]
            finished = len(known) == len(outcomes) and not any(o.stopped for o in known)
            deliveries.ending = "finished" if finished else "stopped"
            _write_tables(run, _summary(outcomes, finished, time.perf_counter() - start_time))
    return run


def _opened(view: RunView | OpenView | None, folder: RunFolder) -> contextlib.AbstractContextManager[RunView]:
    """Return a context manager of the view to observe a run with."""
    if view is None:
        return contextlib.nullcontext(SilentView())
    return contextlib.nullcontext(view) if isinstance(view, RunView) else view(folder)


def _summary(outcomes: Sequence[Outcome | None], finished: bool, seconds: float) -> dict[str, Any]:
    known = [o for o in outcomes if o is not None]
    return {
        "finished": finished,
        "wall_seconds": seconds,
        "train_seconds": sum(o.train_seconds for o in known),
        "eval_seconds": sum(o.eval_seconds for o in known),
        "blocks": [
            None if o is None else o._asdict() | {"resumed_from": o.env_steps - o.executed_steps} for o in outcomes
        ],
    }


def _write_tables(run: Run, summary: dict[str, Any]) -> None:
    """Write tables of everything that the checkpoints contain, and the summary with what happened to the run."""
    blocks = run.config.blocks()
    newest = [checkpoints.read_checkpoint(run.folder, block, with_replay=False) for block in range(len(blocks))]
    histories = [
        History.empty(len(agents)) if checkpoint is None else History.from_arrays(checkpoint.arrays)
        for agents, checkpoint in zip(blocks, newest, strict=True)
    ]
    inexact = [{"block": b, "env_steps": at} for b, history in enumerate(histories) for at in history.inexact_resumes]
    marks = {"inexact_resumes": inexact, "lengthened_from": run.summary.get("lengthened_from", [])}
    write_tables(run.folder, make_tables(run.folder, histories), {**summary, **marks})
