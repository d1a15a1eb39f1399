"""DDPG, TD3 and SAC in both drivers: the same bits, exact resume, actions as the environment takes them."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import numpy as np
import pytest
from support import Tape, advance, agent_bits, make_driver, remembered, small

from softstep import envs
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.kernels.support import kernels_supported
from softstep.settings import Arm
from softstep.target import TargetUpdate
from softstep.training.fused_driver import FusedDriver
from softstep.training.host_driver import HostDriver

ALGORITHMS = ("sac", "td3", "ddpg")
PENDULUM = {"env": "Pendulum-v1", "learning_rate": 1e-2, "train_every": 2, "gradient_steps": 2}


def config(algorithm: Any, **changes: Any) -> Config:
    return small(**(PENDULUM | {"algorithm": algorithm} | changes))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("in_xla", [True, False])
def test_both_drivers_give_the_same_bits(algorithm: Any, in_xla: bool) -> None:
    """On the host the actions come from Python's call of the kernel, or from XLA's."""
    if not in_xla and not kernels_supported():
        pytest.skip("without kernels XLA acts in both drivers")
    settings = config(algorithm, env="gymnax:Pendulum-v1", num_envs=2, seeds=2, block_width=2)
    fused = make_driver(settings)
    assert isinstance(fused, FusedDriver)
    block, compiled = fused._block, envs.make_compiled("Pendulum-v1")
    host = HostDriver(settings, block, envs.GymnaxHostEnvs(compiled, block.reset_keys()), xla_acting=in_xla)
    for driver in (fused, host):
        advance(driver, settings, 130)
    for slot in range(2):
        assert agent_bits(fused, slot) == agent_bits(host, slot)
    assert not np.array_equal(remembered(fused)[0], remembered(fused)[1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("env", ["Pendulum-v1", "gymnax:Pendulum-v1"])
def test_a_resumed_run_is_the_undisturbed_run(algorithm: Any, env: str) -> None:
    settings = config(algorithm, env=env)
    whole = Tape(settings)
    whole.run()
    rest = Tape(settings)
    rest.run(whole.restored(1))
    assert str([r for r in whole.records if r.env_steps > 200]) == str(rest.records)
    for name, array in whole.snapshots[-1].arrays.items():
        if name not in ("history", "episodes"):
            np.testing.assert_array_equal(array, rest.snapshots[-1].arrays[name], err_msg=name)


@pytest.mark.parametrize("env", ["Pendulum-v1", "MountainCarContinuous-v0", "LunarLander-v3", "BipedalWalker-v3"])
def test_stored_rows_equal_gymnasium_stepped_by_hand(env: str) -> None:
    arguments = {"continuous": True} if env == "LunarLander-v3" else {}
    settings = config("td3", env=env, env_args=arguments, memory_size=300)
    driver = make_driver(settings)
    advance(driver, settings, 100)
    rows = remembered(driver)[0]
    by_hand = gymnasium.make(env, **arguments)
    space: Any = by_hand.action_space
    layout, episode = driver._block.layout, 0
    observation, _ = by_hand.reset(seed=envs.episode_seed(settings.seed, 0, episode))
    for row in rows:
        stored, action, reward, discount, following = layout.columns(row)
        assert (np.abs(action) <= 1).all()
        scaled = space.low + np.float32(0.5) * (action + np.float32(1)) * (space.high - space.low)
        np.testing.assert_array_equal(stored, np.ravel(observation).astype(np.float32))
        observation, expected, terminated, truncated, _ = by_hand.step(scaled.astype(space.dtype).reshape(space.shape))
        assert reward == np.float32(expected)
        assert discount == (not terminated)
        np.testing.assert_array_equal(following, np.ravel(observation).astype(np.float32))
        if terminated or truncated:
            episode += 1
            observation, _ = by_hand.reset(seed=envs.episode_seed(settings.seed, 0, episode))


def test_actions_are_uniform_until_learning_starts() -> None:
    settings = config("sac", env="gymnax:Pendulum-v1", learning_starts=400, memory_size=400, num_envs=2)
    driver = make_driver(settings)
    driver.advance(64, learning=False)
    actions = driver._block.layout.columns(remembered(driver)[0])[1].ravel()
    assert len(actions) == 128
    assert np.abs(actions).max() <= 1
    counts = np.histogram(actions, bins=4, range=(-1, 1))[0]
    assert counts.min() > 15  # 32 expected; below 16 has a probability of 4e-4 per bin
    assert abs(actions.mean()) < 0.2


def test_arms_differ_in_what_they_say_and_share_the_rest() -> None:
    arms = (Arm("soft"), Arm("none", target=TargetUpdate.none()), Arm("actor", actor_tau=0.5, actor_learning_rate=1e-3))
    settings = config("td3", arms=arms, target=TargetUpdate(0.01, 2))
    soft, none, actor = settings.agents()
    assert (soft.actor_tau, none.actor_tau, actor.actor_tau) == (0.01, 1.0, 0.5)
    assert (soft.actor_learning_rate, actor.actor_learning_rate) == (1e-2, 1e-3)
    smaller = config("sac", arms=(Arm("smaller", learning_rate=1e-5),)).agents()[0]
    assert (smaller.learning_rate, smaller.actor_learning_rate, smaller.temperature_learning_rate) == (1e-5, 1e-2, 1e-2)
    assert config("dqn", env="CartPole-v1").agents()[0].actor_tau is None


def test_the_scale_factor_of_alpha_acts_on_all_three_rates() -> None:
    settings = config("sac", env="gymnax:Pendulum-v1", learning_rate_decay=0.5, learning_rate_decay_steps=1)
    halved = config("sac", env="gymnax:Pendulum-v1", learning_rate=5e-3)
    drivers = [make_driver(settings), make_driver(halved)]
    for driver, each in zip(drivers, (settings, halved), strict=True):
        advance(driver, each, 40)
    jax.tree.map(np.testing.assert_array_equal, *[driver.state.learner.online for driver in drivers])


class Unbounded(gymnasium.Env[np.ndarray, np.ndarray]):
    """An environment whose action has no bounds."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "sac", "env": "CartPole-v1"}, "needs continuous actions"),
        ({"algorithm": "sac", "env": "gymnax:CartPole-v1"}, "needs continuous actions"),
        ({"env": "Pendulum-v1"}, "algorithm = 'sac'"),
        ({"env": "gymnax:Pendulum-v1"}, "algorithm = 'sac'"),
        ({"algorithm": "ddpg", "env": "Unbounded-v0"}, "bounds must be finite"),
    ],
)
def test_actions_that_do_not_fit_the_algorithm_are_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    gymnasium.register("Unbounded-v0", lambda **_: Unbounded())
    try:
        with pytest.raises(ConfigError, match=message) as error:
            envs.describe(Config(**settings))
    finally:
        del gymnasium.registry["Unbounded-v0"]
    assert "\n" not in str(error.value)


def test_blocks_share_nothing_but_their_programs() -> None:
    """An agent's bits do not depend on its slot or its neighbours."""
    settings = config("sac", env="gymnax:Pendulum-v1", seeds=3, block_width=2)
    together, alone = make_driver(settings, settings.agents()[:2]), make_driver(settings, settings.agents()[1:2])
    for driver in (together, alone):
        advance(driver, settings, 40)
    assert agent_bits(together, 1) == agent_bits(alone, 0)
