"""The callback in stable-baselines3, against the library's own updates if equivalent, and against a replay of steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env

from softstep.adapters.sb3 import TargetCallback
from softstep.adapters.torch import Target
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


def harmonic_targets(first: list[np.ndarray], online: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Return what follows the networks after each gradient step by `HARMONIC`: 0.5 until step 8, then 4/t."""
    target = first
    for step, network in enumerate(online, 1):
        tau = np.float32(0.5 if step <= 8 else 4 / step)
        target = [t + tau * (q - t) for t, q in zip(target, network, strict=True)]
    return target


HARMONIC = TargetUpdate.harmonic(gamma=0.5, tau0=0.5, factor=2)


@pytest.mark.parametrize("num_envs", [1, 4])
def test_a_harmonic_target_of_dqn_is_that_of_the_formula_and_of_the_pytorch_adapter(num_envs: int) -> None:
    env = make_vec_env("CartPole-v1", num_envs, seed=0)
    model = DQN("MlpPolicy", env, train_freq=2, gradient_steps=2, tau=0.9, **small_settings())
    first, online = parameters(model.q_net_target), list[list[np.ndarray]]()
    follower = Target(model.q_net, HARMONIC)

    def after_step(*_: Any) -> None:
        online.append(parameters(model.q_net))
        follower.step()

    model.policy.optimizer.register_step_post_hook(after_step)
    model.learn(160, callback=TargetCallback(HARMONIC))
    assert len(online) > 20
    for target, parameter, expected in zip(
        parameters(model.q_net_target), parameters(follower.module), harmonic_targets(first, online), strict=True
    ):
        np.testing.assert_array_equal(target, parameter)
        np.testing.assert_allclose(target, expected, rtol=1e-5, atol=1e-6)


def test_harmonic_targets_of_td3_count_the_critics_gradient_steps() -> None:
    """The actor moves at every second gradient step only, and its target takes τ of every one."""
    model = TD3("MlpPolicy", "Pendulum-v1", **small_settings())
    online: dict[str, list[list[np.ndarray]]] = {"critic": [], "actor": []}
    first = {name: parameters(getattr(model, f"{name}_target")) for name in online}
    model.critic.optimizer.register_step_post_hook(lambda *_: online["critic"].append(parameters(model.critic)))

    class AfterStep(BaseCallback):
        """Records the actor as it is after the gradient steps of each environment step."""

        def _on_rollout_start(self) -> None:
            if len(online["critic"]) > len(online["actor"]):
                online["actor"].append(parameters(model.actor))

        def _on_step(self) -> bool:
            return True

    model.learn(80, callback=[TargetCallback(HARMONIC), AfterStep()])
    online["actor"].append(parameters(model.actor))
    assert len(online["critic"]) == len(online["actor"]) == 60
    for name, networks in online.items():
        expected = harmonic_targets(first[name], networks)
        for actual, parameter in zip(parameters(getattr(model, f"{name}_target")), expected, strict=True):
            np.testing.assert_allclose(actual, parameter, rtol=1e-5, atol=1e-6)


