"""Populations of 8 to 256 agents: cost per agent-step beside rejax, stable-baselines3 and the lower bound."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from benchmarks import cartpole, floor, lander, machine, measure
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, rate_row, ratios, spread
from softstep.config import Config

POPULATIONS = (8, 64, 256)
MAX_COST_RATIO = 1.15
"""Most that an agent-step may cost at 256 agents, relative to the cheapest of the three populations."""

MAX_TIMES_FLOOR = {64: 1.35, 256: 1.25}
"""Most that an agent-step on one core may cost, relative to the lower bound of its update, by width."""

NOTES = [
    "as shipped: the whole machine; core for core: one core, one thread on both sides. Blocks of 8 agents, or of 4",
    "when 8 agents share two cores.",
    "an agent-step on CartPole: environment, replay, a gradient step and a soft update; Lander: the `lab` preset.",
    "the floor (lower bound) counts only the matrix products of an update, at the speed of the fastest product of the",
    "round on one core; `registers` multiplies and adds without reading memory.",
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
QUICK = Size(1, 12_000, 5_000, 300, 600, (8, 16))


def run(*, quick: bool) -> Result:
    """Measure populations, rejax, Lunar Lander and the arithmetic lower bound."""
    size = QUICK if quick else FULL
    sides: dict[str, Any] = {
        f"{agents} agents": partial(measure.ours, cartpole.population(agents, size.ours), warm=size.warm)
        for agents in size.populations
    }
    for agents in size.populations[:2]:
        peer_work = cartpole.peer_settings(cartpole.population(agents, size.ours)) | {
            "env": "CartPole-v1", "agents": agents, "warm": max(400, size.rejax // 4), "steps": size.rejax,
        }  # fmt: skip
        sides[f"rejax, {agents}"] = partial(measure.rejax, peer_work)
        sides[f"rejax, {agents}, one core"] = partial(measure.rejax, peer_work, one_core=True)
        one_core_work = cartpole.population(agents, size.ours, one_core=True)
        sides[f"{agents} agents, one core"] = partial(measure.ours, one_core_work, warm=size.warm, one_core=True)
    lander_work = dataclasses.replace(lander.preset(size.ours, size.populations[1]), block_width=8)
    sides["lander"] = partial(measure.ours, lander_work, warm=size.warm)
    sb3_work = cartpole.peer_settings(lander.config(size.sb3, 1)) | {
        "do": "speed", "env": "LunarLander-v3", "warm": 500, "steps": size.sb3,
    }  # fmt: skip
    sides["stable-baselines3"] = partial(measure.sb3, sb3_work, one_core=True)
    sides |= floor.sides(quick=quick)
    for width in MAX_TIMES_FLOOR:
        sides[f"width {width}"] = partial(measure.ours, wide(width, size.ours // 2), warm=size.warm, one_core=True)
    samples = measure.alternate(sides, size.rounds)
    fastest = f"the fastest product, by which the floor divides: {floor.fastest(samples).product}."
    return Result("study", "Populations", _rows(samples, size), samples, [*NOTES, fastest])


def wide(width: int, steps: int) -> Config:
    """Return eight agents with two hidden layers of this width."""
    return dataclasses.replace(cartpole.population(8, steps, one_core=True), hidden=(width, width))


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
    fastest = floor.fastest(samples)
    rows += floor.rows(samples)
    for width, limit in MAX_TIMES_FLOOR.items():
        times = spread(floor.times_floor(wide(width, 1), rates(samples[f"width {width}"]), fastest))
        rows.append(
            Row(f"an agent-step at width {width} / the fastest floor", "×", times, required=limit, sense="at most")
        )
    return rows
