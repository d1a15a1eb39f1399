"""Export an agent of DDPG, TD3 or SAC as an archive of stable-baselines3: all its networks and its settings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from softstep.envs.actions import box_bounds
from softstep.policies.actor_critic_networks import ActorCriticNetworks, Parameters, layers_of
from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.sb3_shared import (
    Archive,
    fill,
    inexpressible,
    input_order,
    linear_modules,
    make_model,
    one_line,
    optimizer_options,
    packed,
    shared_differences,
    shared_settings,
    target_update,
    unusable,
)

_ADAM = {"eps": 1e-8, "betas": (0.9, 0.999)}
"""The constants of the optimizer of SAC's temperature, which is always Adam. Source: sac/sac.py:180 (2.9.2)."""


def actor_critic_archive(exported: ExportedPolicy, kind: Any, env: Any) -> Archive:
    """Return an archive of `stable_baselines3.SAC`, `TD3` or `DDPG`.

    Args:
        exported: the policy, with all networks of its agent.
        kind: the class.
        env: the environment.

    Raises:
        ConfigError: the class cannot express the target update, or would act otherwise in the environment.
    """
    _check_actions(exported, env.action_space)
    model = make_model(exported, kind, env, actor_critic_settings(exported))
    extractor = model.actor.features_extractor
    order = input_order(
        exported, env.observation_space, model, lambda tensor: model.actor.extract_features(tensor, extractor)
    )
    assert exported.networks is not None
    _fill_networks(exported, model, exported.networks, order)
    # DDPG's constructor has no argument for the delay; `load` restores the attribute.
    if exported.config.algorithm == "ddpg":
        model.policy_delay = exported.config.actor_period
    return packed(exported, model, actor_critic_differences(exported))


def _check_actions(exported: ExportedPolicy, space: Any) -> None:
    """Raise ConfigError unless the environment in Gymnasium takes the run's actions."""
    bounds = exported.bounds
    if not isinstance(space, gymnasium.spaces.Box) or box_bounds(space) != bounds:
        assert bounds is not None
        raise unusable(
            exported, f"its actions are {space}, and the run's are from {list(bounds.low)} to {list(bounds.high)}"
        )


def _fill_networks(exported: ExportedPolicy, model: Any, networks: ActorCriticNetworks, order: np.ndarray) -> None:
    """Copy the agent's networks into a model's.

    Args:
        exported: the policy.
        model: the learner of stable-baselines3.
        networks: the agent's networks.
        order: which number of the run's observation each input is.
    """
    followed = exported.config.eval_network == "online"
    _fill_actor(model.actor, networks.actor if followed else networks.target_actor, order)
    if networks.target_actor:
        _fill_actor(model.actor_target, networks.target_actor, order)
    size, count = exported.sizes[0], exported.sizes[-1]
    order = np.concatenate([order, size + np.arange(count)])  # the action comes after the observation
    for critics, parameters in ((model.critic, networks.critics), (model.critic_target, networks.target_critics)):
        for number, critic in enumerate(critics.q_networks):
            fill(linear_modules(critic), layers_of([leaf[number] for leaf in parameters]), order)
    if getattr(model, "log_ent_coef", None) is not None:
        model.log_ent_coef.data.fill_(networks.log_temperature)


def _fill_actor(actor: Any, parameters: Parameters, order: np.ndarray) -> None:
    """Copy an actor's parameters; a Gaussian one's last layer becomes two, for μ and log σ."""
    modules, layers = linear_modules(actor), layers_of(parameters)
    if len(modules) > len(layers):
        *hidden, (weight, bias) = layers
        layers = [*hidden, *zip(np.split(weight, 2), np.split(bias, 2), strict=True)]
        if not hidden:  # then both see the observation itself
            fill(modules[1:], layers[1:], order)
            modules, layers = modules[:1], layers[:1]
    fill(modules, layers, order)


