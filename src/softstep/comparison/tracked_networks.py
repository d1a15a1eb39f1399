"""The networks of the founding question, trained side by side from one start on the same minibatches.

Q, T    Q ← Q + α·step(Q, T),  T ← c·T + (1−c)·Q     two networks: the shipped learner
X       X ← X + (1−c)·α·step(X, X)                   one network at the smaller rate: the shipped learner, τ = 1
W       W ← c·W + (1−c)·[W + α·step(W, W)]           one network blended with its own update, literally
V       V ← V + α·step(Q, T)                         the thread's third equation, with Q's own step

With an actor, Q, T, X, W and V are the critics: α and the blends are theirs. Beside each of them moves an actor, and
for SAC a temperature, at the same settings; the actor of X and W has no target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from softstep.comparison.random_minibatches import Minibatches
from softstep.config import Config
from softstep.envs import EnvSpec
from softstep.learner import losses
from softstep.learner.actor_critic import Networks
from softstep.learner.algorithms import make_learner
from softstep.learner.contract import Hyper, Learner, LearnerState
from softstep.learner.networks import Params, flatten_parameters, make_network
from softstep.learner.optimizers import optimizer_by_name
from softstep.learner.q_learning import build_learner


class TrackedNetworks(NamedTuple):
    """All networks after the same number of updates."""

    two_networks: LearnerState
    """Q, the online network, and T, the target network."""
    smaller_rate: LearnerState
    """X."""
    self_blended: LearnerState
    """W."""
    third_equation: Params
    """V."""
    previous_smaller_rate: Params
    """X one update earlier."""


class ParameterVectors(NamedTuple):
    """All networks after the same number of updates, each as one vector in float64."""

    q: Float[np.ndarray, " N"]
    t: Float[np.ndarray, " N"]
    x: Float[np.ndarray, " N"]
    w: Float[np.ndarray, " N"]
    v: Float[np.ndarray, " N"]
    previous_x: Float[np.ndarray, " N"]


def parameter_vectors(networks: TrackedNetworks) -> ParameterVectors:
    """Return every network's parameters as one vector in float64."""
    two, x, w = networks.two_networks, networks.smaller_rate, networks.self_blended
    params = (*map(valuing, (two.online, two.target, x.online, w.online)), *networks[3:])
    return ParameterVectors(*(np.asarray(flatten_parameters(p), np.float64) for p in params))


def valuing(networks: Any) -> Params:
    """Return the parameters of what values actions: the Q-network, or the critics."""
    return networks.critics if isinstance(networks, Networks) else networks


def with_valuing(networks: Any, params: Params) -> Any:
    """Return the networks with other parameters of what values actions."""
    return networks._replace(critics=params) if isinstance(networks, Networks) else params


def tracked_learner(config: Config, spec: EnvSpec, optimizer: str) -> Learner:
    """Build the learner that `config` describes, with another optimizer and without double Q.

    The optimizer's options are the configured ones if it is the configured optimizer, else none.
    """
    options = config.optimizer_options if optimizer == config.optimizer else {}
    if config.continuous:
        changed = replace(config, optimizer=optimizer, optimizer_options=options)
        return make_learner(changed, spec.observation_size, spec.num_actions)
    return build_learner(
        make_network(config, spec.observation_size, spec.num_actions),
        optimizer_by_name(optimizer, options),
        loss=losses.squared if config.loss == "mse" else losses.huber,
        max_grad_norm=config.max_grad_norm,
    )


class NetworkTracker:
    """Trains all networks in one precision.

    T moves at every gradient step, double Q is off and α does not decay.
    """

    def __init__(
        self, config: Config, learner: Learner, initial: LearnerState, minibatches: Minibatches, dtype: Any
    ) -> None:
        """Prepare the training.

        Args:
            config: α of actor and temperature, c and γ.
            learner: the learner, of `tracked_learner`.
            initial: its first state.
            minibatches: those of the updates.
            dtype: precision of parameters and minibatches.
        """
        state, self._minibatches = _cast(initial, dtype), _cast(minibatches, dtype)
        first = valuing(state.online)
        self.start = TrackedNetworks(state, state, state, first, first)

        @jax.jit
        def advance(
            networks: TrackedNetworks, minibatches: Minibatches, first: Array, end: Array, alpha: Array
        ) -> TrackedNetworks:
            def body(n: Array, networks: TrackedNetworks) -> TrackedNetworks:
                return _update(config, learner, networks, jax.tree.map(lambda leaf: leaf[n], minibatches), alpha)

            return jax.lax.fori_loop(first, end, body, networks)

        self._advance = advance

    def advance(self, networks: TrackedNetworks, first: int, end: int, alpha: float) -> TrackedNetworks:
        """Return the networks after some updates.

        Args:
            networks: the networks before them.
            first: number of the first update, counted from 0.
            end: number after the last update.
            alpha: the learning rate of Q.
        """
        return self._advance(networks, self._minibatches, first, end, alpha)

    def vectors_after(self, updates: Sequence[int], alpha: float) -> list[ParameterVectors]:
        """Return the parameter vectors after each of the ascending counts of updates."""
        networks, done, vectors = self.start, 0, list[ParameterVectors]()
        for update in updates:
            networks, done = self.advance(networks, done, update, alpha), update
            vectors.append(parameter_vectors(networks))
        return vectors


def _update(
    config: Config, learner: Learner, networks: TrackedNetworks, minibatch: Minibatches, alpha: Array
) -> TrackedNetworks:
    """Update every network once, with the shipped learner and nothing else but a blend and a sum."""
    c, tau, agent, old = config.target.c, config.target.tau, config.agents()[0], networks
    soft = Hyper(
        alpha, tau, 1, config.gamma, None, agent.actor_learning_rate, agent.temperature_learning_rate, agent.actor_tau
    )
    one_network = soft._replace(tau=1.0, actor_tau=None if agent.actor_tau is None else 1.0)
    two, _ = learner.update(old.two_networks, *_arguments(minibatch, soft))
    smaller = one_network._replace(learning_rate=tau * alpha)
    smaller_rate, _ = learner.update(old.smaller_rate, *_arguments(minibatch, smaller))
    stepped, _ = learner.update(old.self_blended, *_arguments(minibatch, one_network))
    blended = jax.tree.map(
        lambda w, w_new: c * w + tau * w_new, valuing(old.self_blended.online), valuing(stepped.online)
    )
    third_equation = jax.tree.map(
        lambda v, q_new, q: v + (q_new - q), old.third_equation, valuing(two.online), valuing(old.two_networks.online)
    )
    self_blended = stepped._replace(
        online=with_valuing(stepped.online, blended), target=with_valuing(stepped.target, blended)
    )
    return TrackedNetworks(two, smaller_rate, self_blended, third_equation, valuing(old.smaller_rate.online))


def _arguments(minibatch: Minibatches, hyper: Hyper) -> tuple[Any, Hyper, Any]:
    """Return the arguments of `Learner.update` after the state."""
    return minibatch.transitions, hyper, minibatch.noise


def _cast(tree: Any, dtype: Any) -> Any:
    """Return the tree with every floating-point leaf in `dtype`."""
    return jax.tree.map(lambda a: jnp.asarray(a, dtype if jnp.issubdtype(a.dtype, jnp.inexact) else a.dtype), tree)
