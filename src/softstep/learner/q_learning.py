"""Deep Q-learning with two networks: a gradient step of Q, then a blend of T with the *new* Q.

    Q ← Q + α·step(Q, T)
    T ← c·T + (1 − c)·Q        at every `period`-th gradient step,    c = 1 − τ

τ is constant, or harmonic: min(τ₀, K/t) at the gradient step t of the update.

With a target for the last layer alone, T's other layers are always Q's (iS-QL with one head, Vincent et al. 2025,
arXiv 2506.04398).

A *blended* agent has a single network W instead: `period` gradient steps from W, each with the moving network as its
own target, then W ← c·W + (1 − c)·W_new, and the next steps start from W. T holds W.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from softstep.kernels.adam import Constants, pack_scalars
from softstep.kernels.mlp import mlp_kernel_accepts
from softstep.kernels.q_step import Rule, q_step
from softstep.learner import losses
from softstep.learner.contract import Hyper, Learner, LearnerState, OneKernel
from softstep.learner.networks import Network, Params
from softstep.learner.optimizers import MakeOptimizer, OptimizerStep, make_optimizer_step
from softstep.learner.target_update import tau_at
from softstep.learner.td_targets import bootstrapped_values
from softstep.transition import Transition

KERNEL_LOSSES: dict[losses.Loss, Literal["squared", "huber"]] = {losses.squared: "squared", losses.huber: "huber"}
"""The losses that `kernels.q_step` knows, by name."""


@dataclass(frozen=True)
class QLearning:
    """The functions of a deep Q-learning learner, for one agent."""

    network: Network
    optimizer: OptimizerStep
    loss: Callable[[Array], Array]
    double_q: bool
    blending: bool
    """Whether `Hyper.blended` is obeyed."""
    last_layer: bool
    rule: Rule | None = None
    """What `kernels.q_step` is to compute, if it can make this learner's updates."""

    def learner(self) -> Learner:
        """Return the functions as a `Learner`."""
        return Learner(
            self.init,
            self.update,
            self.td_targets,
            self.measured_bootstrap,
            self.state_values,
            self.network,
            one_kernel=None if self.rule is None else OneKernel(self.rule, partial(_kernel_scalars, self.rule)),
        )

    def init(self, key: PRNGKeyArray) -> LearnerState:
        """Draw Q; T starts as a copy of it, in float32 or wider."""
        online = self.network.init(key)
        target = tuple(jnp.array(leaf, jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in online)  # copies
        zeros = (jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))  # two: a donated buffer must not appear twice
        return LearnerState(online, target, self.optimizer.init(online), *zeros)

    def td_targets(
        self, state: LearnerState, batch: Transition, hyper: Hyper, _noise: None = None
    ) -> Float[Array, " B"]:
        """Return y = r + γ·d·T(s′, a′)."""
        is_chosen = self.blending and hyper.blended is not None
        valuing = _choose(hyper.blended, state.online, state.target) if is_chosen else state.target
        selecting = state.online if self.double_q else valuing
        discount = hyper.gamma * batch.discount
        return batch.reward + bootstrapped_values(self.network, valuing, discount, batch.next_observation, selecting)

    def mean_loss(self, online: Params, batch: Transition, y: Float[Array, " B"]) -> Float[Array, ""]:
        """Return the mean loss of y − Q(s, a)."""
        chosen = jax.vmap(losses.selected_value)(self.network.batch(online, batch.observation), batch.action)
        return jnp.mean(self.loss(y - chosen))

    def update(
        self, state: LearnerState, batch: Transition, hyper: Hyper, _noise: None = None, _moves_actor: None = None
    ) -> tuple[LearnerState, Float[Array, ""]]:
        """Make a gradient step of Q, then the target update that is due."""
        if self.rule is not None and mlp_kernel_accepts((*state.online, *state.target), batch.observation):
            return self._update_in_one_kernel(self.rule, state, batch, hyper)
        y = self.td_targets(state, batch, hyper)
        value, gradient = jax.value_and_grad(self.mean_loss)(state.online, batch, y)
        return self.step_and_blend(state, gradient, value, hyper), value

    def _update_in_one_kernel(
        self, rule: Rule, state: LearnerState, batch: Transition, hyper: Hyper
    ) -> tuple[LearnerState, Float[Array, ""]]:
        """Make the same update by `kernels.q_step`, up to rounding."""
        moments, *rest = state.opt_state
        networks = state.online, state.target, moments.mu, moments.nu
        scalars = _kernel_scalars(rule, state.gradient_steps, moments.count, hyper)
        new = q_step(rule, *networks, batch, hyper.gamma, scalars)
        count = state.gradient_steps + 1
        opt_state = (moments._replace(count=optax.safe_increment(moments.count), mu=new.mu, nu=new.nu), *rest)
        diverged_at = _diverged_at(state, count, jnp.isfinite(new.loss) & new.finite)
        return LearnerState(new.online, new.target, opt_state, count, diverged_at), new.loss

    def step_and_blend(self, state: LearnerState, gradient: Params, value: Array, hyper: Hyper) -> LearnerState:
        """Return the state after the optimizer's step along `gradient` and the target update that is due."""
        count, tau, fire = _target_update_due(state.gradient_steps, hyper)
        online, target, opt_state, finite = self.optimizer.step_and_blend(
            state.online, state.target, state.opt_state, gradient, hyper.learning_rate, tau, fire
        )
        if self.blending and hyper.blended is not None:
            online = _choose(hyper.blended & fire, target, online)
        if self.last_layer:
            target = (*online[:-2], *target[-2:])
        diverged_at = _diverged_at(state, count, jnp.isfinite(value) & finite)
        return LearnerState(online, target, opt_state, count, diverged_at)

    def measured_bootstrap(
        self, state: LearnerState, hyper: Hyper, discount: Array, next_observation: Array
    ) -> Float[Array, " B"]:
        """Return γ·d·max_a T(s′, a)."""
        return bootstrapped_values(self.network, state.target, hyper.gamma * discount, next_observation)

    def state_values(self, online: Params, observation: Array) -> Float[Array, " B"]:
        """Return max_a Q(s, a)."""
        return jnp.max(self.network.batch(online, observation), axis=-1)