def test_a_loaded_model_continues_at_its_gradient_step_of_the_schedule(tmp_path: Path) -> None:
    model = DQN("MlpPolicy", "CartPole-v1", train_freq=1, **small_settings())
    model.learn(40, callback=TargetCallback(HARMONIC))
    model.save(tmp_path / "model")
    loaded = DQN.load(tmp_path / "model", env=gymnasium.make("CartPole-v1"))
    counted, target, online = loaded._n_updates, parameters(loaded.q_net_target), list[list[np.ndarray]]()
    loaded.policy.optimizer.register_step_post_hook(lambda *_: online.append(parameters(loaded.q_net)))
    callback = TargetCallback(HARMONIC)
    loaded.learn(30, callback=callback)
    assert (counted, len(online), callback.gradient_steps) == (20, 10, 30)
    for step, network in enumerate(online, 21):
        target = [t + np.float32(4 / step) * (q - t) for t, q in zip(target, network, strict=True)]
    for actual, expected in zip(parameters(loaded.q_net_target), target, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_harmonic_rule_without_gamma_is_refused() -> None:
    with pytest.raises(ValueError, match="gamma is missing"):
        TargetCallback(TargetUpdate(schedule="harmonic"))


def test_a_second_call_of_learn_continues_without_a_second_hook() -> None:
    callback = TargetCallback(TargetUpdate(0.5))
    model = DQN("MlpPolicy", "CartPole-v1", train_freq=1, **small_settings())
    model.learn(60, callback=callback)
    first = callback.gradient_steps
    model.learn(60, callback=callback, reset_num_timesteps=False)
    assert callback.gradient_steps == 2 * first + 20  # learning_starts has passed before the second call


class Interrupt(BaseCallback):
    """Interrupts the training at the 40th environment step, as Ctrl-C does."""

    def _on_step(self) -> bool:
        if self.n_calls == 40:
            raise KeyboardInterrupt
        return True


def test_training_after_an_interrupted_training_continues_without_a_second_hook() -> None:
    callback = TargetCallback(TargetUpdate(0.5))
    model = DQN("MlpPolicy", "CartPole-v1", train_freq=1, tau=0.3, **small_settings())
    with pytest.raises(KeyboardInterrupt):
        model.learn(60, callback=[callback, Interrupt()])
    before = callback.gradient_steps
    model.learn(30, callback=callback, reset_num_timesteps=False)
    assert callback.gradient_steps == before + 30  # each step is counted once
    assert model.tau == 0.3


def test_a_model_without_a_target_raises() -> None:
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8)
    with pytest.raises(ValueError, match="PPO has no target network"):
        model.learn(8, callback=TargetCallback(TargetUpdate(0.1)))
    assert not hasattr(model, "tau")


# ---- what is saved while the callback runs ----


@pytest.mark.parametrize(
    ("algorithm", "env_name"),
    [(DQN, "CartPole-v1"), (TD3, "Pendulum-v1"), (SAC, "Pendulum-v1")],
    ids=["DQN", "TD3", "SAC"],
)
def test_models_saved_during_training_have_their_own_settings(algorithm: Any, env_name: str, tmp_path: Path) -> None:
    model = algorithm("MlpPolicy", env_name, tau=0.3, **small_settings())
    own = {name: value for name, value in vars(model).items() if name in ("tau", "target_update_interval")}
    evaluate = EvalCallback(
        gymnasium.make(env_name), eval_freq=40, n_eval_episodes=1, best_model_save_path=str(tmp_path), verbose=0
    )
    callbacks = [TargetCallback(TargetUpdate(0.005)), evaluate, CheckpointCallback(40, str(tmp_path))]
    model.learn(60, callback=callbacks)
    for name in ("best_model", "rl_model_40_steps"):
        loaded = algorithm.load(tmp_path / name, env=gymnasium.make(env_name))
        assert {setting: vars(loaded)[setting] for setting in own} == own
        assert loaded.tau == model.tau == 0.3
        loaded.learn(30, callback=TargetCallback(TargetUpdate(0.005)))
        assert loaded.tau == 0.3


def interrupted_model(callback: TargetCallback, **settings: Any) -> DQN:
    model = DQN("MlpPolicy", "CartPole-v1", train_freq=1, **small_settings(), **settings)
    with pytest.raises(KeyboardInterrupt):
        model.learn(60, callback=[callback, Interrupt()])
    return model


def test_a_model_saved_after_an_interruption_has_its_own_tau(tmp_path: Path) -> None:
    model = interrupted_model(TargetCallback(TargetUpdate(0.005)), tau=0.3)
    model.save(tmp_path / "interrupted")
    assert DQN.load(tmp_path / "interrupted").tau == 0.3
    assert type(model).load(tmp_path / "interrupted").tau == 0.3


