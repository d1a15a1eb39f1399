"""The learner's contract: a pair of pure functions over two pytrees, Q and T.

Which networks lie in Q and T is the learner's business: `q_learning` has one of each, `actor_critic` several in Q and,
in T, those that have a target. The functions are written for one agent; `jax.vmap` makes a block of agents, with α, τ,
period and γ as data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from softstep.kernels.q_step import Rule
from softstep.learner.heads import ARGMAX, Head
from softstep.learner.networks import Network, Params


class Hyper(NamedTuple):
    """The settings in which agents of one compiled program may differ."""

    learning_rate: Float[Array | np.ndarray, ...] | float
    """α."""
    tau: Float[Array | np.ndarray, ...] | float
    """Weight of the new parameters, in (0, 1]; τ₀ of a harmonic target."""
    period: Int[Array | np.ndarray, ...] | int
    """Gradient steps from one target update to the next."""
    gamma: Float[Array | np.ndarray, ...] | float
    """Discount per step."""
    blended: Bool[Array | np.ndarray, ...] | bool | None = None
    """Whether the network is blended with itself; only for Q-learners built for it."""
    actor_learning_rate: Float[Array | np.ndarray, ...] | float | None = None
    """α of the actor; `learning_rate` is that of the critics. This and the following are None for deep Q-learning."""
    temperature_learning_rate: Float[Array | np.ndarray, ...] | float | None = None
    """α of the logarithm of the temperature; 0 keeps the temperature."""
    actor_tau: Float[Array | np.ndarray, ...] | float | None = None
    """τ of the actor's target; `tau` is that of the critics' targets, and `period` that of both."""
    harmonic_steps: Float[Array | np.ndarray, ...] | float | None = None
    """K, so that τ_t = min(τ, K/t) at gradient step t; None, like infinity, is a constant τ."""
    actor_harmonic_steps: Float[Array | np.ndarray, ...] | float | None = None
    """K of the actor's target."""


class LearnerState(NamedTuple):
    """The whole state of a learner."""

    online: Any
    """Q: a network's parameters, or a pytree of several networks'."""
    target: Any
    """T: of the same structure, but empty, (), where a network has no target."""
    opt_state: Any
    gradient_steps: Int[Array, ""]
    diverged_at: Int[Array, ""]
    """The first gradient step with a loss or parameters that are not finite; 0 if there was none."""


class UpdateNoise(NamedTuple):
    """Standard normal numbers for one gradient step of an actor-critic learner."""

    action: Float[Array | np.ndarray, "B A"]
    """For the actions that the actor chooses in s."""
    next_action: Float[Array | np.ndarray, "B A"]
    """For the actions in s′."""


class OneKernel(NamedTuple):
    """How `kernels.q_step` makes a learner's whole update."""

    rule: Rule
    """The kind of step."""
    scalars: Callable[[Array, Array, Hyper], Float[Array, " 5"]]
    """(gradient steps, Adam's steps, hyper) → `kernels.adam.SCALARS` of the next update."""


class Learner(NamedTuple):
    """A pair of pure functions on `LearnerState`, and the network that acts."""

    init: Callable[[PRNGKeyArray], LearnerState]
    """key → state; T starts as a copy of Q, in float32 or wider."""
    update: Callable[..., tuple[LearnerState, Float[Array, ""]]]
    """(state, batch of B transitions, hyper, noise = None, moves_actor = None) → (state after one gradient step and its
    blend, loss). `noise` is an `UpdateNoise`, and `moves_actor` says whether the actor moves in this step (None: as the
    state's count says; a number that is not batched keeps it one branch for a whole block). Deep Q-learning has
    neither."""
    td_targets: Callable[..., Float[Array, " B"]]
    """(state, batch, hyper, noise = None) → y."""
    measured_bootstrap: Callable[[LearnerState, Hyper, Any, Any], Float[Array, " B"]]
    """(state, hyper, discount, s′) → the part of y that the networks contribute, without anything random: measures."""
    state_values: Callable[[Any, Any], Float[Array, " B"]]
    """(Q, s) → the value of the greedy action."""
    network: Network
    """The network that acts: the Q-network, or the actor."""
    acting_parameters: Callable[[Any], Params] = lambda networks: networks
    """Q or T → the parameters of the network that acts."""
    head: Head = ARGMAX
    """What the acting network's outputs mean as an action."""
    one_kernel: OneKernel | None = None
    """How one kernel makes `update`, where kernels can be used; None if it needs more than that."""


def target_gap(state: LearnerState) -> Float[Array, ""]:
    """Return ‖Q − T‖₂ over the parameters of all networks that have a target."""
    online, target = (jax.tree.leaves(networks, is_leaf=_is_network) for networks in (state.online, state.target))
    pairs = zip(online, target, strict=True)
    return optax.tree.norm([jax.tree.map(jnp.subtract, q, t) for q, t in pairs if t != ()])


def _is_network(node: Any) -> bool:
    return type(node) is tuple