def actor_critic_settings(exported: ExportedPolicy) -> dict[str, Any]:
    """Return the arguments that continue the run, except for networks, buffer size and DDPG's delay."""
    config = exported.config
    settings = shared_settings(exported) | _target_settings(exported)
    if config.algorithm == "sac":
        return settings | {
            "ent_coef": "auto" if _learns_temperature(exported) else _temperature(exported),
            "target_entropy": -float(exported.sizes[-1]) if config.target_entropy is None else config.target_entropy,
            "target_update_interval": 1,
        }
    from stable_baselines3.common.noise import NormalActionNoise

    sigma = np.full(exported.sizes[-1], config.action_noise, np.float32)
    settings["action_noise"] = NormalActionNoise(np.zeros_like(sigma), sigma)
    if config.algorithm == "td3":
        settings |= {
            "policy_delay": config.actor_period,
            "target_policy_noise": config.target_noise,
            "target_noise_clip": config.target_noise_clip,
        }
    return settings


def _target_settings(exported: ExportedPolicy) -> dict[str, Any]:
    """Return τ and the pace of learning; raise ConfigError for a target that moves with another period."""
    config, update = exported.config, exported.agent.target
    if config.algorithm == "sac":
        translation = target_update(exported, "sb3-sac")
        target, tau = translation.settings, None if translation.settings is None else translation.settings["tau"]
        if target is None:
            raise inexpressible(translation.why)
    else:
        target, delay = target_update(exported, "sb3-td3").settings, config.actor_period
        if update.tau == 1 and update.period != delay:
            raise inexpressible(
                f"its targets move with the actor, every {delay} gradient steps, and the run's are copied every"
                f" {update.period} (train with --policy-delay {update.period})"
            )
        tau = update.tau if update.period == delay else update.at_cadence(delay).tau
        assert target is not None
    return {"tau": tau, "train_freq": int(target["train_freq"]), "gradient_steps": int(target["gradient_steps"])}


def actor_critic_differences(exported: ExportedPolicy) -> str:
    """Return one line that names what training on in stable-baselines3 does differently; empty if nothing."""
    return one_line(_differences(exported))


def _differences(exported: ExportedPolicy) -> Iterator[str]:
    config, agent = exported.config, exported.agent
    if config.loss != "mse":
        yield f"its loss is the mean squared error, not {config.loss}"
    if config.algorithm == "sac":
        yield from _sac_differences(exported)
    else:
        yield from _td3_differences(exported)
    if agent.actor_learning_rate != agent.learning_rate:
        yield f"its actor learns with the critics' α, {agent.learning_rate:g}, not {agent.actor_learning_rate:g}"
    if config.max_grad_norm is not None:
        yield "its gradients are not clipped"
    yield from shared_differences(exported)


def _sac_differences(exported: ExportedPolicy) -> Iterator[str]:
    config, agent = exported.config, exported.agent
    how = target_update(exported, "sb3-sac").how
    if how != "equal":
        yield f"its targets move after every gradient step, not every {agent.target.period} ({how})"
    if config.actor_period > 1:
        yield f"its actor and temperature move at every gradient step, not every {config.actor_period}"
    if not _learns_temperature(exported):
        return
    if agent.temperature_learning_rate != agent.learning_rate:
        rate = agent.temperature_learning_rate
        yield f"its temperature learns with the critics' α, {agent.learning_rate:g}, not {rate:g}"
    if optimizer_options(exported)[0] != _ADAM:
        yield "its temperature's optimizer is Adam with the usual constants"


def _td3_differences(exported: ExportedPolicy) -> Iterator[str]:
    config, update = exported.config, exported.agent.target
    if update.period != config.actor_period:
        yield (
            f"its targets move with the actor, every {config.actor_period} gradient steps, not every {update.period}"
            " (same half-life)"
        )
    if exported.agent.actor_tau != update.tau:
        yield f"its actor's target has the critics' τ, not {exported.agent.actor_tau:g}"
    if config.eval_network == "target":
        yield "its actor starts from the target actor, which the run evaluates"


def _learns_temperature(exported: ExportedPolicy) -> bool:
    return exported.agent.temperature_learning_rate != 0


def _temperature(exported: ExportedPolicy) -> float:
    assert exported.networks is not None
    assert exported.networks.log_temperature is not None
    return math.exp(exported.networks.log_temperature)
