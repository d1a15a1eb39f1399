"""DDPG, TD3 and SAC: an actor, one or two critics and, for SAC, a temperature; a gradient step of each, then a blend.

    y = r + γ·d·(min_i T_i(s′, a′) − temperature·log π(a′|s′))
    critics       Q_i ← Q_i − α·∇ Σ_i mean loss(y − Q_i(s, a))                          ½ of it for SAC
    actor         π ← π − α_actor·∇ mean (temperature·log π(a|s) − min_i Q_i(s, a)),     a = π(s), the *new* critics
                  TD3 and DDPG: −mean Q_1(s, a), without an entropy; at every `policy_delay`-th gradient step
    temperature   log t ← log t + α_t·(mean log π(a|s) + target entropy)
    T             T ← c·T + (1 − c)·Q for the critics; for the actor of TD3 and DDPG, with a c of its own

τ = 1 − c is constant or harmonic, for the critics and for the actor alike; both count the critics' gradient steps.

For TD3 and DDPG a′ comes from the actor's target, with clipped noise (TD3); for SAC from the actor itself, which has no
target. The order of the steps and the factor ½ are those of stable-baselines3. Sources: Lillicrap et al. 2015; Fujimoto
et al. 2018; Haarnoja et al. 2018b.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from softstep.kernels.mlp import mlp_kernel_accepts
from softstep.kernels.smaller_value import smaller_value
from softstep.learner.contract import Hyper, Learner, LearnerState, UpdateNoise
from softstep.learner.heads import Head, sample_squashed_gaussian
from softstep.learner.networks import Network, Params
from softstep.learner.optimizers import OptimizerStep, Stepped
from softstep.learner.target_update import tau_at, update_target
from softstep.transition import Transition

Observations = Float[Array | np.ndarray, "B O"]
Actions = Float[Array | np.ndarray, "B A"]
Values = Float[Array, " B"]


class Networks(NamedTuple):
    """What lies in Q, in T and in the optimizer's state."""

    actor: Any
    critics: Any
    """The critics' parameters, stacked: leaves (C, …)."""
    log_temperature: Any
    """One number; empty, (), without an entropy, and in T."""


class ActorCriticSettings(NamedTuple):
    """What distinguishes DDPG, TD3 and SAC, for all agents of a run."""

    num_critics: int
    policy_delay: int
    """Gradient steps of the critics to one of the actor."""
    target_noise: float = 0.0
    """Standard deviation of the noise on the target actor's actions."""
    target_noise_clip: float = 0.0
    """Largest magnitude of that noise."""
    target_entropy: float = 0.0
    """The entropy that the temperature steers to (SAC)."""
    initial_temperature: float = 1.0


