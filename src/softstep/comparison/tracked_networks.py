"""The networks of the founding question, trained side by side from one start on the same minibatches.

Q, T    Q ← Q + α·step(Q, T),  T ← c·T + (1−c)·Q     two networks: the shipped learner
X       X ← X + (1−c)·α·step(X, X)                   one network at the smaller rate: the shipped learner, τ = 1
W       W ← c·W + (1−c)·[W + α·step(W, W)]           one network blended with its own update, literally
V       V ← V + α·step(Q, T)                         the thread's third equation, with Q's own step
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from softstep.config import Config
from softstep.learner import losses
from softstep.learner.contract import Hyper, Learner, LearnerState
from softstep.learner.networks import Network, Params, flatten_parameters
from softstep.learner.optimizers import optimizer_by_name
from softstep.learner.q_learning import build_learner
from softstep.transition import Transition


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
    params = (two.online, two.target, x.online, w.online, networks.third_equation, networks.previous_smaller_rate)
    return ParameterVectors(*(np.asarray(flatten_parameters(p), np.float64) for p in params))


class NetworkTracker:
    """Trains all networks in one precision with one optimizer.

    T moves at every gradient step, double Q is off and α does not decay.
    """

    def __init__(
        self, config: Config, network: Network, optimizer: str, start: Params, minibatches: Transition, dtype: Any
    ) -> None:
        """Prepare the training.

        Args:
            config: loss, gradient clipping, c and γ; also the optimizer's options if it is the configured one.
            network: the network's functions.
            optimizer: name of the optimizer.
            start: initial parameters of every network.
            minibatches: leaves (updates, B, …).
            dtype: precision of parameters and minibatches.
        """
        start, self._minibatches = _cast(start, dtype), _cast(minibatches, dtype)
        learner = build_learner(
            network._replace(init=lambda key: start),
            optimizer_by_name(optimizer, config.optimizer_options if optimizer == config.optimizer else {}),
            loss=losses.squared if config.loss == "mse" else losses.huber,
            max_grad_norm=config.max_grad_norm,
        )
        state = learner.init(jax.random.key(0))
        self.start = TrackedNetworks(state, state, state, start, start)

        @jax.jit
        def advance(
            networks: TrackedNetworks, minibatches: Transition, first: Array, end: Array, alpha: Array
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
    config: Config, learner: Learner, networks: TrackedNetworks, minibatch: Transition, alpha: Array
) -> TrackedNetworks:
    """Update every network once, with the shipped learner and nothing else but a blend and a sum."""
    c, tau, gamma = config.target.c, config.target.tau, config.gamma
    old = networks
    two, _ = learner.update(old.two_networks, minibatch, Hyper(alpha, tau, 1, gamma))
    smaller_rate, _ = learner.update(old.smaller_rate, minibatch, Hyper(tau * alpha, 1.0, 1, gamma))
    stepped, _ = learner.update(old.self_blended, minibatch, Hyper(alpha, 1.0, 1, gamma))
    blended = jax.tree.map(lambda w, w_new: c * w + tau * w_new, old.self_blended.online, stepped.online)
    third_equation = jax.tree.map(
        lambda v, q_new, q: v + (q_new - q), old.third_equation, two.online, old.two_networks.online
    )
    self_blended = stepped._replace(online=blended, target=blended)
    return TrackedNetworks(two, smaller_rate, self_blended, third_equation, old.smaller_rate.online)


def _cast(tree: Any, dtype: Any) -> Any:
    """Return the tree with every floating-point leaf in `dtype`."""
    return jax.tree.map(lambda a: jnp.asarray(a, dtype if jnp.issubdtype(a.dtype, jnp.inexact) else a.dtype), tree)