@pytest.mark.parametrize("saved", [False, True], ids=["the same model", "a loaded model"])
def test_training_without_the_callback_after_an_interruption_follows_the_model_itself(
    saved: bool, tmp_path: Path
) -> None:
    callback = TargetCallback(TargetUpdate(1e-6))
    model = interrupted_model(callback, tau=1.0, target_update_interval=1)
    if saved:
        model.save(tmp_path / "interrupted")
        model = DQN.load(tmp_path / "interrupted", env=gymnasium.make("CartPole-v1"))
    counted, online = callback.gradient_steps, [parameters(model.q_net)]
    model.policy.optimizer.register_step_post_hook(lambda *_: online.append(parameters(model.q_net)))
    model.learn(30, reset_num_timesteps=False)
    assert callback.gradient_steps == counted
    assert len(online) == 31
    for actual, copied in zip(parameters(model.q_net_target), online[-2], strict=True):
        np.testing.assert_array_equal(actual, copied)  # a hard copy before the last gradient step
    assert type(model) is DQN
    assert model.tau == 1.0


class ChangesOfTarget(BaseCallback):
    """Records after which gradient steps of the model the target has moved."""

    def __init__(self, steps: list[int]) -> None:
        super().__init__()
        self.steps = steps

    def _on_training_start(self) -> None:
        model: Any = self.model
        self._before, self._count = parameters(model.q_net_target), model._n_updates
        self._hook = model.policy.optimizer.register_step_post_hook(lambda *_: self._compare())

    def _compare(self) -> None:
        model: Any = self.model
        self._count += 1
        after = parameters(model.q_net_target)
        if any((a != b).any() for a, b in zip(self._before, after, strict=True)):
            self.steps.append(self._count)
        self._before = after

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._hook.remove()


def test_a_loaded_model_continues_in_the_middle_of_a_period(tmp_path: Path) -> None:
    """Periods of 7 gradient steps, split after 10 of them: the target moves after 7, 14, 21, …"""
    moved: list[int] = []
    model = DQN("MlpPolicy", "CartPole-v1", train_freq=1, **small_settings())
    model.learn(30, callback=[TargetCallback(TargetUpdate(0.5, 7)), ChangesOfTarget(moved)])
    model.save(tmp_path / "model")
    loaded = DQN.load(tmp_path / "model", env=gymnasium.make("CartPole-v1"))
    callback = TargetCallback(TargetUpdate(0.5, 7))
    loaded.learn(40, callback=[callback, ChangesOfTarget(moved)])
    assert moved == [7, 14, 21, 28]
    assert callback.gradient_steps == 30


def test_two_callbacks_both_update_the_target_and_leave_the_model_as_it_was() -> None:
    moved: list[int] = []
    callbacks = [TargetCallback(TargetUpdate(0.5, 3)), TargetCallback(TargetUpdate.hard(5)), ChangesOfTarget(moved)]
    model = DQN("MlpPolicy", "CartPole-v1", train_freq=1, tau=0.3, **small_settings())
    model.learn(35, callback=callbacks)
    assert moved == [3, 5, 6, 9, 10, 12, 15]
    assert model.tau == 0.3
    assert type(model) is DQN


class QuantileNames(DQN):
    """A DQN whose networks have the names that sb3-contrib's QR-DQN gives them."""

    @property
    def q_net(self) -> Any:  # type: ignore[override]
        return self.quantile_net

    @property
    def q_net_target(self) -> Any:  # type: ignore[override]
        return self.quantile_net_target

    def _create_aliases(self) -> None:
        self.quantile_net, self.quantile_net_target = self.policy.q_net, self.policy.q_net_target

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "quantile_net", "quantile_net_target"]


def test_the_quantile_networks_of_qr_dqn_are_followed(tmp_path: Path) -> None:
    moved: list[int] = []
    model = QuantileNames("MlpPolicy", "CartPole-v1", train_freq=1, tau=0.3, **small_settings())
    assert "q_net_target" not in vars(model)
    save = CheckpointCallback(30, str(tmp_path))
    model.learn(30, callback=[TargetCallback(TargetUpdate(0.5, 4)), ChangesOfTarget(moved), save])
    assert moved == [4, 8]
    assert QuantileNames.load(tmp_path / "rl_model_30_steps").tau == 0.3