def build_learner(
    network: Network,
    optimizer: MakeOptimizer,
    *,
    loss: Callable[[Array], Array] = losses.squared,
    double_q: bool = False,
    max_grad_norm: float | None = None,
    blending: bool = False,
    last_layer: bool = False,
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
        last_layer: whether only the network's last two arrays, weight and bias, have a target.
        adam: the constants of `optimizer` if that is optax's plain Adam, so that a kernel may take its steps.
    """
    step = make_optimizer_step(optimizer, max_grad_norm, adam)
    plain = network.plain_mlp and max_grad_norm is None and not blending and not last_layer
    rule = Rule(KERNEL_LOSSES[loss], double_q, adam) if plain and adam is not None and loss in KERNEL_LOSSES else None
    return QLearning(network, step, loss, double_q, blending, last_layer, rule).learner()


def _kernel_scalars(rule: Rule, gradient_steps: Array, adam_steps: Array, hyper: Hyper) -> Float[Array, " 5"]:
    """Return the numbers of the next update that `kernels.q_step` needs, after so many gradient steps and Adam's."""
    _, tau, fire = _target_update_due(gradient_steps, hyper)
    return pack_scalars(rule.adam, hyper.learning_rate, optax.safe_increment(adam_steps), tau, fire)


def _target_update_due(gradient_steps: Array, hyper: Hyper) -> tuple[Array, Any, Array]:
    """Return the number of the next gradient step, its τ, and whether a target update is due at it."""
    count = gradient_steps + 1
    return count, tau_at(hyper.tau, hyper.harmonic_steps, count), count % hyper.period == 0


def _diverged_at(state: LearnerState, count: Array, healthy: Array) -> Array:
    """Return the first gradient step that was not healthy, after step number `count`; 0 if there was none."""
    return jnp.where((state.diverged_at == 0) & ~healthy, count, state.diverged_at)


def _choose(condition: Any, where_true: Any, where_false: Any) -> Any:
    """Return one of two pytrees, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), where_true, where_false)
