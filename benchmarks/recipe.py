"""CartPole beside the fastest known recipe in JAX: flax, optax and flashbax in one jitted scan, 1, 8 and 64 agents."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from benchmarks import cartpole, measure
from benchmarks.measure import Result, Sample, rates
from benchmarks.table import Row, rate_row

POPULATIONS = (1, 8, 64)

REQUIRED = {
    ("as shipped", 8): 3.5,
    ("as shipped", 64): 3.5,
    ("core for core", 1): 2.3,
    ("core for core", 8): 1.9,
}
"""Required ratios by mode and number of agents."""

NOTES = [
    "peer: benchmarks/peers/recipe_dqn.py, our own code after PureJaxRL's shape, without logging and without a branch",
    "in its learning loop; agents are vmapped, one agent is not. Timing starts once it is compiled and learns.",
    "the same work on both sides: gymnax CartPole, 64-64, batch 64, Adam, replay of 10 000, an update and a soft",
    "update per step. ours: `softstep.train` with default records and checkpoints.",
    "as shipped: the whole machine, default threads on each side. core for core: one core, one thread on both sides.",
]


class Size(NamedTuple):
    """Amount of work per sample: steps per agent; `warm` of ours and `peer_warm` of the peer's come before timing."""

    rounds: int
    agent_steps: int
    warm: int
    peer_agent_steps: int
    peer_warm: int
    populations: tuple[int, ...]


FULL = Size(3, agent_steps=400_000, warm=8_000, peer_agent_steps=80_000, peer_warm=500, populations=POPULATIONS)
QUICK = Size(1, agent_steps=16_000, warm=5_000, peer_agent_steps=800, peer_warm=50, populations=(1, 8))


def peer_request(agents: int, size: Size) -> dict[str, Any]:
    """Return the same work for the peer."""
    steps = max(200, size.peer_agent_steps // agents)
    return cartpole.peer_settings(cartpole.population(agents, steps)) | {
        "env": "CartPole-v1", "agents": agents, "warm": size.peer_warm, "steps": steps,
    }  # fmt: skip


def run(*, quick: bool) -> Result:
    """Compare populations of each size, as shipped and core for core."""
    size, samples, rows = QUICK if quick else FULL, dict[str, list[Sample]](), list[Row]()
    for mode, one_core in (("as shipped", False), ("core for core", True)):
        mode_samples = measure.alternate(_sides(size, one_core=one_core), size.rounds)
        samples |= {f"{name}, {mode}": side_samples for name, side_samples in mode_samples.items()}
        for agents in size.populations:
            ours, peer = rates(mode_samples[f"softstep, {agents}"]), rates(mode_samples[f"recipe, {agents}"])
            label, required = f"{mode}: {_count(agents)}", REQUIRED.get((mode, agents))
            rows.append(rate_row(label, ours, peer, required, cartpole.UNIT))
    return Result("recipe", "CartPole beside flax, optax and flashbax in one jitted scan", rows, samples, NOTES)


def _sides(size: Size, *, one_core: bool) -> dict[str, Any]:
    sides: dict[str, Any] = {}
    for agents in size.populations:
        # enough steps for a block to run a while after its first report of progress
        steps = size.warm + max(2 * size.warm, size.agent_steps // agents)
        work = cartpole.population(agents, steps, one_core=one_core)
        sides[f"softstep, {agents}"] = partial(measure.ours, work, warm=size.warm, one_core=one_core)
        sides[f"recipe, {agents}"] = partial(measure.recipe, peer_request(agents, size), one_core=one_core)
    return sides


def _count(agents: int) -> str:
    return "1 agent" if agents == 1 else f"{agents} agents"
