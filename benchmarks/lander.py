"""Lunar Lander (Box2D) with the course lab's network and its ratio of one update per four environment steps."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple

from benchmarks import measure
from benchmarks.cartpole import peer_settings
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, rate_row
from softstep import presets
from softstep.config import Config

NOTES = [
    "environment steps/s of all agents together; 64-64, batch 64, Adam, a gradient step and a soft update per four",
    "environment steps on both sides, no evaluations; ours with default records and checkpoints. The judged rows use",
    "the `lab` preset unchanged, which takes its gradient steps four at a time; the other rows take them one at a",
    "time, as the peer does.",
    "as shipped: the whole machine, default threads on each side. core for core: one core, one thread on both sides.",
]

PEER = "stable-baselines3"

REQUIRED = {("as shipped", 1): 20.0, ("as shipped", 8): 30.0}
"""Required ratios by mode and number of agents."""


class Size(NamedTuple):
    """Amount of work per sample: steps per agent, of which the first `warm` are warm-up."""

    rounds: int
    ours: int
    warm: int
    sb3: int


FULL = Size(rounds=3, ours=60_000, warm=12_000, sb3=6_000)
QUICK = Size(rounds=1, ours=4_000, warm=1_000, sb3=1_000)


def config(steps: int, agents: int) -> Config:
    """Return softstep's work: one gradient step after every fourth environment step, as in the peer."""
    return dataclasses.replace(preset(steps, agents), train_every=4, gradient_steps=1)


def preset(steps: int, agents: int) -> Config:
    """Return the `lab` preset with its own update interval."""
    return dataclasses.replace(presets.get("lab"), total_steps=steps, seeds=agents, eval_every=0)


def update_interval() -> str:
    """Describe the preset's update interval."""
    lab = presets.get("lab")
    return f"{lab.updates} gradient steps per {lab.steps_per_iteration}"


def run(*, quick: bool) -> Result:
    """Compare one agent and eight with the peer, as shipped and core for core."""
    size, samples, rows = QUICK if quick else FULL, dict[str, list[Sample]](), list[Row]()
    for mode, one_core in (("as shipped", False), ("core for core", True)):
        mode_samples = measure.alternate(_sides(size, one_core=one_core), size.rounds)
        samples |= {f"{name}, {mode}": side_samples for name, side_samples in mode_samples.items()}
        peer = rates(mode_samples.pop(PEER))
        required = {f"{_name(agents)}, {update_interval()}": REQUIRED.get((mode, agents)) for agents in (1, 8)}
        rows += [
            rate_row(f"{mode}: {name} / {PEER}", rates(side_samples), peer, required.get(name))
            for name, side_samples in mode_samples.items()
        ]
    return Result("lander", "LunarLander-v3, the lab's network and ratio", rows, samples, NOTES)


def _name(agents: int) -> str:
    return "1 agent" if agents == 1 else f"{agents} agents"


def _sides(size: Size, *, one_core: bool) -> dict[str, Any]:
    """Return one agent and eight at the peer's update interval and, if it differs, at the preset's; and the peer."""
    works = {_name(agents): config(size.ours, agents) for agents in (1, 8)}
    preset_works = {f"{_name(agents)}, {update_interval()}": preset(size.ours, agents) for agents in (1, 8)}
    works |= {name: work for name, work in preset_works.items() if work not in works.values()}
    peer_work = peer_settings(config(size.sb3, 1)) | {
        "do": "speed", "env": "LunarLander-v3", "warm": 1_000, "steps": size.sb3,
    }  # fmt: skip
    sides = {name: partial(measure.ours, work, warm=size.warm, one_core=one_core) for name, work in works.items()}
    return sides | {PEER: partial(measure.sb3, peer_work, one_core=one_core)}
