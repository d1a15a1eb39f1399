"""Lunar Lander (Box2D) with the course lab's network and its ratio of one update per four environment steps."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from typing import Any, NamedTuple

from benchmarks import machine, measure
from benchmarks.cartpole import peer_settings
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, rate_row, ratios, spread
from softstep import presets
from softstep.config import Config

NOTES = [
    "environment steps/s of all agents together; 64-64, batch 64, Adam, a gradient step and a soft update per four",
    "environment steps on both sides, no evaluations; ours with default records and checkpoints. The `lab` preset",
    "takes its gradient steps four at a time; the other rows take them one at a time, as the peer does.",
    "bare stepping: random actions and nothing else, resets included, in one process per core; leaner: the step of",
    "softstep.envs.lunar_lander.",
    "as shipped: the whole machine, default threads on each side. core for core: one core, one thread on both sides.",
]

PEER = "stable-baselines3"

BARE = {"leaner": "bare stepping, leaner", "gymnasium": "bare stepping, Gymnasium's"}
"""Names of the sides that only step environments, by their lander."""

MAX_TIMES_BARE = 1.3
"""Most that a step of a population may cost, relative to stepping alone."""


class Size(NamedTuple):
    """Amount of work per sample: steps per agent, of which the first `warm` are warm-up."""

    rounds: int
    ours: int
    warm: int
    sb3: int
    bare_seconds: float


FULL = Size(rounds=3, ours=60_000, warm=12_000, sb3=6_000, bare_seconds=5.0)
QUICK = Size(rounds=1, ours=10_000, warm=5_000, sb3=1_000, bare_seconds=0.5)


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


def required_ratios() -> dict[tuple[str, str], float]:
    """Return the required ratios by mode and name of our side."""
    return {
        ("as shipped", _name(1)): 20.0,
        ("as shipped", f"{_name(1)}, {update_interval()}"): 20.0,
        ("as shipped", f"{_name(8)}, {update_interval()}"): 30.0,
    }


def run(*, quick: bool) -> Result:
    """Compare one agent and eight with the peer, as shipped and core for core, and eight with bare stepping."""
    size, samples, rows = QUICK if quick else FULL, dict[str, list[Sample]](), list[Row]()
    for mode, one_core in (("as shipped", False), ("core for core", True)):
        bare_sides = {} if one_core else _bare_sides(size)
        mode_samples = measure.alternate(_sides(size, one_core=one_core) | bare_sides, size.rounds)
        samples |= {f"{name}, {mode}": side_samples for name, side_samples in mode_samples.items()}
        peer = rates(mode_samples.pop(PEER))
        bare = {name: rates(mode_samples.pop(name)) for name in bare_sides}
        rows += [
            rate_row(f"{mode}: {name} / {PEER}", rates(side_samples), peer, required_ratios().get((mode, name)))
            for name, side_samples in mode_samples.items()
        ]
        if bare:
            rows += _bare_rows(bare, rates(mode_samples[f"{_name(8)}, {update_interval()}"]))
    return Result("lander", "LunarLander-v3, the lab's network and ratio", rows, samples, NOTES)


def _bare_rows(bare: dict[str, list[float]], population: list[float]) -> list[Row]:
    """Return rows for stepping alone, and for the population beside the faster of the two."""
    fastest = [max(pair) for pair in zip(*bare.values(), strict=True)]
    times = spread(ratios(fastest, population))
    label = f"as shipped: a step of {_name(8)}, {update_interval()} / the fastest bare step"
    return [
        *(Row(name, "steps/s", spread(side_rates)) for name, side_rates in bare.items()),
        Row(label, "×", times, required=MAX_TIMES_BARE, sense="at most"),
    ]


def _bare_sides(size: Size) -> dict[str, Any]:
    program = [sys.executable, "-m", "benchmarks.bare_lander"]
    shared = {"processes": len(machine.cores()), "seconds": size.bare_seconds}
    return {name: partial(measure.run_request, program, shared | {"lander": lander}) for lander, name in BARE.items()}


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
