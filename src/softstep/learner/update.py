"""The two-network learner: a gradient step of Q, then a blend of T with the *new* Q. Pure functions on a plain pytree.

    Q ← Q + α·step(Q, T)
    T ← c·T + (1 − c)·Q        at every `period`-th gradient step,    c = 1 − τ

The functions are written for one agent; `jax.vmap` makes a block of agents, with α, τ, period and γ as data.

A *blended* agent has a single network W instead: `period` gradient steps from W, each with the moving network as its
own target, then W ← c·W + (1 − c)·W_new, and the next steps start from W. T holds W.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from softstep.config import Config
from softstep.kernels.adam import Constants
from softstep.learner import losses
from softstep.learner.networks import Network, Params, make_network
from softstep.learner.optimizers import (
    MakeOptimizer,
    make_optimizer_step,
    optimizer_by_name,
    plain_adam_constants,
)
from softstep.learner.td_targets import bootstrapped_values
from softstep.transition import Transition


class Hyper(NamedTuple):
    """The settings in which agents of one compiled program may differ."""

    learning_rate: Float[Array | np.ndarray, ...] | float
    """α."""
    tau: Float[Array | np.ndarray, ...] | float
    """Weight of the new parameters, in (0, 1]."""
    period: Int[Array | np.ndarray, ...] | int
    """Gradient steps from one target update to the next."""
    gamma: Float[Array | np.ndarray, ...] | float
    """Discount per step."""
    blended: Bool[Array | np.ndarray, ...] | bool | None = None
    """Whether the network is blended with itself; only for learners built for it."""


class LearnerState(NamedTuple):
    """The whole state of a learner."""

    online: Params
    target: Params
    opt_state: Any
    gradient_steps: Int[Array, ""]
    diverged_at: Int[Array, ""]
    """The first gradient step with a loss or parameters that are not finite; 0 if there was none."""


class Learner(NamedTuple):
    """A pair of pure functions on `LearnerState`, and the network they share."""

    init: Callable[[PRNGKeyArray], LearnerState]
    """key → state; the target starts as a copy of the online parameters, in float32 or wider."""
    update: Callable[[LearnerState, Transition, Hyper], tuple[LearnerState, Float[Array, ""]]]
    """(state, batch of B transitions, hyper) → (state after one gradient step and its blend, loss)."""
    td_targets: Callable[[LearnerState, Transition, Hyper], Float[Array, " B"]]
    """(state, batch, hyper) → y with the state's target network (and its online network, for double Q)."""
    network: Network


def make_learner(config: Config, observation_size: int, num_actions: int) -> Learner:
    """Build the learner that `config` describes."""
    return build_learner(
        make_network(config, observation_size, num_actions),
        optimizer_by_name(config.optimizer, config.optimizer_options),
        loss=losses.squared if config.loss == "mse" else losses.huber,
        double_q=config.double_q,
        max_grad_norm=config.max_grad_norm,
        blending=any(arm.blended for arm in config.arms),
        adam=plain_adam_constants(config.optimizer, config.optimizer_options),
    )


def build_learner(
    network: Network,
    optimizer: MakeOptimizer,
    *,
    loss: Callable[[Array], Array] = losses.squared,
    double_q: bool = False,
    max_grad_norm: float | None = None,
    blending: bool = False,
    adam: Constants | None = None,
) -> Learner:
    """Build a learner from its parts.

    Args:
        network: the Q-network.
        optimizer: learning rate (possibly traced) → optax transformation.
        loss: TD errors → losses.
        double_q: select the next action with the online network.
        max_grad_norm: global norm to which gradients are clipped; None does not clip.
        blending: whether `Hyper.blended` is obeyed, which costs a pass over the parameters.
        adam: the constants of `optimizer` if that is optax's plain Adam, so that a kernel may take its steps.
    """
    optimizer_step = make_optimizer_step(optimizer, max_grad_norm, adam)

    def init(key: PRNGKeyArray) -> LearnerState:
        online = network.init(key)
        target = tuple(jnp.array(leaf, jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in online)  # copies
        zeros = (jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))  # two: a donated buffer must not appear twice
        return LearnerState(online, target, optimizer_step.init(online), *zeros)

    def td_targets(state: LearnerState, batch: Transition, hyper: Hyper) -> Float[Array, " B"]:
        self_target = blending and hyper.blended is not None
        valuing = _choose(hyper.blended, state.online, state.target) if self_target else state.target
        selecting = state.online if double_q else valuing
        discount = hyper.gamma * batch.discount
        return batch.reward + bootstrapped_values(network, valuing, discount, batch.next_observation, selecting)

    def mean_loss(online: Params, batch: Transition, y: Float[Array, " B"]) -> Float[Array, ""]:
        chosen = jax.vmap(losses.selected_value)(network.batch(online, batch.observation), batch.action)
        return jnp.mean(loss(y - chosen))

    def step_and_blend(state: LearnerState, gradient: Params, value: Array, hyper: Hyper) -> LearnerState:
        count = state.gradient_steps + 1
        fire = count % hyper.period == 0
        online, target, opt_state, finite = optimizer_step.step_and_blend(
            state.online, state.target, state.opt_state, gradient, hyper.learning_rate, hyper.tau, fire
        )
        if blending and hyper.blended is not None:
            online = _choose(hyper.blended & fire, target, online)
        healthy = jnp.isfinite(value) & finite
        diverged_at = jnp.where((state.diverged_at == 0) & ~healthy, count, state.diverged_at)
        return LearnerState(online, target, opt_state, count, diverged_at)

    def update(state: LearnerState, batch: Transition, hyper: Hyper) -> tuple[LearnerState, Float[Array, ""]]:
        y = td_targets(state, batch, hyper)
        value, gradient = jax.value_and_grad(mean_loss)(state.online, batch, y)
        return step_and_blend(state, gradient, value, hyper), value

    return Learner(init, update, td_targets, network)


def _choose(condition: Any, where_true: Any, where_false: Any) -> Any:
    """Return one of two pytrees, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), where_true, where_false)


def target_gap(state: LearnerState) -> Float[Array, ""]:
    """Return ‖Q − T‖₂ over all parameters."""
    return optax.tree.norm(jax.tree.map(jnp.subtract, state.online, state.target))
