"""The callback in stable-baselines3, against its own updates where they say the same and against a ledger elsewhere."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback

from softstep.adapters.sb3 import TargetCallback
from softstep.target import TargetUpdate


def small() -> dict[str, Any]:
    return {"policy_kwargs": {"net_arch": [8]}, "learning_starts": 20, "batch_size": 8, "seed": 0}


def parameters(module: Any) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in module.parameters()]


def trained(kind: Any, env: str, steps: int, callback: TargetCallback | None = None, **settings: Any) -> Any:
    torch.set_num_threads(1)
    model = kind("MlpPolicy", env, **(small() | settings))
    return model.learn(steps, callback=callback)


@pytest.mark.parametrize(
    ("kind", "period", "networks"),
    [(SAC, 1, ["critic"]), (TD3, 2, ["critic", "actor"]), (DDPG, 1, ["critic", "actor"])],
    ids=["SAC", "TD3", "DDPG"],
)
def test_where_its_own_update_says_the_same_the_agents_are_the_same(
    kind: Any, period: int, networks: list[str]
) -> None:
    """SAC and DDPG blend after every gradient step, TD3 after every second one, with the actor's step."""
    own = trained(kind, "Pendulum-v1", 120, tau=0.05)
    ours = trained(kind, "Pendulum-v1", 120, TargetCallback(TargetUpdate(0.05, period)), tau=0.7)
    for network in networks:
        for a, b in zip(
            parameters(getattr(own, f"{network}_target")), parameters(getattr(ours, f"{network}_target")), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("envs", [1, 4])
def test_dqn_follows_on_the_clock_of_gradient_steps(envs: int) -> None:
    update, callback = TargetUpdate(0.1, 3), TargetCallback(TargetUpdate(0.1, 3))
    many = gymnasium.make("CartPole-v1") if envs == 1 else None
    env: Any = many if many is not None else _vector(envs)
    model = DQN("MlpPolicy", env, train_freq=2, gradient_steps=2, target_update_interval=1, tau=0.9, **small())
    seen: list[list[np.ndarray]] = []
    model.policy.optimizer.register_step_post_hook(lambda *_: seen.append(parameters(model.q_net)))
    wanted = parameters(model.q_net_target)
    model.learn(160, callback=callback)
    assert callback.gradient_steps == len(seen) > 20
    for step, online in enumerate(seen, 1):
        if step % update.period == 0:
            wanted = [t + np.float32(0.1) * (q - t) for t, q in zip(wanted, online, strict=True)]
    for got, want in zip(parameters(model.q_net_target), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    assert model.tau == 0.9


def _vector(envs: int) -> Any:
    from stable_baselines3.common.env_util import make_vec_env

    return make_vec_env("CartPole-v1", envs, seed=0)


def test_a_second_call_of_learn_goes_on_and_adds_no_second_hook() -> None:
    callback = TargetCallback(TargetUpdate(0.5))
    model = DQN("MlpPolicy", "CartPole-v1", train_freq=1, **small())
    model.learn(60, callback=callback)
    first = callback.gradient_steps
    model.learn(60, callback=callback, reset_num_timesteps=False)
    assert callback.gradient_steps == 2 * first + 20  # nothing waits for learning_starts the second time


def test_after_a_training_that_was_broken_off_the_next_goes_on_as_if_it_had_ended() -> None:
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            if self.n_calls == 40:
                raise KeyboardInterrupt
            return True

    callback = TargetCallback(TargetUpdate(0.5))
    model = DQN("MlpPolicy", "CartPole-v1", train_freq=1, tau=0.3, **small())
    with pytest.raises(KeyboardInterrupt):
        model.learn(60, callback=[callback, Stop()])
    before = callback.gradient_steps
    model.learn(30, callback=callback, reset_num_timesteps=False)
    assert callback.gradient_steps == before + 30  # once each, not twice
    assert model.tau == 0.3


def test_a_model_without_a_target_is_refused() -> None:
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8)
    with pytest.raises(ValueError, match="PPO has no target network"):
        model.learn(8, callback=TargetCallback(TargetUpdate(0.1)))
    assert not hasattr(model, "tau")