@dataclass(frozen=True)
class ActorCritic:
    """The functions of an actor-critic learner, for one agent."""

    actor: Network
    critic: Network
    """(s, a) side by side → one value."""
    head: Head
    """`gaussian` makes SAC, `tanh` TD3 and DDPG."""
    settings: ActorCriticSettings
    loss: Callable[[Array], Array]
    optimizer: OptimizerStep

    @property
    def stochastic(self) -> bool:
        """Whether the actor is a distribution, with an entropy and a temperature, and without a target."""
        return self.head.kind == "gaussian"

    def learner(self) -> Learner:
        """Return the functions as a `Learner`."""
        return Learner(
            self.init,
            self.update,
            self.td_targets,
            self.measured_bootstrap,
            self.state_values,
            self.actor,
            acting_parameters=lambda networks: networks.actor,
            head=self.head,
        )

    def init(self, key: PRNGKeyArray) -> LearnerState:
        """Draw the networks; T starts as a copy of those that have a target."""
        actor_key, critic_key = jax.random.split(key)
        critics = jax.vmap(self.critic.init)(jax.random.split(critic_key, self.settings.num_critics))
        log_temperature = (jnp.full((), math.log(self.settings.initial_temperature)),) if self.stochastic else ()
        online = Networks(self.actor.init(actor_key), critics, log_temperature)
        opt_state = Networks(*map(self.optimizer.init, online))
        target = Networks(() if self.stochastic else online.actor, critics, ())
        target = jax.tree.map(jnp.array, target)  # in memory of its own
        zeros = (jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))  # two: a donated buffer must not appear twice
        return LearnerState(online, target, opt_state, *zeros)

    def critic_values(self, critics: Params, observation: Observations, action: Actions) -> Float[Array, "C B"]:
        """Return Q_i(s, a) of all critics."""
        inputs = jnp.concatenate([observation, action], axis=-1)
        return jax.vmap(self.critic.batch, in_axes=(0, None))(critics, inputs)[..., 0]

    def smallest_value(self, critics: Params, observation: Observations, action: Actions) -> Values:
        """Return min_i Q_i(s, a), to be differentiated with respect to the action.

        Of equal values the first is learnt from, as in PyTorch; the gradient of `jnp.min` is the mean of both.
        """
        if self.settings.num_critics == 2 and mlp_kernel_accepts(critics, action):
            return smaller_value(critics, jnp.asarray(observation), action)
        values = self.critic_values(critics, observation, action)
        return jnp.take_along_axis(values, jnp.argmin(values, axis=0)[None], axis=0)[0]

    def act(self, actor: Params, observation: Observations, noise: Actions | None) -> tuple[Float[Array, "B A"], Any]:
        """Return the actor's actions, greedy ones without noise, and their log π, 0 for a tanh head.

        Args:
            actor: the actor's parameters.
            observation: s.
            noise: standard normal numbers; used by a Gaussian head alone.
        """
        outputs = self.actor.batch(actor, jnp.asarray(observation))
        if not self.stochastic:
            return self.head.greedy(jnp, outputs), 0.0
        mean = outputs[..., : outputs.shape[-1] // 2]
        return sample_squashed_gaussian(outputs, jnp.zeros_like(mean) if noise is None else noise)

    def bootstrap(
        self, state: LearnerState, next_observation: Observations, noise: Actions | None
    ) -> Float[Array, " B"]:
        """Return min_i T_i(s′, a′) − temperature·log π(a′|s′); without noise, a′ is greedy."""
        actor = state.online.actor if self.stochastic else state.target.actor
        action, log_density = self.act(actor, next_observation, noise)
        if not self.stochastic and noise is not None and self.settings.target_noise:
            clip = self.settings.target_noise_clip
            action = jnp.clip(action + jnp.clip(self.settings.target_noise * noise, -clip, clip), -1.0, 1.0)
        values = jnp.min(self.critic_values(state.target.critics, next_observation, action), axis=0)
        return values - jnp.exp(state.online.log_temperature[0]) * log_density if self.stochastic else values

    def td_targets(
        self, state: LearnerState, batch: Transition, hyper: Hyper, noise: UpdateNoise | None = None
    ) -> Float[Array, " B"]:
        """Compute y; see the module's first formula."""
        next_noise = None if noise is None else noise.next_action
        bootstrap = self.bootstrap(state, batch.next_observation, next_noise)
        return jnp.asarray(batch.reward + hyper.gamma * batch.discount * bootstrap)

    def measured_bootstrap(
        self, state: LearnerState, hyper: Hyper, discount: Array, next_observation: Array
    ) -> Float[Array, " B"]:
        """Compute γ·d·bootstrap for greedy a′; it moves with the critics' targets and with the actor choosing a′."""
        return jnp.asarray(hyper.gamma * discount * self.bootstrap(state, next_observation, None))

    def state_values(self, online: Networks, observation: Observations) -> Float[Array, " B"]:
        """Return min_i Q_i(s, a) of the greedy action."""
        action = self.head.greedy(jnp, self.actor.batch(online.actor, jnp.asarray(observation)))
        return jnp.min(self.critic_values(online.critics, observation, action), axis=0)

    def critic_loss(self, critics: Params, batch: Transition, y: Values) -> Float[Array, ""]:
        """Return Σ_i mean loss(y − Q_i(s, a)); half of it for SAC."""
        errors = y - self.critic_values(critics, batch.observation, batch.action)
        total = jnp.sum(jnp.mean(self.loss(jnp.asarray(errors)), axis=-1))
        return 0.5 * total if self.stochastic else total

    def actor_loss(
        self, actor: Params, online: Networks, observation: Observations, noise: Actions | None
    ) -> tuple[Float[Array, ""], Any]:
        """Return the actor's loss and the mean of log π(a|s).

        Args:
            actor: the actor's parameters.
            online: the critics and the temperature.
            observation: s.
            noise: standard normal numbers, for a Gaussian head.
        """
        action, log_density = self.act(actor, observation, noise)
        if not self.stochastic:
            first = jax.tree.map(lambda leaf: leaf[:1], online.critics)
            return -jnp.mean(self.critic_values(first, observation, action)), 0.0
        temperature = jnp.exp(online.log_temperature[0])
        values = self.smallest_value(online.critics, observation, action)
        return jnp.mean(temperature * log_density - values), jnp.mean(log_density)

    def update(
        self,
        state: LearnerState,
        batch: Transition,
        hyper: Hyper,
        noise: UpdateNoise | None = None,
        moves_actor: Any = None,
    ) -> tuple[LearnerState, Float[Array, ""]]:
        """Take one gradient step and its blend; the loss is the critics'. See `Learner.update`."""
        count = state.gradient_steps + 1
        fire = count % hyper.period == 0
        if moves_actor is None:
            moves_actor = count % self.settings.policy_delay == 0
        y = self.td_targets(state, batch, hyper, noise)
        value, gradient = jax.value_and_grad(self.critic_loss)(state.online.critics, batch, y)
        critics = self.optimizer.step_and_blend(
            state.online.critics,
            state.target.critics,
            state.opt_state.critics,
            gradient,
            hyper.learning_rate,
            tau_at(hyper.tau, hyper.harmonic_steps, count),
            fire,
        )
        stepped = state._replace(online=state.online._replace(critics=critics.online))
        arguments = (stepped, batch.observation, hyper, fire, None if noise is None else noise.action)
        actor, temperature = jax.lax.cond(moves_actor, self._move_actor, self._keep_actor, *arguments)
        parts = (actor, critics, temperature)
        online, target, opt_state = (Networks(*(getattr(p, name) for p in parts)) for name in Stepped._fields[:3])
        healthy = jnp.isfinite(value) & critics.finite & actor.finite & temperature.finite
        diverged_at = jnp.where((state.diverged_at == 0) & ~healthy, count, state.diverged_at)
        return LearnerState(online, target, opt_state, count, diverged_at), value

    def _move_actor(
        self, state: LearnerState, observation: Array, hyper: Hyper, fire: Array, noise: Any
    ) -> tuple[Stepped, Stepped]:
        """Take a step of the actor and of the temperature.

        Args:
            state: the networks, with the new critics.
            observation: s.
            hyper: the agent's settings.
            fire: whether targets are updated in this step.
            noise: standard normal numbers, for a Gaussian head.
        """
        online, opt_state = state.online, state.opt_state
        gradient, log_density = jax.grad(self.actor_loss, has_aux=True)(online.actor, online, observation, noise)
        rate, step = hyper.actor_learning_rate, self.optimizer.step_and_blend
        tau = _actor_tau(state, hyper)
        actor = step(online.actor, state.target.actor, opt_state.actor, gradient, rate, tau, fire)
        if not self.stochastic:
            return actor, Stepped((), (), opt_state.log_temperature, actor.finite)
        gradient = (-(log_density + self.settings.target_entropy),)
        rate = hyper.temperature_learning_rate
        return actor, step(online.log_temperature, (), opt_state.log_temperature, gradient, rate, 1.0, fire)

    def _keep_actor(
        self, state: LearnerState, _observation: Array, hyper: Hyper, fire: Array, _noise: Any
    ) -> tuple[Stepped, Stepped]:
        """Let the actor's target follow, without a step of the actor; the arguments are those of `_move_actor`."""
        online, opt_state, finite = state.online, state.opt_state, jnp.array(True)
        target = update_target(state.target.actor, online.actor, _actor_tau(state, hyper), fire)
        actor = Stepped(online.actor, target, opt_state.actor, finite)
        return actor, Stepped(online.log_temperature, (), opt_state.log_temperature, finite)


def _actor_tau(state: LearnerState, hyper: Hyper) -> Any:
    """Return τ of the actor's target in the gradient step that is under way."""
    return tau_at(hyper.actor_tau, hyper.actor_harmonic_steps, state.gradient_steps + 1)
