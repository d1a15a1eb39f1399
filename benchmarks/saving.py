"""Measure the cost of one block's checkpoints in a separate process and print one JSON line.

    python -m benchmarks.saving '{"config": {...}}'

The cost is the wall time for which a checkpoint delays the stepping thread, plus the processor time of the writer
thread. Counting all of the latter is the worst case: a shared core, or an interpreter lock held throughout.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.ours import RUNS
from softstep.config import Config
from softstep.jax_settings.dispatch import set_dispatch
from softstep.runs import checkpoints, worker_env


class TimedFunction:
    """A function that records the duration of its calls, measured by the given clock."""

    def __init__(self, function: Callable[..., Any], clock: Callable[[], float]) -> None:
        self.function, self.clock = function, clock
        self.seconds: list[float] = []

    def __call__(self, *arguments: Any) -> Any:
        start = self.clock()
        try:
            return self.function(*arguments)
        finally:
            self.seconds.append(self.clock() - start)


def sample(config: Config) -> dict[str, Any]:
    """Train the first block and return the share of its training time that checkpoints took, in per cent."""
    # imported here because the environment variables of workers must be set before jax is imported
    from softstep.records.events import Hooks
    from softstep.runs import run_folder
    from softstep.training import loop
    from softstep.worker.run_block import execute_block

    blocking, writing = (
        TimedFunction(loop.checkpoint, time.perf_counter),
        TimedFunction(checkpoints.CheckpointWriter._save, time.thread_time),
    )
    loop.checkpoint = blocking  # type: ignore[assignment]
    checkpoints.CheckpointWriter._save = lambda *arguments: writing(*arguments)  # type: ignore[method-assign]
    RUNS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RUNS) as folder:
        outcome = execute_block(run_folder.create(Path(folder) / "run", config), 0, Hooks())
    # without the first checkpoint, which includes compilation, and the writing of the final one
    seconds = sum(blocking.seconds[1:]) + sum(writing.seconds[1:-1])
    share = (len(blocking.seconds) - 1) * config.checkpoint_every / outcome.env_steps
    return {
        "seconds": outcome.train_seconds,
        "percent": 100 * seconds / (share * outcome.train_seconds),
        "checkpoints": len(blocking.seconds) + 1,
    }


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    requested_config = Config.from_mapping(request["config"], source="benchmark")
    os.environ.update(worker_env.settings())
    set_dispatch(overlap=requested_config.num_agents == 1)
    print(json.dumps(sample(requested_config)))
