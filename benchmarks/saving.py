"""What checkpoints cost one block, in a process of its own; prints one JSON line.

    python -m benchmarks.saving '{"config": {...}}'

Two clocks: the wall time by which a checkpoint holds up the stepping thread, and the processor time of the thread that
writes it (all of it could be in the way, if it shared a core or held the interpreter's lock throughout).
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
from softstep.runs import checkpoints, worker_env


class Clocked:
    """A function and the seconds that its calls took, by the given clock."""

    def __init__(self, function: Callable[..., Any], clock: Callable[[], float]) -> None:
        self.function, self.clock = function, clock
        self.seconds: list[float] = []

    def __call__(self, *arguments: Any) -> Any:
        begun = self.clock()
        try:
            return self.function(*arguments)
        finally:
            self.seconds.append(self.clock() - begun)


def sample(config: Config) -> dict[str, Any]:
    """Train the first block; the share of its training time that checkpoints took."""
    from softstep.records.events import Hooks
    from softstep.runs import run_folder
    from softstep.training import loop
    from softstep.worker.run_block import execute_block

    holding_up, writing = (
        Clocked(loop._checkpoint, time.perf_counter),
        Clocked(checkpoints.CheckpointWriter._save, time.thread_time),
    )
    loop._checkpoint = holding_up  # type: ignore[assignment]
    checkpoints.CheckpointWriter._save = lambda *arguments: writing(*arguments)  # type: ignore[method-assign]
    RUNS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RUNS) as folder:
        outcome = execute_block(run_folder.create(Path(folder) / "run", config), 0, Hooks())
    spent = sum(holding_up.seconds[1:-1]) + sum(writing.seconds[1:-1])  # all but the first, which compiles, and the end
    share = (len(holding_up.seconds) - 2) * config.checkpoint_every / outcome.env_steps
    return {
        "seconds": outcome.train_seconds,
        "percent": 100 * spent / (share * outcome.train_seconds),
        "checkpoints": len(holding_up.seconds),
    }


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    wanted = Config.from_mapping(asked["config"], source="benchmark")
    os.environ.update(worker_env.settings(overlap=wanted.num_agents == 1))
    print(json.dumps(sample(wanted)))
