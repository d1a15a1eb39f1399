"""The settings of archives of DDPG, TD3 and SAC for stable-baselines3, and what that library cannot express."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from actors import settings

from softstep.errors import ConfigError
from softstep.policies import sb3_actor_critic
from softstep.policies.actor_critic_networks import ActorCriticNetworks
from softstep.policies.exported_policy import ExportedPolicy
from softstep.settings import Arm, Change
from softstep.target import TargetUpdate


def exported(algorithm: str, env_steps: int = 100_000, **changes: Any) -> ExportedPolicy:
    """Return an export of a run with these settings, without networks of any use."""
    config = settings(algorithm, **changes)
    policy: Any = SimpleNamespace(agent=config.agents()[0])
    networks = ActorCriticNetworks((), (), (), (), math.log(0.25) if algorithm == "sac" else None)
    return ExportedPolicy(policy, [(np.zeros((2, 3)), np.zeros(2))], config, env_steps, networks)


@pytest.mark.parametrize(
    ("algorithm", "changes", "difference"),
    [
        ("sac", {}, ""),
        ("td3", {}, ""),
        ("ddpg", {}, ""),
        ("ddpg", {"policy_delay": 3, "target": TargetUpdate(0.1, 3)}, ""),
        ("sac", {"optimizer": "sgd"}, "its temperature's optimizer is Adam with the usual constants"),
        ("sac", {"optimizer_options": {"eps": 1e-5}}, "its temperature's optimizer is Adam"),
        ("td3", {"optimizer_options": {"eps": 1e-5}}, ""),
        ("td3", {"optimizer": "rmsprop"}, "its optimizer is Adam, not rmsprop"),
        ("sac", {"actor_learning_rate": 2e-3}, "its actor learns with the critics' α, 0.001, not 0.002"),
        ("sac", {"temperature_learning_rate": 1e-4}, "its temperature learns with the critics' α, 0.001, not 0.0001"),
        ("sac", {"temperature_learning_rate": 0.0}, ""),
        ("ddpg", {"arms": (Arm("slow", learning_rate=1e-4),)}, "with the critics' α, 0.0001, not 0.001"),
        ("ddpg", {"changes": (Change(50, learning_rate=1e-4),)}, "with the critics' α, 0.0001, not 0.001"),
        ("sac", {"policy_delay": 2}, "its actor and temperature move at every gradient step, not every 2"),
        ("sac", {"target": TargetUpdate(0.05, 3)}, "after every gradient step, not every 3 (same half-life)"),
        ("td3", {"target": TargetUpdate(0.05, 1)}, "with the actor, every 2 gradient steps, not every 1"),
        ("td3", {"actor_tau": 1.0}, "its actor's target has the critics' τ, not 1"),
        ("td3", {"eval_network": "target"}, "its actor starts from the target actor"),
        ("sac", {"loss": "huber"}, "its loss is the mean squared error, not huber"),
        ("ddpg", {"max_grad_norm": 1.0}, "its gradients are not clipped"),
        ("ddpg", {"reward_scale": 0.1}, "its rewards are not scaled by 0.1"),
        ("ddpg", {"num_envs": 2}, "it steps one environment unless loaded with 2"),
    ],
    ids=str,
)
def test_only_what_differs_is_reported(algorithm: str, changes: dict[str, Any], difference: str) -> None:
    reported = sb3_actor_critic.actor_critic_differences(exported(algorithm, **changes))
    assert "\n" not in reported
    assert (difference in reported) if difference else (reported == "")
    assert reported.count(";") == 0


def test_a_period_that_stable_baselines3_lacks_becomes_one_of_the_same_half_life() -> None:
    for algorithm, period in (("sac", 1), ("td3", 2)):
        run = exported(algorithm, target=TargetUpdate(0.3, 5), train_every=4, num_envs=2, gradient_steps=3)
        continued = sb3_actor_critic.actor_critic_settings(run)
        assert TargetUpdate(continued["tau"], period).half_life == pytest.approx(TargetUpdate(0.3, 5).half_life)
        assert (continued["train_freq"], continued["gradient_steps"]) == (2, 3)


def test_a_constant_temperature_stays_constant() -> None:
    continued = sb3_actor_critic.actor_critic_settings(
        exported("sac", temperature_learning_rate=0.0, target_entropy=-3.0)
    )
    assert continued["ent_coef"] == pytest.approx(0.25)
    assert continued["target_entropy"] == -3.0
    assert sb3_actor_critic.actor_critic_settings(exported("sac"))["target_entropy"] == -2.0


@pytest.mark.parametrize(
    ("algorithm", "target", "reason"),
    [
        ("sac", TargetUpdate.hard(100), "it has no period"),
        ("ddpg", TargetUpdate.hard(100), "every 1 gradient steps, and the run's are copied every 100"),
        (
            "td3",
            TargetUpdate.none(),
            "every 2 gradient steps, and the run's are copied every 1 (train with --policy-delay",
        ),
    ],
)
def test_a_target_update_that_stable_baselines3_lacks_is_refused_in_one_line(
    algorithm: str, target: TargetUpdate, reason: str
) -> None:
    with pytest.raises(ConfigError) as error:
        sb3_actor_critic.actor_critic_settings(exported(algorithm, target=target))
    assert str(error.value).startswith("export --to sb3: stable-baselines3 cannot express the run's target update: ")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_without_a_target_each_learner_that_can_copies_at_every_step() -> None:
    for algorithm in ("sac", "ddpg"):
        assert sb3_actor_critic.actor_critic_settings(exported(algorithm, target=TargetUpdate.none()))["tau"] == 1
