"""What checkpoints cost: their share of the time in which a block trains."""

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

EVERY = 10_000
ALLOWED = 2.0
"""Per cent of run time."""

NOTES = [
    "one block, a checkpoint every 10 000 environment steps: the time for which the stepping thread waits, and all of",
    "the processor time of the thread that writes it, over the time in between.",
    "Two whole runs, with checkpoints and without, differ by more than that from moment to moment on a shared machine.",
]


class Size(NamedTuple):
    """Rounds, and environment steps of a sample."""

    rounds: int
    steps: int


FULL = Size(rounds=3, steps=80_000)
QUICK = Size(rounds=1, steps=40_000)


def run(*, quick: bool) -> Result:
    """The compiled loop with four agents, and the lander with one and with four."""
    size = QUICK if quick else FULL
    works = {
        "gymnax CartPole, 4 agents": dataclasses.replace(cartpole.config(size.steps), seeds=4),
        "LunarLander-v3, 1 agent": lander.preset(size.steps, 1),
        "LunarLander-v3, 4 agents": lander.preset(size.steps, 4),
    }
    samples = measure.alternate({label: partial(_sample, config) for label, config in works.items()}, size.rounds)
    rows = [
        Row(label, "%", spread([sample["percent"] for sample in taken]), required=ALLOWED, sense="at most")
        for label, taken in samples.items()
    ]
    return Result("checkpoint", f"Cost of a checkpoint every {EVERY} steps", rows, samples, NOTES)


def _sample(config: Config) -> Sample:
    request = {"config": json.loads(dataclasses.replace(config, checkpoint_every=EVERY).to_json())}
    return measure.ask([sys.executable, "-m", "benchmarks.saving"], request)
