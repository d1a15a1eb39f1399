"""Harmonic targets in training: beside constant ones in a block, in both drivers, and after a resume."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from support import Tape, advance, agent_bits, make_driver, small

from softstep.config import Config
from softstep.learner.actor_critic import Networks
from softstep.learner.algorithms import make_learner
from softstep.learner.contract import Hyper
from softstep.settings import Arm
from softstep.target import TargetUpdate
from softstep.transition import Transition

HARMONIC = TargetUpdate.harmonic(0.9, tau0=0.5, factor=1.0)  # 0.5 until step 20, then 10/t
ARMS = (Arm("constant", target=TargetUpdate(0.1)), Arm("harmonic", target=HARMONIC))


@pytest.mark.parametrize("period", [1, 3])
def test_the_learner_follows_a_plain_loop(period: int) -> None:
    learner, rng = make_learner(Config(hidden=(4,)), 3, 2), np.random.default_rng(0)
    state = learner.init(jax.random.key(0))
    target, update = [np.array(leaf) for leaf in state.target], jax.jit(learner.update)
    hyper = Hyper(1e-2, 0.5, period, 0.9, harmonic_steps=10.0)
    for step in range(1, 60):
        batch = Transition(
            rng.standard_normal((8, 3)).astype(np.float32), rng.integers(2, size=8).astype(np.int32),
            rng.standard_normal(8).astype(np.float32), np.ones(8, np.float32),
            rng.standard_normal((8, 3)).astype(np.float32),
        )  # fmt: skip
        state, _ = update(state, batch, hyper)
        if step % period == 0:
            tau = np.float32(min(0.5, 10 / step))
            target = [t + tau * (np.asarray(q) - t) for t, q in zip(target, state.online, strict=True)]
    for actual, expected in zip(state.target, target, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_constant_agent_keeps_its_bits_beside_a_harmonic_one() -> None:
    def targets(arms: tuple[Arm, ...]) -> list[np.ndarray]:
        config = small(arms=arms, block_width=2)
        driver = make_driver(config)
        advance(driver, config, 60)
        return [np.asarray(leaf) for leaf in driver.state.learner.target]

    mixed, constant = targets(ARMS), targets((ARMS[0], Arm("other", target=TargetUpdate(0.1))))
    assert all(a[0].tobytes() == b[0].tobytes() for a, b in zip(mixed, constant, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(mixed, constant, strict=True))


@pytest.mark.parametrize("period", [1, 3])
@pytest.mark.parametrize("num_envs", [1, 2])
def test_the_fused_and_the_host_driver_give_equal_bits(period: int, num_envs: int) -> None:
    arms = (*ARMS, Arm("periodic", target=replace(HARMONIC, period=period)))
    config = small(arms=arms, block_width=4, num_envs=num_envs)
    fused, host = make_driver(config), make_driver(config, kind="host")
    for driver in (fused, host):
        advance(driver, config, 90)
        driver.close()
    assert int(fused.state.learner.gradient_steps[0]) > 40
    for slot in range(3):
        assert agent_bits(host, slot) == agent_bits(fused, slot)


@pytest.mark.parametrize("actor_tau", [None, 0.2])
@pytest.mark.parametrize("kind", ["default", "host"])
def test_the_targets_of_critics_and_actor_follow_a_plain_loop(kind: str, actor_tau: float | None) -> None:
    """Both count the critics' gradient steps, also where the actor moves at every second one only."""
    config = small(env="gymnax:Pendulum-v1", algorithm="td3", target=HARMONIC, actor_tau=actor_tau, train_every=1)
    driver = make_driver(config, kind=kind)
    advance(driver, config, config.warmup)
    expected, step = networks(driver.state.learner.target), 0
    while step < 40:
        advance(driver, config, 1)
        step += 1
        online, tau = networks(driver.state.learner.online), min(0.5, 10 / step)
        weights = {"critics": tau, "actor": tau if actor_tau is None else actor_tau}
        for name, target in expected.items():
            expected[name] = [
                t + np.float32(weights[name]) * (q - t) for t, q in zip(target, online[name], strict=True)
            ]
    assert int(driver.state.learner.gradient_steps[0]) == step
    for name, target in networks(driver.state.learner.target).items():
        for actual, parameter in zip(target, expected[name], strict=True):
            np.testing.assert_allclose(actual, parameter, rtol=1e-4, atol=1e-6)


def networks(of: Networks) -> dict[str, list[np.ndarray]]:
    return {name: [np.array(leaf) for leaf in getattr(of, name)] for name in ("critics", "actor")}


@pytest.mark.parametrize("env", ["gymnax:CartPole-v1", "gymnax:Pendulum-v1"])
def test_records_have_tau_of_their_moment_and_a_resumed_run_repeats_them(env: str) -> None:
    config = small(env=env, arms=ARMS, block_width=2, algorithm="td3" if "Pendulum" in env else "dqn")
    reference, stopped, resumed = Tape(config), Tape(config, stop_at=200), Tape(config)
    reference.run()
    for row in reference.records:
        expected = 0.1 if row.arm == "constant" else min(0.5, HARMONIC.harmonic_steps / max(1, row.gradient_steps))
        assert row.tau == pytest.approx(expected)
    assert stopped.run().stopped
    resumed.run(stopped.restored(len(stopped.snapshots) - 1))
    assert resumed.records
    assert str(stopped.records + resumed.records) == str(reference.records)
    one, other = (tape.snapshots[-1].arrays for tape in (reference, resumed))
    assert one.keys() == other.keys()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)
