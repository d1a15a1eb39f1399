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
    "environment steps/s of all agents together; 64-64, batch 64, Adam, a gradient step and a soft update per four",
    "environment steps on both sides, no evaluations; ours with records and checkpoints as by default. The judged rows",
    "are the `lab` preset as it stands, which takes its gradient steps four at a time; the others take each by itself,",
    "as the peer does.",
    "as shipped: the whole machine, each side's own threads. core for core: one core, one thread, both sides.",
]

PEER = "stable-baselines3"

NEEDS = {("as shipped", 1): 20.0, ("as shipped", 8): 30.0}
"""Required ratios by mode and number of agents."""


class Size(NamedTuple):
    """How much work a sample is: steps per agent, and how many of them are warm-up."""

    rounds: int
    ours: int
    warm: int
    sb3: int


FULL = Size(rounds=3, ours=60_000, warm=12_000, sb3=6_000)
QUICK = Size(rounds=1, ours=4_000, warm=1_000, sb3=1_000)


def config(steps: int, agents: int) -> Config:
    """Our side's work: exactly one gradient step after every fourth environment step, as the peer does it."""
    return dataclasses.replace(preset(steps, agents), train_every=4, gradient_steps=1)


def preset(steps: int, agents: int) -> Config:
    """The `lab` preset with its own rhythm of learning."""
    return dataclasses.replace(presets.get("lab"), total_steps=steps, seeds=agents, eval_every=0)


def rhythm() -> str:
    """The preset's rhythm in words."""
    lab = presets.get("lab")
    return f"{lab.updates} gradient steps per {lab.steps_per_iteration}"


def run(*, quick: bool) -> Result:
    """One agent and eight, as shipped and core for core."""
    size, samples, rows = QUICK if quick else FULL, dict[str, list[Sample]](), list[Row]()
    for mode, one_core in (("as shipped", False), ("core for core", True)):
        found = measure.alternate(_sides(size, one_core=one_core), size.rounds)
        samples |= {f"{name}, {mode}": taken for name, taken in found.items()}
        peer = rates(found.pop(PEER))
        needs = {f"{_name(agents)}, {rhythm()}": NEEDS.get((mode, agents)) for agents in (1, 8)}
        rows += [
            rate_row(f"{mode}: {name} / {PEER}", rates(taken), peer, needs.get(name)) for name, taken in found.items()
        ]
    return Result("lander", "LunarLander-v3, the lab's network and ratio", rows, samples, NOTES)


def _name(agents: int) -> str:
    return "1 agent" if agents == 1 else f"{agents} agents"


def _sides(size: Size, *, one_core: bool) -> dict[str, Any]:
    """One agent and eight in the peer's rhythm; in the preset's own, where that is another; the peer."""
    works = {_name(agents): config(size.ours, agents) for agents in (1, 8)}
    own = {f"{_name(agents)}, {rhythm()}": preset(size.ours, agents) for agents in (1, 8)}
    works |= {name: work for name, work in own.items() if work not in works.values()}
    asked = settings(config(size.sb3, 1)) | {"do": "speed", "env": "LunarLander-v3", "warm": 1_000, "steps": size.sb3}
    sides = {name: partial(measure.ours, work, warm=size.warm, one_core=one_core) for name, work in works.items()}
    return sides | {PEER: partial(measure.sb3, asked, one_core=one_core)}
