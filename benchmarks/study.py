"""Populations of 8 to 256 agents: cost per agent-step beside rejax, stable-baselines3 and the arithmetic lower bound.

The lower bound is the time of an update's matrix products at the machine's own speed: three products per layer
(forward, backward for the input, backward for the weights; none for the first layer's input) and one forward pass of
the target, 2·m·n·k operations each, at the rate of the fastest float32 matrix product of NumPy's BLAS on one core.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from benchmarks import cartpole, lander, machine, measure
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, rate_row, ratios, spread
from softstep.config import Config

POPULATIONS = (8, 64, 256)
MAX_COST_RATIO = 1.15
"""Most that an agent-step may cost at 256 agents, relative to the cheapest of the three populations."""

PEAK = """
import json, time
import numpy as np
best = 0.0
for size in (256, 512):
    a = np.random.default_rng(0).random((size, size), np.float32)
    for _ in range(40):
        start = time.perf_counter()
        a @ a
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
print(json.dumps({"rate": best}))
"""

NOTES = [
    "as shipped: the whole machine; core for core: one core, one thread on both sides. Blocks of 8 agents, or of 4",
    "when 8 agents share two cores.",
    "an agent-step on CartPole: environment, replay, a gradient step and a soft update; Lander: the `lab` preset.",
    "the floor (lower bound) counts only the matrix products of an update, at the speed measured on one core.",
]


class Size(NamedTuple):
    """Rounds, steps per sample, and population sizes."""

    rounds: int
    ours: int
    warm: int
    rejax: int
    sb3: int
    populations: Sequence[int]


FULL = Size(rounds=3, ours=40_000, warm=12_000, rejax=6_000, sb3=6_000, populations=POPULATIONS)
QUICK = Size(1, 3_000, 1_500, 300, 600, (8, 16))


def population(agents: int, steps: int, *, one_core: bool = False) -> Config:
    """Return CartPole in blocks of eight agents, or of four if only eight agents share the whole machine."""
    width = 4 if agents == 8 and not one_core else 8
    return dataclasses.replace(cartpole.config(steps), seeds=agents, block_width=width)


def run(*, quick: bool) -> Result:
    """Measure populations, rejax, Lunar Lander and the arithmetic lower bound."""
    size = QUICK if quick else FULL
    sides: dict[str, Any] = {
        f"{agents} agents": partial(measure.ours, population(agents, size.ours), warm=size.warm)
        for agents in size.populations
    }
    for agents in size.populations[:2]:
        peer_work = cartpole.peer_settings(population(agents, size.ours)) | {
            "env": "CartPole-v1", "agents": agents, "warm": max(400, size.rejax // 4), "steps": size.rejax,
        }  # fmt: skip
        sides[f"rejax, {agents}"] = partial(measure.rejax, peer_work)
        sides[f"rejax, {agents}, one core"] = partial(measure.rejax, peer_work, one_core=True)
        one_core_work = population(agents, size.ours, one_core=True)
        sides[f"{agents} agents, one core"] = partial(measure.ours, one_core_work, warm=size.warm, one_core=True)
    lander_work = dataclasses.replace(lander.preset(size.ours, size.populations[1]), block_width=8)
    sides["lander"] = partial(measure.ours, lander_work, warm=size.warm)
    sb3_work = cartpole.peer_settings(lander.config(size.sb3, 1)) | {
        "do": "speed", "env": "LunarLander-v3", "warm": 500, "steps": size.sb3,
    }  # fmt: skip
    sides["stable-baselines3"] = partial(measure.sb3, sb3_work, one_core=True)
    sides["peak"] = peak
    for width in (64, 256):
        sides[f"width {width}"] = partial(measure.ours, wide(width, size.ours // 4), warm=size.warm // 4, one_core=True)
    samples = measure.alternate(sides, size.rounds)
    return Result("study", "Populations", _rows(samples, size), samples, NOTES)


def wide(width: int, steps: int) -> Config:
    """Return eight agents with two hidden layers of this width."""
    return dataclasses.replace(population(8, steps, one_core=True), hidden=(width, width))


def peak() -> Sample:
    """Return the float32 operations per second of the fastest matrix product on one core."""
    completed = measure.run([sys.executable, "-c", PEAK], one_core=True)
    return dict(json.loads(completed.stdout))


def update_operations(config: Config, observation: int = 4, actions: int = 2) -> float:
    """Return the floating-point operations of the matrix products in one agent's gradient step."""
    sizes = list(itertools.pairwise((observation, *config.hidden, actions)))
    forward = sum(2 * config.batch_size * a * b for a, b in sizes)
    first = 2 * config.batch_size * sizes[0][0] * sizes[0][1]
    return 3 * forward - first + forward  # forward and backward of the online network, forward of the target


def _rows(samples: dict[str, list[Sample]], size: Size) -> list[Row]:
    costs = {n: [1e6 / rate for rate in rates(samples[f"{n} agents"])] for n in size.populations}
    cheapest = [min(round_costs) for round_costs in zip(*costs.values(), strict=True)]
    last = size.populations[-1]
    rows = [Row(f"CartPole, {n} agents", "µs per agent-step", spread(cost)) for n, cost in costs.items()]
    cost_ratios = [a / b for a, b in zip(costs[last], cheapest, strict=True)]
    rows.append(
        Row(f"{last} agents against the cheapest", "×", spread(cost_ratios), required=MAX_COST_RATIO, sense="at most")
    )
    for n in size.populations[:2]:
        for mode, suffix, required in (("as shipped", "", 7.0), ("core for core", ", one core", 4.0)):
            ours, peer = rates(samples[f"{n} agents{suffix}"]), rates(samples[f"rejax, {n}{suffix}"])
            rows.append(rate_row(f"{mode}: {n} agents / rejax", ours, peer, required, cartpole.UNIT))
    lander_rates = rates(samples["lander"])
    per_core = [rate / len(machine.cores()) for rate in lander_rates]
    rows.append(Row(f"Lander, {size.populations[1]} agents", "steps/s", spread(lander_rates), required=42_000))
    peer_ratios = ratios(per_core, rates(samples["stable-baselines3"]))
    rows.append(Row("Lander per core / stable-baselines3", "×", spread(peer_ratios), required=20.0))
    for width in (64, 256):
        operations = update_operations(wide(width, 1))
        pairs = zip(rates(samples[f"width {width}"]), rates(samples["peak"]), strict=True)
        times_bound = [(1 / rate) / (operations / flops) for rate, flops in pairs]
        rows.append(
            Row(f"an agent-step at width {width} / its floor", "×", spread(times_bound), required=3.0, sense="at most")
        )
    return rows
