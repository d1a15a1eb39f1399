"""CartPole on a GPU beside flax, optax and flashbax in one jitted scan on the same card: 1 024 and 16 384 agents."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from typing import Any, NamedTuple

from benchmarks import cartpole, measure, peers
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, rate_row
from softstep.runs import device

NOTES = [
    "the work of `recipe` on both sides: gymnax CartPole, 64-64, batch 64, Adam, replay of 10 000, an update and a",
    "soft update per step. Both sides run in the environment of this benchmark, where JAX for a GPU is installed:",
    "pip install 'jax[cuda12]' flax flashbax.",
    "ours: `softstep.train(device='gpu')` with default records, checkpoints and blocks, in float32. Timing begins when",
    "  each block has compiled its programs.",
    "peer: without records and checkpoints, in JAX's default precision (products with factors of 10 bits). Timing",
    "  begins once it is compiled and learns.",
]


class Work(NamedTuple):
    """Work of one population: environment steps per agent, of which the first `warm` are not timed."""

    agents: int
    steps: int
    warm: int
    peer_steps: int


class Size(NamedTuple):
    """Number of rounds and the populations of each."""

    rounds: int
    populations: tuple[Work, ...]


FULL = Size(3, (Work(1_024, 26_000, 6_000, 20_000), Work(16_384, 10_500, 5_100, 3_000)))
QUICK = Size(1, (Work(8, 8_000, 5_000, 200),))


def run(*, quick: bool) -> Result:
    """Compare populations; a quick run computes on the CPU."""
    return compare(QUICK, "cpu") if quick else compare(FULL, "gpu")


def compare(size: Size, where: device.Device) -> Result:
    """Compare populations of each size on a device."""
    samples = measure.alternate(_sides(size, where), size.rounds)
    rows = [_row(work.agents, samples) for work in size.populations]
    return Result("gpu", "CartPole on a GPU beside flax, optax and flashbax in one jitted scan", rows, samples, NOTES)


def _row(agents: int, samples: dict[str, list[Sample]]) -> Row:
    ours, peer = rates(samples[f"softstep, {agents}"]), rates(samples[f"recipe, {agents}"])
    return rate_row(f"{agents} agents", ours, peer, None, "steps/s")


def _sides(size: Size, where: device.Device) -> dict[str, Any]:
    sides: dict[str, Any] = {}
    for work in size.populations:
        config = device.with_wide_blocks(dataclasses.replace(cartpole.config(work.steps), seeds=work.agents), where)
        sides[f"softstep, {work.agents}"] = partial(measure.ours, config, warm=work.warm, device=where)
        request = cartpole.peer_settings(config) | {
            "do": "speed", "env": "CartPole-v1", "agents": work.agents, "warm": 50, "steps": work.peer_steps,
        }  # fmt: skip
        sides[f"recipe, {work.agents}"] = partial(_recipe, request, where)
    return sides


def _recipe(request: dict[str, Any], where: device.Device) -> Sample:
    if where == "cpu":
        return measure.recipe(request)
    return measure.run_request([sys.executable, str(peers.HERE / "recipe_dqn.py")], request)
