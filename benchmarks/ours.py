"""softstep's side in its own process: train through `softstep.train` and its workers, and print one JSON line.

    python -m benchmarks.ours '{"config": {...}, "workers": 2, "warm": 12000}'

The rate is computed from progress events between two moments: when every worker has done `warm` environment steps (so
that start-up, compilation, the first record and the first checkpoint come before), and when the first worker ends. The
time for records and checkpoints in between is included, as it is for a user.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import softstep

RUNS = Path(__file__).parent.parent / "runs"
"""The folder of users' runs, so that benchmarks write to the same disk."""


@dataclass
class Timeline:
    """Progress of a block over time: its environment steps at each moment, in seconds."""

    agents: int
    seconds: list[float] = field(default_factory=list)
    env_steps: list[int] = field(default_factory=list)
    gradient_steps: int = 0
    """Gradient steps of each of its agents at the last moment."""

    def time_at(self, env_steps: int) -> float:
        """Return the first recorded moment with at least `env_steps` environment steps; infinity if there is none."""
        return next((t for t, steps in zip(self.seconds, self.env_steps, strict=True) if steps >= env_steps), math.inf)

    @property
    def end(self) -> float:
        """Last recorded moment."""
        return self.seconds[-1]

    def agent_steps(self, begin: float, end: float) -> float:
        """Return the environment steps of all its agents between two moments."""
        return self.agents * (self._env_steps_at(end) - self._env_steps_at(begin))

    def _env_steps_at(self, moment: float) -> float:
        """Interpolate the environment steps at a moment linearly between the surrounding events."""
        if moment >= self.end:
            return self.env_steps[-1]
        after = next(i for i, t in enumerate(self.seconds) if t > moment)
        if after == 0:
            return self.env_steps[0]
        (t0, t1), (s0, s1) = self.seconds[after - 1 : after + 1], self.env_steps[after - 1 : after + 1]
        return s0 + (s1 - s0) * (moment - t0) / (t1 - t0)


class ProgressLog:
    """A view that records the progress of each block over time."""

    def __init__(self, agents: Sequence[int]) -> None:
        self.blocks = [Timeline(count) for count in agents]

    def update(self, block: int, progress: Any) -> None:
        """Record the progress of a block."""
        self.blocks[block].seconds.append(time.perf_counter())
        self.blocks[block].env_steps.append(progress.env_steps)
        self.blocks[block].gradient_steps = progress.gradient_steps

    def finished(self, block: int) -> None:
        """Do nothing: the last progress has been recorded."""

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Ignore records."""


def throughput(blocks: Sequence[Timeline], warm: int, workers: int) -> tuple[float, float]:
    """Return (agent-steps, seconds) of the time after every worker's warm-up and before the first one is out of work.

    The time between a worker's blocks is included. With one worker, the windows of its blocks are added up.
    """
    if workers == 1:
        windows = [(block, block.time_at(warm), block.end) for block in blocks]
        if any(begin >= end for _, begin, end in windows):
            raise ValueError("no progress was reported after the warm-up: request more steps")
        return sum(b.agent_steps(t0, t1) for b, t0, t1 in windows), sum(t1 - t0 for _, t0, t1 in windows)
    busy = min(workers, len(blocks))
    first = sorted(blocks, key=lambda block: block.seconds[0])[:busy]
    begin, end = max(block.time_at(warm) for block in first), sorted(block.end for block in blocks)[-busy]
    if begin >= end:
        raise ValueError("the workers' timed windows do not overlap: request more steps")
    return sum(block.agent_steps(begin, end) for block in blocks), end - begin


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Train as requested, in a temporary folder, and return the sample."""
    config = softstep.Config.from_mapping(request["config"], source="benchmark")
    log = ProgressLog([len(block) for block in config.blocks()])
    RUNS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=RUNS) as folder:
        workers = None if request["device"] == "gpu" else request["workers"]
        softstep.train(config, Path(folder) / "run", workers=workers, device=request["device"], view=log)
    agent_steps, seconds = throughput(log.blocks, request["warm"], request["workers"])
    return {
        "rate": agent_steps / seconds,
        "agent_steps": agent_steps,
        "seconds": seconds,
        "gradient_steps_of_run": sum(block.agents * block.gradient_steps for block in log.blocks),
        "peak_mb": peak_megabytes(),
    }


def peak_megabytes() -> float:
    """Return the peak memory of the largest worker process, in MB."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
