"""The bit promises: an agent's numbers do not depend on company, slot, chunk or driver."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import probes  # noqa: F401 (registers them)
import pytest
from support import Tape, advance, agent_bits, make_driver, of_agent, remembered, small

from softstep.config import Agent, Arm, Config, Exploration
from softstep.records.events import FinishedEpisode
from softstep.target import TargetUpdate
from softstep.training.driver import Driver
from softstep.training.program_cache import ProgramCache
from softstep.training.randomness import DRAWN_AHEAD
from softstep.training.schedules import schedules

GEOMETRIC = Exploration(schedule="geometric", start=1.0, end=0.1, decay=0.8)
AGENTS = tuple(
    Agent("arm", seed, rate, target, 0.99, exploration)
    for seed, rate, target, exploration in [
        (0, 1e-3, TargetUpdate(0.01), Exploration(steps=100)),
        (1, 3e-3, TargetUpdate.hard(5), Exploration(start=0.5, steps=50)),
        (2, 1e-2, TargetUpdate.none(), Exploration(start=0.1, end=0.1)),
        (0, 1e-3, TargetUpdate(0.5, 2), Exploration(end=0.2, steps=150)),
    ]
)


def ran(config: Config) -> Tape:
    tape = Tape(config)
    tape.run()
    return tape


@functools.cache
def whole(env: str = "gymnax:CartPole-v1") -> Tape:
    """A small run from its start to its end."""
    return ran(small(env=env))


def trained(config: Config, agents: tuple[Agent, ...], kind: str = "default") -> tuple[Driver, list[FinishedEpisode]]:
    driver = make_driver(config, agents, kind)
    finished = advance(driver, config, 90)
    driver.close()
    return driver, finished


# ---- company ----


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_an_agent_does_not_depend_on_number_slot_or_neighbours(env: str) -> None:
    config = small(env=env, block_width=4)
    reference, episodes = trained(config, AGENTS)
    assert episodes
    for order in ((2, 0), (3, 2, 1, 0)):
        driver, finished = trained(config, tuple(AGENTS[i] for i in order))
        for slot, agent in enumerate(order):
            assert agent_bits(driver, slot) == agent_bits(reference, agent)
            assert of_agent(finished, slot) == of_agent(episodes, agent)


def test_agents_of_one_block_differ() -> None:
    driver, _ = trained(small(block_width=4), AGENTS)
    assert len({tuple(agent_bits(driver, slot)) for slot in range(4)}) == 4


def test_a_diverged_agent_is_marked_and_leaves_its_neighbours_bits_alone() -> None:
    config = small(block_width=4, optimizer="sgd")
    wild = (*AGENTS[:2], dataclasses.replace(AGENTS[2], learning_rate=1e30), AGENTS[3])
    calm, _ = trained(config, AGENTS)
    driver, _ = trained(config, wild)
    assert [bool(n) for n in driver.state.learner.diverged_at] == [False, False, True, False]
    assert driver.state.learner.diverged_at[2] <= 3
    for slot in (0, 1, 3):
        assert agent_bits(driver, slot) == agent_bits(calm, slot)


def test_divergence_is_recorded_and_the_run_goes_on() -> None:
    config = small(arms=(Arm("calm"), Arm("wild", learning_rate=1e30)), optimizer="sgd")
    tape = Tape(config)
    assert tape.run().env_steps == config.total_steps
    last = {record.arm: record for record in tape.records}
    assert (last["calm"].diverged, last["wild"].diverged) == (False, True)
    assert np.isfinite(last["calm"].loss)
    assert last["wild"].episodes > 0


# ---- drivers and chunks ----

VARIETIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "several environments": {"num_envs": 4, "exploration": GEOMETRIC},
    "more updates than steps": {"num_envs": 2, "train_every": 1, "gradient_steps": 2},
    "decaying rate, clipped, Huber, double": {
        "learning_rate_decay": 0.1, "learning_rate_decay_steps": 150, "max_grad_norm": 0.5, "loss": "huber",
        "double_q": True, "reward_scale": 0.1, "time_limit_is_terminal": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", VARIETIES)
def test_the_fused_and_the_host_driver_give_equal_bits(name: str) -> None:
    config = small(block_width=4, **VARIETIES[name])
    fused, episodes = trained(config, AGENTS[:3])
    host, same = trained(config, AGENTS[:3], "host")
    assert episodes == same
    assert len(episodes) > 5
    assert int(fused.written()[0]) > 64  # the ring has wrapped
    for slot in range(3):
        assert agent_bits(host, slot) == agent_bits(fused, slot)


@pytest.mark.parametrize(("kind", "chunk"), [("default", 1), ("default", 7), ("host", 7)])
def test_chunks_of_any_size_give_equal_bits(kind: str, chunk: int) -> None:
    config = small()
    whole = make_driver(config, kind=kind)
    parts = make_driver(config, kind=kind)
    assert advance(whole, config, 90) == advance(parts, config, 90, chunk)
    assert agent_bits(whole, 0) == agent_bits(parts, 0)


def test_checkpoints_and_evaluations_never_change_a_run() -> None:
    other = final(ran(small(checkpoint_every=34, eval_every=60, eval_episodes=2)))
    for name, bits in final(whole()).items():
        assert bits == other[name], name


# ---- seeds ----


def final(tape: Tape) -> dict[str, bytes]:
    """All of a run's last snapshot, but for its history, which names the seed."""
    return {name: array.tobytes() for name, array in tape.snapshots[-1].arrays.items() if name != "history"}


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_one_seed_repeats_and_two_differ(env: str) -> None:
    again = ran(small(env=env))
    assert final(whole(env)) == final(again)
    assert str(whole(env).records) == str(again.records)
    assert final(whole(env)) != final(ran(small(env=env, seed=8)))


