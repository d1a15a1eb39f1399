"""Target updates observed in other libraries, which move as `softstep convert` says.

These tests reproduce the claims of docs/conformance.md.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from observing import assert_agrees, moved_fractions
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.utils import polyak_update
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchrl.modules import QValueActor
from torchrl.objectives import DQNLoss, HardUpdate, SoftUpdate

from softstep import conventions


def flat(module: nn.Module) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])


# ---- stable-baselines3 ----


def sb3_fractions(
    algorithm: Any, env: str, steps: int, settings: dict[str, Any], names: tuple[str, str]
) -> list[float]:
    """Train a model and return the fraction by which its target moves after each gradient step.

    Args:
        algorithm: class of the model.
        env: name of the environment.
        steps: environment steps.
        settings: arguments of the model, and `n_envs`.
        names: attributes of the model that hold the online and the target network.
    """
    torch.set_num_threads(1)
    arguments = settings | {"learning_starts": 20, "batch_size": 8, "seed": 0, "policy_kwargs": {"net_arch": [8]}}
    model = algorithm("MlpPolicy", make_vec_env(env, arguments.pop("n_envs", 1), seed=0), **arguments)
    online, target = (getattr(model, name) for name in names)
    optimizer = model.policy.optimizer if names[0] == "q_net" else online.optimizer
    online_after, target_before = list[np.ndarray](), list[np.ndarray]()
    optimizer.register_step_pre_hook(lambda *_: target_before.append(flat(target)))
    optimizer.register_step_post_hook(lambda *_: online_after.append(flat(online)))
    model.learn(steps)
    assert len(online_after) > 20
    return moved_fractions(online_after, target_before)


@pytest.mark.parametrize(
    "settings",
    [
        {"tau": 0.1, "target_update_interval": 8, "train_freq": 4},
        {"tau": 1.0, "target_update_interval": 40, "train_freq": 4, "gradient_steps": 2},
        {"tau": 0.1, "target_update_interval": 20, "train_freq": 2, "gradient_steps": 2, "n_envs": 3},
        {"tau": 0.3, "target_update_interval": 1, "train_freq": 4},
        {"tau": 0.2, "target_update_interval": 10, "train_freq": 1, "gradient_steps": -1, "n_envs": 2},
    ],
    ids=str,
)
def test_the_dqn_of_stable_baselines3_agrees_with_its_source(settings: dict[str, Any]) -> None:
    fractions = sb3_fractions(DQN, "CartPole-v1", 360, dict(settings), ("q_net", "q_net_target"))
    assert_agrees(fractions, conventions.read("sb3", settings))


@pytest.mark.parametrize(
    "settings",
    [{"tau": 0.1, "target_update_interval": 1000}, {"tau": 0.1, "gradient_steps": 4, "target_update_interval": 3}],
    ids=str,
)
def test_the_sac_of_stable_baselines3_counts_within_a_call_of_train(settings: dict[str, Any]) -> None:
    fractions = sb3_fractions(SAC, "Pendulum-v1", 80, dict(settings), ("critic", "critic_target"))
    assert_agrees(fractions, conventions.read("sb3-sac", settings))


def test_the_td3_of_stable_baselines3_moves_with_the_delayed_actor() -> None:
    settings = {"tau": 0.1, "policy_delay": 3}
    fractions = sb3_fractions(TD3, "Pendulum-v1", 90, dict(settings), ("critic", "critic_target"))
    assert_agrees(fractions, conventions.read("sb3-td3", settings))


def test_polyak_update_keeps_a_nan_that_a_copy_would_replace() -> None:
    old, new = torch.tensor([float("nan")]), torch.ones(1)
    polyak_update([new], [old], 1.0)
    assert torch.isnan(old).all()


# ---- torchrl ----


def torchrl_loss(network: nn.Module) -> Any:
    actor = QValueActor(network, in_keys=["observation"], action_space="one-hot")
    return DQNLoss(actor, action_space="one-hot", delay_value=True)


def vector(params: Any) -> np.ndarray:
    leaves = params.flatten_keys().values()
    return np.concatenate([np.asarray(p.detach()).ravel() for p in leaves if p.is_floating_point()])


def torchrl_fractions(make_updater: Callable[[Any], Any], steps: int) -> list[float]:
    """Return the fraction by which the target moves at each call of an updater, while the network moves randomly."""
    torch.manual_seed(0)
    loss = torchrl_loss(nn.Linear(3, 2))
    updater = make_updater(loss)
    online, target = [], []
    for _ in range(steps):
        target.append(vector(loss.target_value_network_params))
        with torch.no_grad():
            for p in loss.parameters():
                p.add_(torch.randn_like(p))
        online.append(vector(loss.value_network_params))
        updater.step()
    return moved_fractions(online, [*target, vector(loss.target_value_network_params)])


def test_the_soft_update_of_torchrl_weighs_the_old_with_eps_and_the_new_with_tau() -> None:
    meaning = conventions.read("torchrl-soft", {"tau": 0.1})
    assert_agrees(torchrl_fractions(lambda loss: SoftUpdate(loss, tau=0.1), 20), meaning)
    assert_agrees(torchrl_fractions(lambda loss: SoftUpdate(loss, eps=0.9), 20), meaning)


@pytest.mark.parametrize("interval", [1, 2, 5])
def test_the_hard_update_of_torchrl_copies_at_every_interval_plus_one_calls(interval: int) -> None:
    fractions = torchrl_fractions(lambda loss: HardUpdate(loss, value_network_update_interval=interval), 40)
    assert_agrees(fractions, conventions.read("torchrl-hard", {"value_network_update_interval": interval}))
    assert next(k for k, fraction in enumerate(fractions, 1) if fraction) == interval + 1


def test_the_hard_update_of_torchrl_never_copies_if_the_interval_is_not_an_integer() -> None:
    assert not any(torchrl_fractions(lambda loss: HardUpdate(loss, value_network_update_interval=2.5), 40))


def test_torchrl_does_not_update_buffers() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    loss = torchrl_loss(network)
    updater = SoftUpdate(loss, tau=1.0)
    norm = ("module", "0", "module", "1", "running_mean")
    loss.value_network_params.get(norm).fill_(3.0)
    updater.step()
    assert torch.all(loss.target_value_network_params.get(norm) == 0)


# ---- optax and torch ----


def test_incremental_update_of_optax_weighs_the_new() -> None:
    meaning = conventions.read("optax", {"step_size": 0.1})
    target, online_after, target_before = jnp.zeros(3), [], [np.zeros(3)]
    for k in range(10):
        online = jnp.ones(3) * (k + 1)
        target = optax.incremental_update(online, target, 0.1)
        online_after.append(np.asarray(online))
        target_before.append(np.asarray(target))
    assert_agrees(moved_fractions(online_after, target_before), meaning)


def test_periodic_update_of_optax_also_updates_at_count_zero() -> None:
    updates = [int(optax.periodic_update(jnp.ones(()), jnp.zeros(()), jnp.int32(k), 3)) for k in range(7)]
    assert updates == [1, 0, 0, 1, 0, 0, 1]


def test_incremental_update_of_optax_blends_integers() -> None:
    assert optax.incremental_update(jnp.int32(5), jnp.int32(1), 0.5) == 3


def test_an_averaged_model_of_torch_copies_at_its_first_call_and_then_weighs_the_old() -> None:
    online = nn.Linear(3, 2)
    target = AveragedModel(online, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    online_after, target_before = [], [flat(target.module)]
    for _ in range(10):
        with torch.no_grad():
            for p in online.parameters():
                p.add_(torch.randn_like(p))
        target.update_parameters(online)
        online_after.append(flat(online))
        target_before.append(flat(target.module))
    fractions = moved_fractions(online_after, target_before)
    assert fractions[0] == pytest.approx(1)
    assert_agrees(fractions[1:], conventions.read("torch-ema", {"decay": 0.9}))


def test_an_averaged_model_of_torch_averages_counters_when_asked_for_buffers() -> None:
    online = nn.BatchNorm1d(2)
    target = AveragedModel(online, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(9):
        online(torch.randn(4, 2))
        target.update_parameters(copy.deepcopy(online))
    assert online.num_batches_tracked == 9
    assert target.module.num_batches_tracked < 9
