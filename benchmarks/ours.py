"""Our side, in a process of its own: one run through `softstep.train` and its worker processes; prints one JSON line.

    python -m benchmarks.ours '{"config": {...}, "workers": 2, "warm": 12000}'

The rate is taken from progress events between two moments: when every worker has done `warm` environment steps (so that
start-up, compiling, the first record and the first checkpoint lie before), and when the first of them ends. Records and
checkpoints in between are part of it, as they are for a user.
"""

from __future__ import annotations

import json
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
"""Where users' runs go too: the same disk."""


@dataclass
class Timeline:
    """When a block stood where."""

    agents: int
    seconds: list[float] = field(default_factory=list)
    env_steps: list[int] = field(default_factory=list)

    def passes(self, warm: int) -> float:
        """The first moment at or after `warm` environment steps."""
        return next(t for t, steps in zip(self.seconds, self.env_steps, strict=True) if steps >= warm)

    @property
    def end(self) -> float:
        """The last moment heard of."""
        return self.seconds[-1]

    def agent_steps(self, begin: float, end: float) -> float:
        """Environment steps of its agents together between two moments."""
        return self.agents * (self._at(end) - self._at(begin))

    def _at(self, moment: float) -> float:
        """Environment steps at a moment, on the line between the two events around it."""
        if moment >= self.end:
            return self.env_steps[-1]
        after = next(i for i, t in enumerate(self.seconds) if t > moment)
        if after == 0:
            return self.env_steps[0]
        (t0, t1), (s0, s1) = self.seconds[after - 1 : after + 1], self.env_steps[after - 1 : after + 1]
        return s0 + (s1 - s0) * (moment - t0) / (t1 - t0)


class Clock:
    """A view that only writes down when each block stood where."""

    def __init__(self, agents: Sequence[int]) -> None:
        self.blocks = [Timeline(count) for count in agents]

    def update(self, block: int, progress: Any) -> None:
        """A block has moved on."""
        self.blocks[block].seconds.append(time.perf_counter())
        self.blocks[block].env_steps.append(progress.env_steps)

    def finished(self, block: int) -> None:
        """Nothing: its last progress has been heard."""

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Nothing."""


def throughput(blocks: Sequence[Timeline], warm: int, workers: int) -> tuple[float, float]:
    """(agent-steps, seconds) of the time in which every worker is past its warm-up and none has run out of work.

    What lies between a worker's blocks is part of it. With one worker: the sum of its blocks' own windows.
    """
    if workers == 1:
        windows = [(block, block.passes(warm), block.end) for block in blocks]
        return sum(b.agent_steps(t0, t1) for b, t0, t1 in windows), sum(t1 - t0 for _, t0, t1 in windows)
    busy = min(workers, len(blocks))
    first = sorted(blocks, key=lambda block: block.seconds[0])[:busy]
    begin, end = max(block.passes(warm) for block in first), sorted(block.end for block in blocks)[-busy]
    if begin >= end:
        raise ValueError("the workers never ran side by side: ask for more steps")
    return sum(block.agent_steps(begin, end) for block in blocks), end - begin


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Train as the request says, in a folder that is deleted afterwards."""
    config = softstep.Config.from_mapping(request["config"], source="benchmark")
    clock = Clock([len(block) for block in config.blocks()])
    RUNS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=RUNS) as folder:
        softstep.train(config, Path(folder) / "run", workers=request["workers"], view=clock)
    agent_steps, seconds = throughput(clock.blocks, request["warm"], request["workers"])
    return {"rate": agent_steps / seconds, "agent_steps": agent_steps, "seconds": seconds, "peak_mb": peak_megabytes()}


def peak_megabytes() -> float:
    """The most memory that any worker process has held."""
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
