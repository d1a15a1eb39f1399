"""Blocks as tasks of a Ray cluster whose machines share the study's folder.

The cluster is the one that `RAY_ADDRESS` names, or, without it, one on this machine. A task that loses its worker is
tried again and goes on from the block's checkpoint. Whoever reaches a Ray cluster's ports can run code on it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softstep import envs
from softstep.config import Config
from softstep.errors import ConfigError, EnvironmentFailed, WorkerFailed
from softstep.records.events import Hooks, Outcome, Progress
from softstep.runs import checkpoints, run_folder, worker_env
from softstep.runs.run_folder import RunFolder
from softstep.runs.worker_pool import RunView, finished_outcomes
from softstep.training.replay_rows import row_width
from softstep.worker.run_block import execute_block

if TYPE_CHECKING:
    from types import ModuleType

RETRIES = 3
"""Times a task is started anew after its worker was lost."""
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
    """Train every block that is not yet at its end, each as one task of one CPU; None where `should_stop` came first.

    `workers` bounds how many run at once on a cluster that is started here. `lock` stays with this process: nobody
    else may write to the folder meanwhile. ConfigError where Ray is not installed.
    """
    ray = connect(workers)
    outcomes = finished_outcomes(run)
    task = ray.remote(
        num_cpus=1, memory=block_bytes(run.config), max_retries=RETRIES,
        runtime_env={"env_vars": worker_env.settings(overlap=False) | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}},
    )(train_block)  # fmt: skip
    folder = str(run.path.resolve())
    waiting = {task.remote(folder, block): block for block, found in enumerate(outcomes) if found is None}
    begun, new = time.perf_counter(), set(waiting.values())
    while waiting:
        ready, _ = ray.wait(list(waiting), timeout=POLL_SECONDS)
        for reference in ready:
            block = waiting.pop(reference)
            outcomes[block] = _outcome(ray, reference, block, failed)
            view.finished(block)
        _tell(run, view, begun, new)
        if should_stop():
            for reference in waiting:
                ray.cancel(reference, force=True)  # blocks go on from their checkpoints
            break
    return outcomes


def connect(workers: int | None = None) -> ModuleType:
    """Ray, connected: to the cluster of `RAY_ADDRESS`, or to one that is started on this machine's loopback."""
    try:
        import ray
    except ImportError:
        raise ConfigError("--workers ray needs Ray: pip install 'softstep[ray]'") from None
    if not ray.is_initialized():
        elsewhere = "RAY_ADDRESS" in os.environ
        here = {} if elsewhere else {"num_cpus": workers or worker_env.cores(), "include_dashboard": False}
        ray.init(log_to_driver=False, **here)
    return ray


def block_bytes(config: Config) -> int:
    """Memory that a block's task declares: its replay, full, beside the worker itself."""
    width = row_width(envs.describe(config).observation_size)
    return BASE_BYTES + config.width * (config.memory_size + config.steps_per_iteration) * width * 4


def train_block(folder: str, block: int) -> dict[str, Any]:
    """One task: train a block to its end, in the process of a Ray worker."""
    try:
        return {"outcome": execute_block(run_folder.open_run(Path(folder)), block, Hooks())._asdict()}
    except EnvironmentFailed as error:
        return {"failed": str(error)}


def _outcome(ray: Any, reference: Any, block: int, failed: dict[int, str] | None) -> Outcome | None:
    """What became of a block; a failure is noted in `failed`, or raised without it."""
    error: Exception
    try:
        told = ray.get(reference)
        if "outcome" in told:
            return Outcome(**told["outcome"])
        error = EnvironmentFailed(told["failed"])
    except ray.exceptions.WorkerCrashedError:
        error = WorkerFailed(f"block {block} lost its worker {RETRIES + 1} times")
    if failed is None:
        raise error
    failed[block] = str(error)
    return None


def _tell(run: RunFolder, view: RunView, begun: float, new: set[int]) -> None:
    """Progress, as far as the checkpoints tell it."""
    seconds = time.perf_counter() - begun
    for block, steps in enumerate(checkpoints.steps_reached(run)):
        if steps and block in new:
            view.update(block, Progress(steps, 0, seconds, float("nan")))
