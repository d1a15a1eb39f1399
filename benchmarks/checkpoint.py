"""Cost of checkpoints, as a share of a block's training time."""

from __future__ import annotations

import dataclasses
import json
import sys
from functools import partial
from typing import NamedTuple

from benchmarks import cartpole, lander, measure
from benchmarks.measure import Result, Sample
from benchmarks.table import Row, spread
from softstep.config import Config

CHECKPOINT_EVERY = 10_000
MAX_PERCENT = 1.0
"""Most that checkpoints may take, in per cent of run time."""

NOTES = [
    "one block, a checkpoint every 10 000 environment steps: the time for which the stepping thread waits, plus the",
    "processor time of the writer thread, divided by the time between checkpoints.",
    "Comparing whole runs with and without checkpoints would not show this: runs on a shared machine vary by more.",
]


class Size(NamedTuple):
    """Rounds, and environment steps per sample."""

    rounds: int
    steps: int


FULL = Size(rounds=3, steps=80_000)
QUICK = Size(rounds=1, steps=40_000)


def run(*, quick: bool) -> Result:
    """Measure the compiled loop with four agents, and Lunar Lander with one and with four."""
    size = QUICK if quick else FULL
    configs = {
        "gymnax CartPole, 4 agents": dataclasses.replace(cartpole.config(size.steps), seeds=4),
        "LunarLander-v3, 1 agent": lander.preset(size.steps, 1),
        "LunarLander-v3, 4 agents": lander.preset(size.steps, 4),
    }
    samples = measure.alternate({label: partial(_sample, config) for label, config in configs.items()}, size.rounds)
    rows = [
        Row(label, "%", spread([sample["percent"] for sample in side_samples]), required=MAX_PERCENT, sense="at most")
        for label, side_samples in samples.items()
    ]
    return Result("checkpoint", f"Cost of a checkpoint every {CHECKPOINT_EVERY} steps", rows, samples, NOTES)


def _sample(config: Config) -> Sample:
    request = {"config": json.loads(dataclasses.replace(config, checkpoint_every=CHECKPOINT_EVERY).to_json())}
    return measure.run_request([sys.executable, "-m", "benchmarks.saving"], request)
