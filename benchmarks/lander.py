"""Lunar Lander on Gymnasium's Box2D with the course lab's network and ratio: an update every four environment steps."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple

from benchmarks import measure
from benchmarks.cartpole import settings
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, rate_row
from softstep import presets
from softstep.config import Config

NOTES = [
    "environment steps/s of all agents together; the `lab` preset (64-64, batch 64, Adam, a gradient step and a soft",
    "update every 4 environment steps) without evaluations; ours with records and checkpoints as by default.",
    "as shipped: the whole machine, each side's own threads. core for core: one core, one thread, both sides.",
]

NEEDS = {("as shipped", 1): 20.0, ("as shipped", 8): 30.0}
"""Required ratios by mode and number of agents."""


class Size(NamedTuple):
    """How much work a sample is: steps per agent, and how many of them are warm-up."""

    rounds: int
    ours: int
    warm: int
    sb3: int


FULL = Size(rounds=3, ours=80_000, warm=12_000, sb3=8_000)
QUICK = Size(rounds=1, ours=4_000, warm=1_000, sb3=1_000)


def config(steps: int, agents: int) -> Config:
    """Our side's work."""
    return dataclasses.replace(presets.get("lab"), total_steps=steps, seeds=agents, eval_every=0)


def run(*, quick: bool) -> Result:
    """One agent and eight, as shipped and core for core."""
    size, samples, rows = QUICK if quick else FULL, dict[str, list[Sample]](), list[Row]()
    for mode, one_core in (("as shipped", False), ("core for core", True)):
        found = measure.alternate(_sides(size, one_core=one_core), size.rounds)
        samples |= {f"{name}, {mode}": taken for name, taken in found.items()}
        peer = rates(found["stable-baselines3"])
        for agents in (1, 8):
            label = f"{mode}: {_name(agents)} / stable-baselines3"
            rows.append(rate_row(label, rates(found[_name(agents)]), peer, NEEDS.get((mode, agents))))
    return Result("lander", "LunarLander-v3, the lab's network and ratio", rows, samples, NOTES)


def _name(agents: int) -> str:
    return "1 agent" if agents == 1 else f"{agents} agents"


def _sides(size: Size, *, one_core: bool) -> dict[str, Any]:
    asked = settings(config(size.sb3, 1)) | {"do": "speed", "env": "LunarLander-v3", "warm": 1_000, "steps": size.sb3}
    sides: dict[str, Any] = {
        _name(agents): partial(measure.ours, config(size.ours, agents), warm=size.warm, one_core=one_core)
        for agents in (1, 8)
    }
    return sides | {"stable-baselines3": partial(measure.sb3, asked, one_core=one_core)}
