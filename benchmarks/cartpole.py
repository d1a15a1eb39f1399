"""CartPole with an MLP 64-64, batch 64, one gradient step and one soft update per environment step."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple

from benchmarks import measure
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, Unit, rate_row
from softstep.config import Config
from softstep.target import TargetUpdate

AGENTS = 8
UNIT: Unit = "µs per agent-step"

NOTES = [
    "as shipped: the whole machine, default threads on each side. core for core: one core, one thread on both sides.",
    "every replay buffer holds 10 000 transitions unless stated otherwise.",
    f"ours: {AGENTS} agents on gymnax through `softstep.train`, with default records and checkpoints.",
    f"rejax: jit(vmap(train)) over {AGENTS} seeds on gymnax, no evaluations; timing starts once it is compiled and",
    "  learns. It draws minibatches without replacement from the whole buffer, so it slows down as the buffer grows.",
    "stable-baselines3: one agent (it does not train populations) on Gymnasium's CartPole-v1.",
]


class Size(NamedTuple):
    """Amount of work per sample: steps per agent, of which the first `warm` are warm-up."""

    rounds: int
    ours: int
    warm: int
    rejax: int
    sb3: int


FULL = Size(rounds=3, ours=60_000, warm=8_000, rejax=10_000, sb3=4_000)
QUICK = Size(rounds=1, ours=8_000, warm=5_000, rejax=500, sb3=500)


def config(steps: int, *, one_core: bool = False) -> Config:
    """Return softstep's work; on one core the eight agents form one block, as they form one `vmap` in rejax."""
    return Config(
        block_width=AGENTS if one_core else None,
        env="gymnax:CartPole-v1",
        seeds=AGENTS,
        total_steps=steps,
        learning_rate=1e-3,
        target=TargetUpdate(tau=0.005),
        gamma=0.99,
        batch_size=64,
        memory_size=10_000,
        learning_starts=1_000,
        train_every=1,
        gradient_steps=1,
        hidden=(64, 64),
    )


def population(agents: int, steps: int, *, one_core: bool = False) -> Config:
    """Return softstep's work in blocks of eight agents, or of four if only eight agents share the whole machine."""
    width = None if agents == 1 else 4 if agents == 8 and not one_core else 8
    return dataclasses.replace(config(steps), seeds=agents, block_width=width)


def peer_settings(ours: Config) -> dict[str, Any]:
    """Return the same work as settings that the peers' programs accept."""
    return {
        "learning_rate": ours.learning_rate,
        "tau": ours.target.tau,
        "gamma": ours.gamma,
        "batch_size": ours.batch_size,
        "memory_size": ours.memory_size,
        "learning_starts": ours.learning_starts,
        "train_every": round(ours.env_steps_per_gradient_step),
        "hidden": list(ours.hidden),
        "seed": ours.seed,
        "total_steps": ours.total_steps,
        "exploration_steps": ours.exploration.steps,
        "exploration_end": ours.exploration.end,
    }


def run(*, quick: bool) -> Result:
    """Compare with both peers, as shipped and core for core."""
    size, samples, rows = QUICK if quick else FULL, dict[str, list[Sample]](), list[Row]()
    for mode, one_core, required_rejax, required_sb3 in (
        ("as shipped", False, 6.0, 50.0),
        ("core for core", True, 3.5, 30.0),
    ):
        mode_samples = measure.alternate(_sides(size, one_core=one_core), size.rounds)
        samples |= {f"{name}, {mode}": side_samples for name, side_samples in mode_samples.items()}
        ours = rates(mode_samples["softstep"])
        required_ratios = {"rejax": required_rejax, "rejax, replay 1 000": None, "stable-baselines3": required_sb3}
        for peer, required in required_ratios.items():
            rows.append(rate_row(f"{mode}: {peer}", ours, rates(mode_samples[peer]), required, UNIT))
    return Result("cartpole", "CartPole, a gradient step and a soft update per environment step", rows, samples, NOTES)


def _sides(size: Size, *, one_core: bool) -> dict[str, Any]:
    work = config(size.ours, one_core=one_core)
    shared = peer_settings(work)
    jax_work = shared | {"env": "CartPole-v1", "agents": AGENTS, "warm": max(400, size.rejax // 4), "steps": size.rejax}
    torch_work = shared | {"do": "speed", "env": "CartPole-v1", "warm": work.learning_starts + 500, "steps": size.sb3}
    return {
        "softstep": partial(measure.ours, work, warm=size.warm, one_core=one_core),
        "rejax": partial(measure.rejax, jax_work, one_core=one_core),
        "rejax, replay 1 000": partial(measure.rejax, jax_work | {"memory_size": 1_000}, one_core=one_core),
        "stable-baselines3": partial(measure.sb3, torch_work, one_core=one_core),
    }
