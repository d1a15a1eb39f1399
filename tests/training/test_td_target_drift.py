"""Drift of the TD target y: the running sums against NumPy, and the properties of the probe."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import probes  # noqa: F401 (registers them)
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Tape, small

from softstep import envs
from softstep.config import Config
from softstep.learner.algorithms import make_learner
from softstep.settings import Arm
from softstep.target import TargetUpdate
from softstep.training.block import make_block
from softstep.training.host_driver import HostDriver
from softstep.training.probe import make_probe, reference_q_values
from softstep.training.td_target_drift import add_step, initial_drift, summarize


@given(st.integers(0, 10**6), st.integers(1, 30), st.floats(-6, 3))
def test_the_running_sums_equal_numpy_over_all_moves(seed: int, steps: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    moves = np.float32(10**scale) * rng.standard_normal((steps, 2, 8)).astype(np.float32)
    y = [rng.standard_normal((2, 8)).astype(np.float32)]
    drift = initial_drift(jnp.array(y[0]))
    for move in moves:
        y.append(y[-1] + move)
        drift = add_step(drift, jnp.array(y[-1]))
    change = np.abs(np.diff(np.array(y), axis=0)).swapaxes(0, 1).reshape(2, -1)
    summary = summarize(drift)
    np.testing.assert_allclose(summary["y_drift"], change.mean(1), rtol=1e-4)
    np.testing.assert_allclose(summary["y_rms"], np.sqrt((change.astype(float) ** 2).mean(1)), rtol=1e-4)
    np.testing.assert_allclose(summary["y_sd"], y[-1].std(1), rtol=1e-4)
    exact = np.sort(change, axis=1)[:, int(np.ceil(0.99 * change.shape[1])) - 1]
    np.testing.assert_allclose(summary["y_p99"], exact, rtol=0.025)


def test_a_constant_y_and_a_non_finite_y() -> None:
    constant = summarize(add_step(initial_drift(jnp.ones((1, 4))), jnp.ones((1, 4))))
    assert (constant["y_drift"][0], constant["y_rms"][0], constant["y_p99"][0]) == (0, 0, 0)
    non_finite = summarize(add_step(initial_drift(jnp.ones((1, 4))), jnp.full((1, 4), jnp.nan)))
    assert np.isnan([non_finite[name][0] for name in ("y_drift", "y_rms", "y_p99", "y_sd")]).all()


def probe_config(**changes: object) -> Config:
    return small(env="CartPole-v1", probe=10, total_steps=300, record_every=300, checkpoint_every=300, **changes)


def test_a_record_sums_the_moves_of_all_gradient_steps_since_the_previous_one() -> None:
    config = probe_config(gradient_steps=2, target=TargetUpdate(0.3, 2))
    spec, agents = envs.describe(config), config.blocks()[0]
    learner = make_learner(config, spec.observation_size, spec.num_actions)
    probe = make_probe(config, spec, [0])
    block = make_block(config, learner, agents, spec.observation_size, spec.num_actions, probe)
    driver = HostDriver(config, block, envs.make_host(spec, [0], 1))
    driver.advance(config.warmup, learning=False)

    def y() -> np.ndarray:
        values = learner.network.batch(
            jax.tree.map(lambda a: a[0], driver.state.learner.target), probe.next_observation[0]
        )
        return probe.reward[0] + config.gamma * probe.discount[0] * np.asarray(values).max(-1)

    before, total = y(), 0.0
    for _ in range(20):  # the target moves at every second gradient step, that is once per iteration of two
        driver.advance(1, learning=True)
        total += float(np.abs(y() - before).sum())
        before = y()
    assert total > 0
    np.testing.assert_allclose(summarize(driver.state.drift)["y_drift"][0], total / (20 * 2 * 10), rtol=1e-3)


def test_a_hard_copy_drifts_like_a_soft_update_on_average_but_in_jumps() -> None:
    arms = (Arm("soft", target=TargetUpdate(0.1)), Arm("hard", target=TargetUpdate.hard(19)))
    tape = Tape(probe_config(arms=arms, seeds=2))
    tape.run()
    soft, hard = tape.records[0], tape.records[2]
    assert (soft.arm, hard.arm) == ("soft", "hard")
    assert 0.5 < hard.y_drift / soft.y_drift < 2
    assert hard.y_rms > 2 * soft.y_rms
    assert hard.y_p99 > 2 * soft.y_p99


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnax:CartPole-v1"])
def test_a_probe_depends_only_on_its_seed(env: str) -> None:
    config = dataclasses.replace(probe_config(), env=env, block_width=2)
    spec = envs.describe(config)
    both = make_probe(config, spec, [3, 4])
    alone = make_probe(config, spec, [4])
    for a, b in zip(both, alone, strict=True):
        np.testing.assert_array_equal(a[1], b[0])
        assert a.shape[:2] == (2, 10)
    assert not np.array_equal(both.next_observation[0], both.next_observation[1])


def test_the_second_half_comes_from_an_agent_that_plays_well() -> None:
    config = dataclasses.replace(probe_config(), probe=64, block_width=8)
    spec = envs.describe(config)
    assert reference_q_values(spec) is not None
    probe = make_probe(config, spec, list(range(8)))
    by_random_policy, by_agent = probe.discount[:, :32], probe.discount[:, 32:]
    assert (by_random_policy == 0).sum() > 3 * (by_agent == 0).sum()  # its pole rarely falls


def test_every_arm_uses_the_same_probe() -> None:
    arms = (Arm("one"), Arm("two"), Arm("slow", learning_rate=1e-12))
    tape = Tape(probe_config(arms=arms))
    tape.run()
    one, two, slow = tape.records
    assert (one.y_drift, one.y_sd) == (two.y_drift, two.y_sd)
    assert slow.y_drift < 1e-6 < one.y_drift


def test_without_a_probe_a_record_measures_one_extra_step() -> None:
    tape = Tape(dataclasses.replace(probe_config(), probe=0))
    tape.run()
    assert tape.records[0].y_drift > 0
    assert np.isfinite([tape.records[0].y_rms, tape.records[0].y_p99, tape.records[0].y_sd]).all()
