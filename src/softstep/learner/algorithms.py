"""The learner that a configuration describes."""

from __future__ import annotations

from softstep.config import Config
from softstep.learner import losses
from softstep.learner.actor_critic import ActorCritic, ActorCriticSettings
from softstep.learner.contract import Learner
from softstep.learner.heads import ARGMAX, Head
from softstep.learner.networks import Network, make_network, mlp_network
from softstep.learner.optimizers import OptimizerStep, make_optimizer_step, optimizer_by_name, plain_adam_constants
from softstep.learner.q_learning import build_learner


def make_learner(config: Config, observation_size: int, num_actions: int) -> Learner:
    """Build the learner that `config` describes.

    Args:
        config: the run's configuration.
        observation_size: O.
        num_actions: A, the number of discrete actions, or of components of a continuous one.
    """
    optimizer = optimizer_by_name(config.optimizer, config.optimizer_options)
    adam = plain_adam_constants(config.optimizer, config.optimizer_options)
    loss = losses.squared if config.loss == "mse" else losses.huber
    if config.continuous:
        step = make_optimizer_step(optimizer, config.max_grad_norm, adam)
        return _actor_critic(config, observation_size, num_actions, loss, step).learner()
    return build_learner(
        make_acting_network(config, observation_size, num_actions),
        optimizer,
        loss=loss,
        double_q=config.double_q,
        max_grad_norm=config.max_grad_norm,
        blending=any(arm.blended for arm in config.arms),
        last_layer=config.target_scope == "last-layer",
        adam=adam,
    )


def make_head(config: Config) -> Head:
    """Return what the acting network's outputs mean as an action."""
    if not config.continuous:
        return ARGMAX
    return Head("gaussian") if config.algorithm == "sac" else Head("tanh", config.action_noise)


def make_acting_network(config: Config, observation_size: int, num_actions: int) -> Network:
    """Build the network that acts: the Q-network, or the actor.

    Args:
        config: the run's configuration.
        observation_size: O.
        num_actions: A, the number of discrete actions, or of components of a continuous one.
    """
    return make_network(config, observation_size, make_head(config).outputs(num_actions))


def _actor_critic(
    config: Config, observation_size: int, num_actions: int, loss: losses.Loss, optimizer: OptimizerStep
) -> ActorCritic:
    """Build DDPG, TD3 or SAC; the arguments are those of `make_learner` and the parts it has made."""
    noisy = config.algorithm == "td3"
    settings = ActorCriticSettings(
        num_critics=1 if config.algorithm == "ddpg" else 2,
        policy_delay=config.actor_period,
        target_noise=config.target_noise if noisy else 0.0,
        target_noise_clip=config.target_noise_clip if noisy else 0.0,
        target_entropy=-float(num_actions) if config.target_entropy is None else config.target_entropy,
        initial_temperature=config.temperature,
    )
    critic = mlp_network((observation_size + num_actions, *config.hidden, 1), config.initializer)
    actor = make_acting_network(config, observation_size, num_actions)
    return ActorCritic(actor, critic, make_head(config), settings, loss, optimizer)
