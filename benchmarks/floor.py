"""The arithmetic lower bound of an update: its matrix products at the speed of the fastest product the machine has.

Every product runs on one core with one thread; the fastest of a round counts. `registers` multiplies and adds without
reading memory, so that no product can be faster.
"""

from __future__ import annotations

import itertools
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from benchmarks import measure
from benchmarks.measure import Sample, rates
from benchmarks.table import Row, spread
from softstep.config import Config

PREFIX = "product: "
"""Begins the names of the products among the samples of a benchmark."""

_BEST = """
import json, sys, time
def best(multiply, size, seconds):
    multiply()
    fastest, start = 1e9, time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.perf_counter()
        multiply()
        fastest = min(fastest, time.perf_counter() - before)
    return 2 * size**3 / fastest
request = json.loads(sys.argv[1])
"""

NUMPY = (
    _BEST
    + """
import numpy as np
def rate(size):
    a = np.random.default_rng(0).random((size, size), np.float32)
    c = np.empty_like(a)
    return best(lambda: np.matmul(a, a, out=c), size, request["seconds"])
print(json.dumps({"rate": max(map(rate, request["sizes"]))}))
"""
)

TORCH = (
    _BEST
    + """
import torch
torch.set_num_threads(1)
def rate(size):
    a = torch.rand(size, size)
    c = torch.empty_like(a)
    return best(lambda: torch.mm(a, a, out=c), size, request["seconds"])
print(json.dumps({"rate": max(map(rate, request["sizes"]))}))
"""
)

XLA = (
    _BEST
    + """
import jax
multiply = jax.jit(lambda a: a @ a)
def rate(size):
    a = jax.random.uniform(jax.random.key(0), (size, size))
    return best(lambda: multiply(a).block_until_ready(), size, request["seconds"])
print(json.dumps({"rate": max(map(rate, request["sizes"]))}))
"""
)

OPENBLAS_AVX2 = {"OPENBLAS_CORETYPE": "Haswell"}
"""Variables that hold OpenBLAS to AVX2, as some installations do."""


class Floor(NamedTuple):
    """The fastest product of each round: its name, and its floating-point operations per second."""

    products: Sequence[str]
    rates: Sequence[float]

    @property
    def product(self) -> str:
        """Name of the product that was the fastest in most rounds."""
        return max(set(self.products), key=self.products.count)


def sides(*, quick: bool) -> dict[str, Callable[[], Sample]]:
    """Return the products to sample beside a benchmark's work, by name."""
    request = {"sizes": (256, 512, 1024), "seconds": 0.05 if quick else 0.5}
    programs: dict[str, tuple[list[str], Mapping[str, str]]] = {
        "NumPy": (["-c", NUMPY], {}),
        "torch": (["-c", TORCH], {}),
        "XLA": (["-c", XLA], {"JAX_PLATFORMS": "cpu"}),
        "registers": (["-m", "benchmarks.registers"], {}),
    }
    if platform.machine() in ("x86_64", "AMD64"):
        programs["NumPy, OpenBLAS held to AVX2"] = (["-c", NUMPY], OPENBLAS_AVX2)
    return {
        PREFIX + name: partial(
            measure.run_request, [sys.executable, *program], request, one_core=True, variables=variables
        )
        for name, (program, variables) in programs.items()
    }


def fastest(samples: Mapping[str, Sequence[Sample]]) -> Floor:
    """Return the fastest product of each round."""
    names = [name for name in samples if name.startswith(PREFIX)]
    rounds = list(zip(*(rates(samples[name]) for name in names), strict=True))
    products = [names[max(range(len(names)), key=speeds.__getitem__)].removeprefix(PREFIX) for speeds in rounds]
    return Floor(products, [max(speeds) for speeds in rounds])


def rows(samples: Mapping[str, Sequence[Sample]]) -> list[Row]:
    """Return a row for each product, the slowest first."""
    products = [
        Row(name.removeprefix(PREFIX), "GFLOP/s per core", spread([rate / 1e9 for rate in rates(side_samples)]))
        for name, side_samples in samples.items()
        if name.startswith(PREFIX)
    ]
    return sorted(products, key=lambda row: row.ours.median)


def update_operations(config: Config, observation: int = 4, actions: int = 2) -> float:
    """Return the floating-point operations of the matrix products in one agent's gradient step.

    There are three products per layer, 2·m·n·k operations each (forward, backward for the input, backward for the
    weights; none for the first layer's input), and one forward pass of the target. For SAC, TD3 and DDPG see
    `actor_critic_operations`.

    Args:
        config: The configuration; only shapes count.
        observation: Numbers in an observation.
        actions: Number of actions, or of the components of a continuous one.
    """
    if config.continuous:
        return actor_critic_operations(config, observation, actions)
    forward, first = _pass_operations(config, observation, actions)
    return 3 * forward - first + forward  # forward and backward of the online network, forward of the target


def actor_critic_operations(config: Config, observation: int, actions: int) -> float:
    """Return the floating-point operations of the matrix products in one gradient step of SAC, TD3 or DDPG.

    The TD targets take a forward pass of an actor and of each target critic; the critics, a forward and a backward
    pass each. The actor's step takes its own forward and backward pass, a forward pass of the critics that value it
    (all of SAC's, one of TD3's and DDPG's), and one pass back to the action, of a sample's smallest value. It comes
    once per `policy_delay` steps.
    """
    outputs = 2 * actions if config.algorithm == "sac" else actions
    actor, actor_first = _pass_operations(config, observation, outputs)
    critic, critic_first = _pass_operations(config, observation + actions, 1)
    critics = 1 if config.algorithm == "ddpg" else 2
    valuing = 2 if config.algorithm == "sac" else 1
    to_action = critic - critic_first * observation / (observation + actions)
    critics_step = actor + critics * critic + critics * (3 * critic - critic_first)
    actor_step = 3 * actor - actor_first + valuing * critic + to_action
    return critics_step + actor_step / config.actor_period


def _pass_operations(config: Config, inputs: int, outputs: int) -> tuple[float, float]:
    """Return the operations of a forward pass of a minibatch, and those of its first layer."""
    layers = [2 * config.batch_size * a * b for a, b in itertools.pairwise((inputs, *config.hidden, outputs))]
    return sum(layers), layers[0]


def times_floor(config: Config, agent_steps_per_second: Sequence[float], floor: Floor, **shape: int) -> list[float]:
    """Return how many times the lower bound of its update an agent-step took, round by round.

    Args:
        config: The configuration of the work.
        agent_steps_per_second: The rate of each round.
        floor: The fastest product of each round.
        **shape: `observation` and `actions` of `update_operations`.
    """
    operations = update_operations(config, **shape)
    pairs = zip(agent_steps_per_second, floor.rates, strict=True)
    return [(1 / rate) / (operations / flops) for rate, flops in pairs]