def test_every_draw_differs_between_seeds_and_between_iterations() -> None:
    draws = make_driver(small(seeds=2), kind="host")._block.draw(0)
    for field in (draws.uniform, draws.replay_bits, jax.random.key_data(draws.env_keys)):
        flat = np.asarray(field)
        assert not np.array_equal(flat[0], flat[1])
        assert not np.array_equal(flat[:, :, 0], flat[:, :, 1])


def test_two_arms_with_one_seed_start_from_equal_parameters() -> None:
    config = small(arms=(Arm("soft"), Arm("hard", 1e-4, TargetUpdate.hard(9))), seeds=2)
    driver = make_driver(config)
    for leaf in map(np.asarray, driver.state.learner.online):
        np.testing.assert_array_equal(leaf[:2], leaf[2:])
        assert not np.array_equal(leaf[0], leaf[1])


APART = """
import random
import numpy as np
from support import Tape, small

def state():
    return random.getstate(), np.random.get_state()[1].tobytes()

for env in ("gymnax:CartPole-v1", "CartPole-v1"):
    Tape(small(env=env, total_steps=100)).run()  # libraries draw while they are imported
    finals = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        before, tape = state(), Tape(small(env=env, total_steps=100))
        tape.run()
        assert state() == before, f"{env} moved a global random state"
        finals.append({name: array.tobytes() for name, array in tape.snapshots[-1].arrays.items()})
    assert finals[0] == finals[1], f"{env} read a global random state"
"""


