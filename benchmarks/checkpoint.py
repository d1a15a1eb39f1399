"""What checkpoints cost: the same run with one every 10 000 steps and with none."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import NamedTuple

from benchmarks import cartpole, lander, measure
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, ratios, spread
from softstep.config import Config

EVERY = 10_000
ALLOWED = 2.0
"""Per cent of run time."""

NOTES = [
    "checkpoints change no numbers, so both runs of a pair do exactly the same work; overhead pair by pair.",
    f"steps/s with a checkpoint every {EVERY:,} environment steps (ours) and with none (peer).".replace(",", " "),
]


class Size(NamedTuple):
    """Pairs, and the steps of a sample, of which the first are warm-up."""

    rounds: int
    compiled: int
    host: int
    warm: int


FULL = Size(rounds=5, compiled=160_000, host=160_000, warm=12_000)
QUICK = Size(rounds=1, compiled=22_000, host=22_000, warm=2_000)


def run(*, quick: bool) -> Result:
    """The compiled loop with eight agents, and the lander with one and with eight."""
    size, samples, rows = QUICK if quick else FULL, dict[str, list[Sample]](), list[Row]()
    works = {
        "gymnax CartPole, 8 agents": cartpole.config(size.compiled),
        "LunarLander-v3, 1 agent": lander.config(size.host, 1),
        "LunarLander-v3, 8 agents": lander.config(size.host, 8),
    }
    for label, config in list(works.items())[: 2 if quick else 3]:
        with_some, with_none = _pair(label, config, size)
        samples |= {f"{label}, checkpoints": with_some, f"{label}, none": with_none}
        rows += _rows(label, rates(with_some), rates(with_none))
    return Result("checkpoint", f"Cost of a checkpoint every {EVERY} steps", rows, samples, NOTES)


def _pair(label: str, config: Config, size: Size) -> tuple[list[Sample], list[Sample]]:
    sides = {
        f"{label}, {name}": partial(measure.ours, dataclasses.replace(config, checkpoint_every=every), warm=size.warm)
        for name, every in (("checkpoints", EVERY), ("none", 10**12))
    }
    with_some, with_none = measure.alternate(sides, size.rounds).values()
    return with_some, with_none


def _rows(label: str, some: list[float], none: list[float]) -> list[Row]:
    overhead = [100 * (ratio - 1) for ratio in ratios(none, some)]
    return [
        Row(label, "steps/s", spread(some), spread(none)),
        Row(f"{label}, overhead", "%", spread(overhead), required=ALLOWED, sense="at most"),
    ]
