"""The cost of a step at replay capacities of 10 000, 100 000 and 1 000 000, every replay full; and peak memory."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple

from benchmarks import lander, measure
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, ratios, spread
from softstep.config import Config

WITHIN = 10.0
"""Per cent by which a step may cost more than at the smallest capacity."""

NOTES = [
    "one agent; every run takes as many random steps first as the largest replay holds, so the runs differ in nothing",
    "but the capacity, and every replay is full when the clock starts. Memory: the most that the worker process held.",
]


class Size(NamedTuple):
    """Capacities, rounds, and the learning steps of a sample, of which the first are warm-up."""

    rounds: int
    capacities: tuple[int, ...]
    compiled: int
    host: int
    warm: int


FULL = Size(rounds=3, capacities=(10_000, 100_000, 1_000_000), compiled=60_000, host=60_000, warm=12_000)
QUICK = Size(rounds=1, capacities=(1_000, 5_000, 10_000), compiled=3_000, host=2_000, warm=1_000)


def configs(size: Size) -> dict[str, Config]:
    """One learning agent on each kind of driver."""
    fill = max(size.capacities)
    lab = lander.config(1, 1)
    compiled = dataclasses.replace(lab, env="gymnax:CartPole-v1", train_every=1)
    return {
        "gymnax CartPole, compiled": dataclasses.replace(
            compiled, learning_starts=fill, total_steps=fill + size.compiled
        ),
        "LunarLander-v3, host": dataclasses.replace(lab, learning_starts=fill, total_steps=fill + size.host),
    }


def run(*, quick: bool) -> Result:
    """Both drivers, the capacities in turn."""
    size, samples, rows = QUICK if quick else FULL, dict[str, list[Sample]](), list[Row]()
    for label, config in configs(size).items():
        found = measure.alternate(_sides(label, config, size), size.rounds)
        samples |= found
        rows += _rows(label, list(found.values()), size.capacities)
    return Result("capacity", "Cost of a step against replay capacity", rows, samples, NOTES)


def _sides(label: str, config: Config, size: Size) -> dict[str, Any]:
    warm = config.learning_starts + size.warm
    return {
        f"{label}, {_count(capacity)}": partial(
            measure.ours, dataclasses.replace(config, memory_size=capacity), warm=warm
        )
        for capacity in size.capacities
    }


def _rows(label: str, found: list[list[Sample]], capacities: tuple[int, ...]) -> list[Row]:
    """Costs, how much more than at the smallest capacity, and memory."""
    names = [f"{label}, {_count(capacity)}" for capacity in capacities]
    rows = []
    for name, samples in zip(names, found, strict=True):
        rows.append(Row(name, "µs per agent-step", spread([1e6 / rate for rate in rates(samples)])))
    for name, samples in zip(names[1:], found[1:], strict=True):
        more = [100 * (ratio - 1) for ratio in ratios(rates(found[0]), rates(samples))]
        label_more = f"{name}: more than at {_count(capacities[0])}"
        rows.append(Row(label_more, "%", spread(more), required=WITHIN, sense="at most"))
    for name, samples in zip(names, found, strict=True):
        rows.append(Row(f"{name}: peak memory", "MB", spread([sample["peak_mb"] for sample in samples])))
    return rows


def _count(capacity: int) -> str:
    return f"{capacity:,}".replace(",", " ")