def test_the_global_random_state_is_neither_read_nor_moved() -> None:
    """In a process of its own: the checks of the signatures draw from `random` themselves."""
    cache = {"JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir or "")}
    done = subprocess.run(
        [sys.executable, "-c", APART],
        cwd=Path(__file__).parents[1],
        env=os.environ | cache,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_episodes_of_an_environment_start_differently() -> None:
    rows = remembered(trained(small(env="CartPole-v1", memory_size=400, num_envs=2), AGENTS[:1])[0])[0]
    starts = {
        row[:4].tobytes() for row in rows if np.abs(row[:4]).max() <= 0.05 and np.abs(row[1]) + np.abs(row[3]) > 0
    }
    assert len(starts) > 5


# ---- snapshot and restore ----


@pytest.mark.parametrize(
    ("env", "kind", "changes"),
    [
        ("gymnax:CartPole-v1", "default", VARIETIES["several environments"]),
        ("gymnax:CartPole-v1", "host", {}),
        ("CartPole-v1", "default", VARIETIES["several environments"]),
        ("LunarLander-v3", "default", {}),
    ],
)
def test_a_restored_driver_goes_on_bit_for_bit(env: str, kind: str, changes: dict[str, Any]) -> None:
    config = small(env=env, seeds=2, block_width=3, **changes)
    first = make_driver(config, kind=kind)
    advance(first, config, 75)  # past the ring's end, within an episode
    assert (first.statistics.lengths > 0).any()
    assert (first.written() > 64).all()
    arrays = {name: array.copy() for name, array in first.snapshot().items()}
    rows = remembered(first)
    second = make_driver(config, kind=kind)
    advance(second, config, 13)  # a driver that has been elsewhere before
    second.restore(arrays, rows, 75)
    assert advance(first, config, 70) == advance(second, config, 70)
    for slot in range(2):
        assert agent_bits(first, slot) == agent_bits(second, slot)


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_a_resumed_run_ends_as_if_it_had_never_stopped(env: str) -> None:
    config = small(env=env, seeds=2, eval_every=130, eval_episodes=2, checkpoint_every=90)
    first, again = ran(config), Tape(config)
    at = first.snapshots[1].env_steps
    assert again.run(first.restored(1)).executed_steps == config.total_steps - at > 0
    assert str(again.records) == str([r for r in first.records if r.env_steps > at])
    assert final(again) == final(first)
    assert [len(rows) for rows in again.restored(len(again.snapshots) - 1).rows] == [64, 64]


def test_a_stopped_run_leaves_a_snapshot_of_its_last_moment() -> None:
    stopped, again = Tape(small(), stop_at=100), Tape(small())
    outcome = stopped.run()
    assert outcome.stopped
    assert outcome.env_steps == stopped.snapshots[-1].env_steps == 100
    again.run(stopped.restored(len(stopped.snapshots) - 1))
    assert final(again) == final(whole())
    assert str(stopped.records + again.records) == str(whole().records)


# ---- compiled programs ----


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_nothing_is_compiled_twice(env: str, caplog: pytest.LogCaptureFixture) -> None:
    """After the first record and evaluation every program there is has been compiled."""
    config = small(env=env, eval_every=100, eval_episodes=2, seeds=2)
    tape = Tape(config)
    first_seen: list[int] = []
    tape.records = Watched(lambda: first_seen.append(len(caplog.records)))
    with caplog.at_level(logging.WARNING), jax.log_compiles():
        tape.run()
    compiled = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Compiling")]
    late = [r.getMessage() for r in caplog.records[first_seen[1] :] if r.getMessage().startswith("Compiling")]
    assert len(compiled) > 5
    assert not late


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_the_second_block_of_a_run_compiles_nothing_and_is_the_same(env: str, caplog: pytest.LogCaptureFixture) -> None:
    settings: dict[str, Any] = {"eval_every": 200, "eval_episodes": 2, "seeds": 3, "block_width": 3}
    arms = tuple(Arm(str(rate), learning_rate=rate, exploration=Exploration(end=rate)) for rate in (1e-3, 1e-2))
    config = small(env=env, arms=arms, **settings)
    cache, (first, second) = ProgramCache(), [Tape(config, agents) for agents in config.blocks()]
    first.run(cache=cache)
    with caplog.at_level(logging.WARNING), jax.log_compiles():
        second.run(cache=cache)
    assert not [r.getMessage() for r in caplog.records if r.getMessage().startswith("Compiling")]
    alone = Tape(config, config.blocks()[1])
    alone.run()
    assert final(second) == final(alone)
    assert str(second.records) == str(alone.records)


class Watched(list[Any]):
    """A list that calls when it is extended."""

    def __init__(self, call: Any) -> None:
        super().__init__()
        self.call = call

    def extend(self, values: Any) -> None:
        super().extend(values)
        self.call()


def fused_program(memory_size: int) -> tuple[Any, int, str]:
    """The compiled chunk, its ring's bytes and the ring's shape as XLA writes it."""
    config = small(memory_size=memory_size, block_width=2, batch_size=16)
    driver: Any = make_driver(config)
    ring = driver._loop.replay.rows
    exploration, draws, decay = driver._exploration, driver._block.draw(0), driver._decay
    arguments = driver._loop, draws, schedules(config, exploration, 0, DRAWN_AHEAD), decay, 1, driver._block.inputs
    compiled = driver._run.lower(*arguments, learning=True).compile()
    return compiled, ring.nbytes, f"f32[{','.join(map(str, ring.shape))}]"


def test_a_step_never_copies_the_ring() -> None:
    """Its scratch memory is the same for any capacity, the ring is updated in place, and no copy of it is written."""
    scratch = []
    for memory_size in (20_002, 200_002):
        program, size, shape = fused_program(memory_size)
        memory = program.memory_analysis()
        assert memory.alias_size_in_bytes >= size
        scratch.append(memory.temp_size_in_bytes)
        copies = [line for line in program.as_text().splitlines() if f"= {shape}" in line and " copy(" in line]
        assert not copies
    assert scratch[0] == scratch[1] < size
