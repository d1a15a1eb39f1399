"""Bit reproducibility: an agent's numbers do not depend on other agents, slot, chunk size or driver."""

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

from softstep.config import Config
from softstep.settings import Agent, Arm, Exploration
from softstep.target import TargetUpdate
from softstep.training.driver import Driver
from softstep.training.program_cache import ProgramCache
from softstep.training.randomness import drawn_ahead
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


def run_tape(config: Config) -> Tape:
    """Record a whole run."""
    tape = Tape(config)
    tape.run()
    return tape


@functools.cache
def uninterrupted(env: str = "gymnax:CartPole-v1") -> Tape:
    """Record a small run from start to end."""
    return run_tape(small(env=env))


def trained(config: Config, agents: tuple[Agent, ...], kind: str = "default") -> tuple[Driver, np.ndarray]:
    """Run 90 iterations and return the driver and the finished episodes."""
    driver = make_driver(config, agents, kind)
    finished = advance(driver, config, 90)
    driver.close()
    return driver, finished


# ---- other agents in the block ----


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_an_agent_does_not_depend_on_block_size_slot_or_neighbours(env: str) -> None:
    config = small(env=env, block_width=4)
    reference, episodes = trained(config, AGENTS)
    assert len(episodes)
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
    unstable_agents = (*AGENTS[:2], dataclasses.replace(AGENTS[2], learning_rate=1e30), AGENTS[3])
    stable, _ = trained(config, AGENTS)
    driver, _ = trained(config, unstable_agents)
    assert [bool(n) for n in driver.state.learner.diverged_at] == [False, False, True, False]
    assert driver.state.learner.diverged_at[2] <= 3
    for slot in (0, 1, 3):
        assert agent_bits(driver, slot) == agent_bits(stable, slot)


def test_divergence_is_recorded_and_the_run_continues() -> None:
    config = small(arms=(Arm("stable"), Arm("unstable", learning_rate=1e30)), optimizer="sgd")
    tape = Tape(config)
    assert tape.run().env_steps == config.total_steps
    last = {record.arm: record for record in tape.records}
    assert (last["stable"].diverged, last["unstable"].diverged) == (False, True)
    assert np.isfinite(last["stable"].loss)
    assert last["unstable"].episodes > 0


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
    host, host_episodes = trained(config, AGENTS[:3], "host")
    np.testing.assert_array_equal(episodes, host_episodes)
    assert len(episodes) > 5
    assert int(fused.written()[0]) > 64  # the ring has wrapped
    for slot in range(3):
        assert agent_bits(host, slot) == agent_bits(fused, slot)


@pytest.mark.parametrize(("kind", "chunk"), [("default", 1), ("default", 7), ("host", 7)])
def test_chunks_of_any_size_give_equal_bits(kind: str, chunk: int) -> None:
    config = small()
    reference = make_driver(config, kind=kind)
    chunked = make_driver(config, kind=kind)
    np.testing.assert_array_equal(advance(reference, config, 90), advance(chunked, config, 90, chunk))
    assert agent_bits(reference, 0) == agent_bits(chunked, 0)


def test_checkpoints_and_evaluations_never_change_a_run() -> None:
    other = final(run_tape(small(checkpoint_every=34, eval_every=60, eval_episodes=2)))
    for name, bits in final(uninterrupted()).items():
        assert bits == other[name], name


# ---- seeds ----


def final(tape: Tape) -> dict[str, bytes]:
    """Return a run's last snapshot without its history, which contains the seed."""
    return {name: array.tobytes() for name, array in tape.snapshots[-1].arrays.items() if name != "history"}


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_equal_seeds_give_equal_runs_and_different_seeds_different_ones(env: str) -> None:
    repeated = run_tape(small(env=env))
    assert final(uninterrupted(env)) == final(repeated)
    assert str(uninterrupted(env).records) == str(repeated.records)
    assert final(uninterrupted(env)) != final(run_tape(small(env=env, seed=8)))


def test_every_draw_differs_between_seeds_and_between_iterations() -> None:
    draws = make_driver(small(seeds=2), kind="host")._block.draw(0)
    for field in (draws.explore, draws.replay_bits, jax.random.key_data(draws.env_keys)):
        flat = np.asarray(field)
        assert not np.array_equal(flat[0], flat[1])
        assert not np.array_equal(flat[:, :, 0], flat[:, :, 1])


def test_two_arms_with_one_seed_start_from_equal_parameters() -> None:
    config = small(arms=(Arm("soft"), Arm("hard", 1e-4, TargetUpdate.hard(9))), seeds=2)
    driver = make_driver(config)
    for leaf in map(np.asarray, driver.state.learner.online):
        np.testing.assert_array_equal(leaf[:2], leaf[2:])
        assert not np.array_equal(leaf[0], leaf[1])


RANDOM_STATE_CHECK = """
import random
import numpy as np
from support import Tape, small

def state():
    return random.getstate(), np.random.get_state()[1].tobytes()

for env in ("gymnax:CartPole-v1", "CartPole-v1"):
    Tape(small(env=env, total_steps=100)).run()  # libraries draw random numbers when they are imported
    finals = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        before, tape = state(), Tape(small(env=env, total_steps=100))
        tape.run()
        assert state() == before, f"{env} changed a global random state"
        finals.append({name: array.tobytes() for name, array in tape.snapshots[-1].arrays.items()})
    assert finals[0] == finals[1], f"{env} read a global random state"
"""


