"""The callback in stable-baselines3, against the library's own updates if equivalent, and against a replay of steps."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from softstep.adapters.sb3 import TargetCallback
from softstep.target import TargetUpdate


def small_settings() -> dict[str, Any]:
    return {"policy_kwargs": {"net_arch": [8]}, "learning_starts": 20, "batch_size": 8, "seed": 0}


def parameters(module: Any) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in module.parameters()]


def trained(algorithm: Any, env: str, steps: int, callback: TargetCallback | None = None, **settings: Any) -> Any:
    """Train a small model and return it.

    Args:
        algorithm: class of the model.
        env: name of the environment.
        steps: environment steps.
        callback: the callback under test, if any.
        settings: arguments of the model.
    """
    torch.set_num_threads(1)
    model = algorithm("MlpPolicy", env, **(small_settings() | settings))
    return model.learn(steps, callback=callback)


@pytest.mark.parametrize(
    ("algorithm", "period", "networks"),
    [(SAC, 1, ["critic"]), (TD3, 2, ["critic", "actor"]), (DDPG, 1, ["critic", "actor"])],
    ids=["SAC", "TD3", "DDPG"],
)
def test_the_callback_agrees_with_an_equivalent_update_of_the_library(
    algorithm: Any, period: int, networks: list[str]
) -> None:
    """SAC and DDPG blend after every gradient step, TD3 after every second one, with the actor's step."""
    plain = trained(algorithm, "Pendulum-v1", 120, tau=0.05)
    called_back = trained(algorithm, "Pendulum-v1", 120, TargetCallback(TargetUpdate(0.05, period)), tau=0.7)
    for network in networks:
        expected, actual = (parameters(getattr(model, f"{network}_target")) for model in (plain, called_back))
        for a, b in zip(expected, actual, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_envs", [1, 4])
def test_the_target_of_dqn_is_updated_on_the_clock_of_gradient_steps(num_envs: int) -> None:
    update, callback = TargetUpdate(0.1, 3), TargetCallback(TargetUpdate(0.1, 3))
    env: Any = gymnasium.make("CartPole-v1") if num_envs == 1 else make_vec_env("CartPole-v1", num_envs, seed=0)
    model = DQN("MlpPolicy", env, train_freq=2, gradient_steps=2, target_update_interval=1, tau=0.9, **small_settings())
    online_after_step: list[list[np.ndarray]] = []
    model.policy.optimizer.register_step_post_hook(lambda *_: online_after_step.append(parameters(model.q_net)))
    expected = parameters(model.q_net_target)
    model.learn(160, callback=callback)
    assert callback.gradient_steps == len(online_after_step) > 20
    for step, online in enumerate(online_after_step, 1):
        if step % update.period == 0:
            expected = [t + np.float32(0.1) * (q - t) for t, q in zip(expected, online, strict=True)]
    for actual, parameter in zip(parameters(model.q_net_target), expected, strict=True):
        np.testing.assert_allclose(actual, parameter, rtol=1e-5, atol=1e-6)
    assert model.tau == 0.9


def test_a_second_call_of_learn_continues_without_a_second_hook() -> None:
    callback = TargetCallback(TargetUpdate(0.5))
    model = DQN("MlpPolicy", "CartPole-v1", train_freq=1, **small_settings())
    model.learn(60, callback=callback)
    first = callback.gradient_steps
    model.learn(60, callback=callback, reset_num_timesteps=False)
    assert callback.gradient_steps == 2 * first + 20  # learning_starts has passed before the second call


def test_training_after_an_interrupted_training_continues_without_a_second_hook() -> None:
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            if self.n_calls == 40:
                raise KeyboardInterrupt
            return True

    callback = TargetCallback(TargetUpdate(0.5))
    model = DQN("MlpPolicy", "CartPole-v1", train_freq=1, tau=0.3, **small_settings())
    with pytest.raises(KeyboardInterrupt):
        model.learn(60, callback=[callback, Stop()])
    before = callback.gradient_steps
    model.learn(30, callback=callback, reset_num_timesteps=False)
    assert callback.gradient_steps == before + 30  # each step is counted once
    assert model.tau == 0.3


def test_a_model_without_a_target_raises() -> None:
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8)
    with pytest.raises(ValueError, match="PPO has no target network"):
        model.learn(8, callback=TargetCallback(TargetUpdate(0.1)))
    assert not hasattr(model, "tau")
