"""The bit promises: an agent's numbers do not depend on company, slot, chunk or driver."""

from __future__ import annotations

import dataclasses
import logging
import random
from typing import Any

import jax
import numpy as np
import probes  # noqa: F401 (registers them)
import pytest
from support import Tape, advance, agent_bits, make_driver, of_agent, remembered, small

from softstep.config import Agent, Arm, Config, Exploration
from softstep.drivers import DRAWN_AHEAD, Driver, Finished, schedule
from softstep.target import TargetUpdate

GEOMETRIC = Exploration(schedule="geometric", start=1.0, end=0.1, decay=0.8)
AGENTS = tuple(
    Agent("arm", seed, rate, target)
    for seed, rate, target in [
        (0, 1e-3, TargetUpdate(0.01)),
        (1, 3e-3, TargetUpdate.hard(5)),
        (2, 1e-2, TargetUpdate.none()),
        (0, 1e-3, TargetUpdate(0.5, 2)),
    ]
)


def trained(config: Config, agents: tuple[Agent, ...], kind: str = "default") -> tuple[Driver, list[Finished]]:
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
    orders = [(0,), (2, 0), (1, 2, 3), (3, 2, 1, 0)]
    for order in orders:
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
    "geometric": {"exploration": GEOMETRIC},
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


@pytest.mark.parametrize("kind", ["default", "host"])
@pytest.mark.parametrize("chunk", [1, 7])
def test_chunks_of_any_size_give_equal_bits(kind: str, chunk: int) -> None:
    config = small()
    whole = make_driver(config, kind=kind)
    parts = make_driver(config, kind=kind)
    assert advance(whole, config, 90) == advance(parts, config, 90, chunk)
    assert agent_bits(whole, 0) == agent_bits(parts, 0)


def test_checkpoints_and_evaluations_never_change_a_run() -> None:
    runs = [
        Tape(small(**changes)) for changes in ({}, {"checkpoint_every": 34}, {"eval_every": 60, "eval_episodes": 2})
    ]
    for run in runs:
        run.run()
    for run in runs[1:]:
        for name, array in runs[0].snapshots[-1].arrays.items():
            assert name == "log" or array.tobytes() == run.snapshots[-1].arrays[name].tobytes(), name


# ---- seeds ----


def final(config: Config) -> dict[str, bytes]:
    tape = Tape(config)
    tape.run()
    return {name: array.tobytes() for name, array in tape.snapshots[-1].arrays.items()}


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1"])
def test_one_seed_repeats_and_two_differ(env: str) -> None:
    assert final(small(env=env, seed=7)) == final(small(env=env, seed=7)) != final(small(env=env, seed=8))


def test_every_draw_differs_between_seeds_and_between_iterations() -> None:
    draws = make_driver(small(seeds=2), kind="host")._block.draw(0)
    for field in (draws.uniform, draws.words, jax.random.key_data(draws.env_keys)):
        flat = np.asarray(field)
        assert not np.array_equal(flat[0], flat[1])
        assert not np.array_equal(flat[:, :, 0], flat[:, :, 1])


def test_two_arms_with_one_seed_start_from_equal_parameters() -> None:
    config = small(arms=(Arm("soft"), Arm("hard", 1e-4, TargetUpdate.hard(9))), seeds=2)
    driver = make_driver(config)
    for leaf in map(np.asarray, driver.state.learner.online):
        np.testing.assert_array_equal(leaf[:2], leaf[2:])
        assert not np.array_equal(leaf[0], leaf[1])


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "CartPole-v1", "SignProbe-v0"])
def test_the_global_random_state_is_neither_read_nor_moved(env: str) -> None:
    before = random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    first = final(small(env=env))
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before  # noqa: NPY002
    random.seed(1), np.random.seed(1)  # noqa: NPY002
    assert final(small(env=env)) == first


def test_episodes_of_an_environment_start_differently() -> None:
    rows = remembered(trained(small(env="CartPole-v1", memory_size=400, num_envs=2), AGENTS[:1])[0])[0]
    starts = {
        row[:4].tobytes() for row in rows if np.abs(row[:4]).max() <= 0.05 and np.abs(row[1]) + np.abs(row[3]) > 0
    }
    assert len(starts) > 5


# ---- snapshot and restore ----


@pytest.mark.parametrize("changes", [{}, VARIETIES["several environments"]], ids=["one", "several"])
@pytest.mark.parametrize(
    ("env", "kind"),
    [("gymnax:CartPole-v1", "default"), ("gymnax:CartPole-v1", "host"), ("CartPole-v1", "default"),
     ("LunarLander-v3", "default")],
)  # fmt: skip
def test_a_restored_driver_goes_on_bit_for_bit(env: str, kind: str, changes: dict[str, Any]) -> None:
    config = small(env=env, seeds=2, block_width=3, **changes)
    first = make_driver(config, kind=kind)
    advance(first, config, 75)  # past the ring's end, within an episode
    assert (first.walk.lengths > 0).all()
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
    whole, again = Tape(config), Tape(config)
    whole.run()
    assert again.run(whole.restored(1)).executed_steps == 400 - whole.snapshots[1].env_steps > 0
    assert str(again.records) == str([r for r in whole.records if r.env_steps > whole.snapshots[1].env_steps])
    for name, array in whole.snapshots[-1].arrays.items():
        assert array.tobytes() == again.snapshots[-1].arrays[name].tobytes(), name


def test_a_stopped_run_leaves_a_snapshot_of_its_last_moment() -> None:
    config = small()
    whole, stopped, again = Tape(config), Tape(config, stop_at=100), Tape(config)
    whole.run()
    outcome = stopped.run()
    assert outcome.stopped
    assert outcome.env_steps == stopped.snapshots[-1].env_steps == 100
    again.run(stopped.restored(len(stopped.snapshots) - 1))
    for name, array in whole.snapshots[-1].arrays.items():
        assert array.tobytes() == again.snapshots[-1].arrays[name].tobytes(), name


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
    ring = driver._carry.replay.rows
    given = driver._carry, driver._block.draw(0), schedule(config, 0, DRAWN_AHEAD), 1
    compiled = driver._chunk.lower(*given, learning=True).compile()
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