def test_the_global_random_state_is_neither_read_nor_changed() -> None:
    """Run in a separate process, because the signature checks of the tests draw from `random`."""
    cache = {"JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir or "")}
    result = subprocess.run(
        [sys.executable, "-c", RANDOM_STATE_CHECK],
        cwd=Path(__file__).parents[1],
        env=os.environ | cache,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


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
def test_a_restored_driver_continues_bit_for_bit(env: str, kind: str, changes: dict[str, Any]) -> None:
    config = small(env=env, seeds=2, block_width=3, **changes)
    first = make_driver(config, kind=kind)
    advance(first, config, 75)  # past the end of the ring, in the middle of an episode
    assert (first.statistics.lengths > 0).any()
    assert (first.written() > 64).all()
    arrays = {name: array.copy() for name, array in first.snapshot().items()}
    rows = remembered(first)
    second = make_driver(config, kind=kind)
    advance(second, config, 13)  # restoring replaces the state of a driver that has already run
    second.restore(arrays, rows, 75)
    np.testing.assert_array_equal(advance(first, config, 70), advance(second, config, 70))
    for slot in range(2):
        assert agent_bits(first, slot) == agent_bits(second, slot)


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_a_resumed_run_equals_an_uninterrupted_one(env: str) -> None:
    config = small(env=env, seeds=2, eval_every=130, eval_episodes=2, checkpoint_every=90)
    first, resumed = run_tape(config), Tape(config)
    resumed_at = first.snapshots[1].env_steps
    assert resumed.run(first.restored(1)).executed_steps == config.total_steps - resumed_at > 0
    assert str(resumed.records) == str([r for r in first.records if r.env_steps > resumed_at])
    assert final(resumed) == final(first)
    assert [len(rows) for rows in resumed.restored(len(resumed.snapshots) - 1).rows] == [64, 64]


def test_a_stopped_run_leaves_a_snapshot_of_its_last_step() -> None:
    stopped, resumed = Tape(small(), stop_at=100), Tape(small())
    outcome = stopped.run()
    assert outcome.stopped
    assert outcome.env_steps == stopped.snapshots[-1].env_steps == 100
    resumed.run(stopped.restored(len(stopped.snapshots) - 1))
    assert final(resumed) == final(uninterrupted())
    assert str(stopped.records + resumed.records) == str(uninterrupted().records)


# ---- compiled programs ----


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_nothing_is_compiled_twice(env: str, caplog: pytest.LogCaptureFixture) -> None:
    """After the first record and the first evaluation, every program has been compiled."""
    config = small(env=env, eval_every=100, eval_episodes=2, seeds=2)
    tape = Tape(config)
    messages_at_record: list[int] = []
    tape.records = NotifyingList(lambda: messages_at_record.append(len(caplog.records)))
    with caplog.at_level(logging.WARNING), jax.log_compiles():
        tape.run()
    compiled = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Compiling")]
    late = [r.getMessage() for r in caplog.records[messages_at_record[1] :] if r.getMessage().startswith("Compiling")]
    assert len(compiled) > 5
    assert not late


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_the_second_block_of_a_run_compiles_nothing_and_keeps_its_bits(
    env: str, caplog: pytest.LogCaptureFixture
) -> None:
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


class NotifyingList(list[Any]):
    """A list that calls a function whenever it is extended."""

    def __init__(self, on_extend: Any) -> None:
        super().__init__()
        self.on_extend = on_extend

    def extend(self, values: Any) -> None:
        super().extend(values)
        self.on_extend()


def fused_program(memory_size: int) -> tuple[Any, int, str]:
    """Return the compiled chunk, the ring's size in bytes and the ring's shape in XLA's notation."""
    config = small(memory_size=memory_size, block_width=2, batch_size=16)
    driver: Any = make_driver(config)
    ring = driver._loop.replay.rows
    exploration, draws, decay = driver._exploration, driver._block.draw(0), driver._decay
    scheduled = schedules(config, exploration, 0, drawn_ahead(config))
    arguments = driver._loop, draws, scheduled, decay, 1, driver._block.inputs
    compiled = driver._run.lower(*arguments, learning=True).compile()
    return compiled, ring.nbytes, f"f32[{','.join(map(str, ring.shape))}]"


def test_a_step_never_copies_the_ring() -> None:
    """Scratch memory is the same for any capacity, and the ring is updated in place without a copy."""
    scratch = []
    for memory_size in (20_002, 200_002):
        program, size, shape = fused_program(memory_size)
        memory = program.memory_analysis()
        assert memory.alias_size_in_bytes >= size
        scratch.append(memory.temp_size_in_bytes)
        copies = [line for line in program.as_text().splitlines() if f"= {shape}" in line and " copy(" in line]
        assert not copies
    assert scratch[0] == scratch[1] < size
