"""Populations of 8 to 256 agents: the cost of an agent's step, beside rejax's and stable-baselines3's; and the floor.

The floor is the arithmetic of an update at the machine's own matrix speed: three products per layer (forward,
backward for the input, backward for the weights; none for the first layer's input), and two forward passes for the
target, 2·m·n·k operations each, at the fastest float32 matrix product that NumPy's BLAS reaches on one core here.
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
FLAT = 1.15
"""Most that an agent's step may cost at 256 agents, against the cheapest of the three."""

PEAK = """
import json, time
import numpy as np
best = 0.0
for size in (256, 512):
    a = np.random.default_rng(0).random((size, size), np.float32)
    for _ in range(40):
        begun = time.perf_counter()
        a @ a
        best = max(best, 2 * size**3 / (time.perf_counter() - begun))
print(json.dumps({"rate": best}))
"""

NOTES = [
    "as shipped: the whole machine; core for core: one core, one thread, both sides. Blocks of 8 agents; of 4 where",
    "8 agents share two cores.",
    "an agent's step on CartPole: environment, replay, a gradient step and a soft update; Lander: the `lab` preset.",
    "the floor counts the products of an update alone, at the matrix speed measured in the same run on one core.",
]


class Size(NamedTuple):
    """Rounds, and steps of each sample."""

    rounds: int
    ours: int
    warm: int
    rejax: int
    sb3: int
    populations: Sequence[int]


FULL = Size(rounds=3, ours=40_000, warm=12_000, rejax=6_000, sb3=6_000, populations=POPULATIONS)
QUICK = Size(1, 3_000, 1_500, 300, 600, (8, 16))


def population(agents: int, steps: int, *, one_core: bool = False) -> Config:
    """CartPole in blocks of eight; of four where there would else be fewer of them than cores."""
    width = 4 if agents == 8 and not one_core else 8
    return dataclasses.replace(cartpole.config(steps), seeds=agents, block_width=width)


def run(*, quick: bool) -> Result:
    """Populations, rejax, the lander, the floor."""
    size = QUICK if quick else FULL
    sides: dict[str, Any] = {
        f"{agents} agents": partial(measure.ours, population(agents, size.ours), warm=size.warm)
        for agents in size.populations
    }
    for agents in size.populations[:2]:
        asked = cartpole.settings(population(agents, size.ours)) | {
            "env": "CartPole-v1", "agents": agents, "warm": max(400, size.rejax // 4), "steps": size.rejax,
        }  # fmt: skip
        sides[f"rejax, {agents}"] = partial(measure.rejax, asked)
        sides[f"rejax, {agents}, one core"] = partial(measure.rejax, asked, one_core=True)
        alone = population(agents, size.ours, one_core=True)
        one = partial(measure.ours, alone, warm=size.warm, one_core=True)
        sides[f"{agents} agents, one core"] = one
    landers = dataclasses.replace(lander.preset(size.ours, size.populations[1]), block_width=8)
    sides["lander"] = partial(measure.ours, landers, warm=size.warm)
    sb3 = cartpole.settings(lander.config(size.sb3, 1)) | {
        "do": "speed", "env": "LunarLander-v3", "warm": 500, "steps": size.sb3,
    }  # fmt: skip
    sides["stable-baselines3"] = partial(measure.sb3, sb3, one_core=True)
    sides["peak"] = peak
    for width in (64, 256):
        sides[f"width {width}"] = partial(measure.ours, wide(width, size.ours // 4), warm=size.warm // 4, one_core=True)
    found = measure.alternate(sides, size.rounds)
    return Result("study", "Populations", _rows(found, size), found, NOTES)


def wide(width: int, steps: int) -> Config:
    """Eight agents with two hidden layers of this width."""
    return dataclasses.replace(population(8, steps, one_core=True), hidden=(width, width))


def peak() -> Sample:
    """Float32 operations per second of the fastest matrix product on one core."""
    done = measure.run([sys.executable, "-c", PEAK], one_core=True)
    return dict(json.loads(done.stdout))


def update_operations(config: Config, observation: int = 4, actions: int = 2) -> float:
    """Floating-point operations of the products in one agent's gradient step."""
    sizes = list(itertools.pairwise((observation, *config.hidden, actions)))
    forward = sum(2 * config.batch_size * a * b for a, b in sizes)
    first = 2 * config.batch_size * sizes[0][0] * sizes[0][1]
    return 3 * forward - first + forward  # online forward and backward; the target's forward


def _rows(found: dict[str, list[Sample]], size: Size) -> list[Row]:
    costs = {n: [1e6 / rate for rate in rates(found[f"{n} agents"])] for n in size.populations}
    cheapest = [min(each) for each in zip(*costs.values(), strict=True)]
    last = size.populations[-1]
    rows = [Row(f"CartPole, {n} agents", "µs per agent-step", spread(cost)) for n, cost in costs.items()]
    flat = [a / b for a, b in zip(costs[last], cheapest, strict=True)]
    rows.append(Row(f"{last} agents against the cheapest", "×", spread(flat), required=FLAT, sense="at most"))
    for n in size.populations[:2]:
        for mode, suffix, needed in (("as shipped", "", 7.0), ("core for core", ", one core", 4.0)):
            ours, peer = rates(found[f"{n} agents{suffix}"]), rates(found[f"rejax, {n}{suffix}"])
            rows.append(rate_row(f"{mode}: {n} agents / rejax", ours, peer, needed, cartpole.UNIT))
    landed = rates(found["lander"])
    per_core = [rate / len(machine.cores()) for rate in landed]
    rows.append(Row(f"Lander, {size.populations[1]} agents", "steps/s", spread(landed), required=42_000))
    against = ratios(per_core, rates(found["stable-baselines3"]))
    rows.append(Row("Lander per core / stable-baselines3", "×", spread(against), required=20.0))
    for width in (64, 256):
        operations = update_operations(wide(width, 1))
        pairs = zip(rates(found[f"width {width}"]), rates(found["peak"]), strict=True)
        over = [(1 / rate) / (operations / flops) for rate, flops in pairs]
        rows.append(
            Row(f"an agent-step at width {width} / its floor", "×", spread(over), required=3.0, sense="at most")
        )
    return rows
