"""Run blocks as tasks of a Ray cluster whose machines share the study's folder.

The cluster is the one that `RAY_ADDRESS` names, or else one that is started on this machine. A task that loses its
worker is retried and continues from the block's checkpoint. Anybody who can reach the ports of a Ray cluster can run
code on it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softstep import envs
from softstep.config import Config
from softstep.errors import Abandoned, EnvironmentFailed, WorkerFailed, one_line
from softstep.extras import required_by
from softstep.jax_settings.dispatch import set_dispatch
from softstep.records.events import Hooks, Outcome, Progress
from softstep.runs import checkpoints, run_folder, worker_env
from softstep.runs.failure_log import log_failure
from softstep.runs.run_folder import RunFolder
from softstep.runs.worker_pool import SAVE_PATIENCE, RunView, finished_outcomes
from softstep.training.replay_rows import replay_bytes
from softstep.worker.run_block import execute_block
from softstep.worker.stop import StopRequest

if TYPE_CHECKING:
    from types import ModuleType

MAX_RETRIES = 3
"""How often a task is retried after its worker was lost."""
BASE_BYTES = 600_000_000
"""Memory of a worker without its replay: Python, JAX and compiled programs."""
POLL_SECONDS = 0.5


def run_blocks(
    run: RunFolder,
    lock: int,
    view: RunView,
    *,
    workers: int | None = None,
    should_stop: Callable[[], bool],
    failed: dict[int, str] | None = None,
) -> list[Outcome | None]:
    """Train every unfinished block of a run, each as one task with one CPU.

    Args:
        run: the run folder, shared by all machines of the cluster.
        lock: file descriptor of the folder's lock; it stays with this process, so that nobody else writes meanwhile.
        view: observer of the progress.
        workers: most tasks at a time on a cluster that is started here; None means one per core.
        should_stop: polled during training; once true, all tasks save and end.
        failed: receives the errors of failed blocks, by block; without it they are raised.

    Returns:
        The outcome of every block; None for those that were cancelled or have failed.

    Raises:
        MissingExtra: Ray is not installed.
    """
    ray = connect(workers)
    outcomes = finished_outcomes(run)
    task = ray.remote(
        num_cpus=1, memory=block_bytes(run.config), max_retries=MAX_RETRIES,
        runtime_env={"env_vars": worker_env.settings() | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}},
    )(train_block)  # fmt: skip
    folder = str(run.path.resolve())
    pending = {task.remote(folder, block): block for block, outcome in enumerate(outcomes) if outcome is None}
    started, new_blocks = time.perf_counter(), set(pending.values())
    while pending:
        ready, _ = ray.wait(list(pending), timeout=POLL_SECONDS)
        for reference in ready:
            block = pending.pop(reference)
            outcomes[block] = _task_outcome(ray, reference, block, failed)
            view.finished(block)
        _report_progress(run, view, time.perf_counter() - started, new_blocks)
        if should_stop():
            _stop_tasks(ray, list(pending))
            break
    return outcomes


def connect(workers: int | None = None) -> ModuleType:
    """Return Ray, connected to the cluster of `RAY_ADDRESS` or to one that is started on this machine's loopback."""
    with required_by("--workers ray"):
        import ray
    if not ray.is_initialized():
        options: dict[str, Any] = {}
        if "RAY_ADDRESS" not in os.environ:
            options = {"num_cpus": workers or worker_env.cores(), "include_dashboard": False}
        ray.init(log_to_driver=False, **options)
    return ray


def block_bytes(config: Config) -> int:
    """Return the memory that a block's task declares: the worker itself and a full replay."""
    return BASE_BYTES + replay_bytes(config, envs.describe(config))


def train_block(folder: str, block: int) -> dict[str, Any]:
    """Train a block in the process of a Ray worker; return its outcome, or the environment's error.

    A task that is cancelled without force gets the equivalent of Ctrl-C, saves and ends.
    """
    stop = StopRequest()

    def cancel(*_: Any) -> None:
        stop.ask()
        stop.interrupt()

    before = signal.signal(signal.SIGINT, cancel)
    set_dispatch(overlap=False)
    hooks = Hooks(should_stop=stop.is_asked, abandonable=stop.abandonable)
    try:
        return {"outcome": execute_block(run_folder.open_run(Path(folder)), block, hooks)._asdict()}
    except EnvironmentFailed as error:
        log_failure(error, Path(folder))
        return {"failed": one_line(error)}
    except Abandoned:
        return {"failed": "stopped before its first iteration"}
    finally:
        signal.signal(signal.SIGINT, before)


def _stop_tasks(ray: Any, references: list[Any]) -> None:
    """Let tasks save and end; those that take too long can be resumed from their last checkpoints."""
    for reference in references:
        ray.cancel(reference)
    _, busy = ray.wait(references, num_returns=len(references), timeout=SAVE_PATIENCE)
    for reference in busy:
        ray.cancel(reference, force=True)


def _task_outcome(ray: Any, reference: Any, block: int, failed: dict[int, str] | None) -> Outcome | None:
    """Return the outcome of a finished task; a failure is noted in `failed`, or raised if that is None."""
    error: Exception
    try:
        result = ray.get(reference)
        if "outcome" in result:
            return Outcome(**result["outcome"])
        error = EnvironmentFailed(result["failed"])
    except ray.exceptions.WorkerCrashedError:
        error = WorkerFailed(f"block {block} lost its worker {MAX_RETRIES + 1} times: continue with --resume")
    if failed is None:
        raise error
    failed[block] = str(error)
    return None


def _report_progress(run: RunFolder, view: RunView, seconds: float, blocks: set[int]) -> None:
    """Tell the view how far the blocks are, according to their checkpoints."""
    for block, steps in enumerate(checkpoints.steps_reached(run)):
        if steps and block in blocks:
            view.update(block, Progress(steps, 0, seconds, float("nan")))
