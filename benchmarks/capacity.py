"""Cost of a step and peak memory at replay capacities of 10 000, 100 000 and 1 000 000, with full buffers."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple

from benchmarks import lander, measure
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, ratios, spread
from softstep.config import Config

MAX_EXTRA_PERCENT = 10.0
"""Most that a step may cost in excess of its cost at the smallest capacity, in per cent."""

NOTES = [
    "one agent; every run first takes as many random steps as the largest replay buffer holds, so runs differ only in",
    "capacity and every buffer is full when timing starts. Memory: the peak of the worker process.",
]


class Size(NamedTuple):
    """Rounds, capacities, and learning steps per sample, of which the first `warm` are warm-up."""

    rounds: int
    capacities: tuple[int, ...]
    compiled: int
    host: int
    warm: int


FULL = Size(rounds=3, capacities=(10_000, 100_000, 1_000_000), compiled=60_000, host=60_000, warm=12_000)
QUICK = Size(rounds=1, capacities=(1_000, 5_000, 10_000), compiled=40_000, host=20_000, warm=5_000)


def configs(size: Size) -> dict[str, Config]:
    """Return one learning agent for each kind of driver."""
    fill = max(size.capacities)
    base = lander.config(1, 1)
    compiled = dataclasses.replace(base, env="gymnax:CartPole-v1", train_every=1)
    return {
        "gymnax CartPole, compiled": dataclasses.replace(
            compiled, learning_starts=fill, total_steps=fill + size.compiled
        ),
        "LunarLander-v3, host": dataclasses.replace(base, learning_starts=fill, total_steps=fill + size.host),
    }


def run(*, quick: bool) -> Result:
    """Measure both drivers at each capacity in turn."""
    size, samples, rows = QUICK if quick else FULL, dict[str, list[Sample]](), list[Row]()
    for label, config in configs(size).items():
        driver_samples = measure.alternate(_sides(label, config, size), size.rounds)
        samples |= driver_samples
        rows += _rows(label, list(driver_samples.values()), size.capacities)
    return Result("capacity", "Cost of a step against replay capacity", rows, samples, NOTES)


def _sides(label: str, config: Config, size: Size) -> dict[str, Any]:
    warm = config.learning_starts + size.warm
    return {
        f"{label}, {_format_count(capacity)}": partial(
            measure.ours, dataclasses.replace(config, memory_size=capacity), warm=warm
        )
        for capacity in size.capacities
    }


def _rows(label: str, samples_by_capacity: list[list[Sample]], capacities: tuple[int, ...]) -> list[Row]:
    """Return rows for the cost, the extra cost over the smallest capacity, and the peak memory."""
    names = [f"{label}, {_format_count(capacity)}" for capacity in capacities]
    rows = []
    for name, samples in zip(names, samples_by_capacity, strict=True):
        rows.append(Row(name, "µs per agent-step", spread([1e6 / rate for rate in rates(samples)])))
    for name, samples in zip(names[1:], samples_by_capacity[1:], strict=True):
        extra = [100 * (ratio - 1) for ratio in ratios(rates(samples_by_capacity[0]), rates(samples))]
        extra_label = f"{name}: more than at {_format_count(capacities[0])}"
        rows.append(Row(extra_label, "%", spread(extra), required=MAX_EXTRA_PERCENT, sense="at most"))
    for name, samples in zip(names, samples_by_capacity, strict=True):
        rows.append(Row(f"{name}: peak memory", "MB", spread([sample["peak_mb"] for sample in samples])))
    return rows


def _format_count(capacity: int) -> str:
    return f"{capacity:,}".replace(",", " ")
