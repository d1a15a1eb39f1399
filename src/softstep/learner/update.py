"""The two-network learner: a gradient step of Q, then a blend of T with the *new* Q. Pure functions on a plain pytree.

    Q ← Q + α·step(Q, T)
    T ← c·T + (1 − c)·Q        at every `period`-th gradient step,    c = 1 − τ

Written for one agent; a block of agents is a `jax.vmap` away, with α, τ, period and γ as data.

A *blended* agent has one network W instead: `period` gradient steps from W, each with the moving network as its own
target, then W ← c·W + (1 − c)·W_new, from where it goes on. T holds W.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from softstep.config import Config, ConfigError, near
from softstep.kernels.adam import Constants, adam_step
from softstep.kernels.support import kernels_accept
from softstep.learner import losses
from softstep.learner.networks import Network, Params, make_network
from softstep.target import blend
from softstep.transition import Transition


class Hyper(NamedTuple):
    """What differs between agents that share one compiled program."""

    learning_rate: Float[Array | np.ndarray, ...] | float
    """α."""
    tau: Float[Array | np.ndarray, ...] | float
    """Weight of the new parameters, in (0, 1]."""
    period: Int[Array | np.ndarray, ...] | int
    """Gradient steps between two updates of the target."""
    gamma: Float[Array | np.ndarray, ...] | float
    """Discount per step."""
    blended: Bool[Array | np.ndarray, ...] | bool | None = None
    """Whether the network is blended with itself; only for learners built for it."""


class LearnerState(NamedTuple):
    """Everything a learner knows."""

    online: Params
    target: Params
    opt_state: Any
    gradient_steps: Int[Array, ""]
    diverged_at: Int[Array, ""]
    """The gradient step whose loss or parameters were first not finite; 0 while all is well."""


class Stepped(NamedTuple):
    """What a gradient step and the target's update leave behind."""

    online: Params
    target: Params
    opt_state: Any
    finite: Bool[Array, ""]
    """Whether all online parameters are."""


class Learner(NamedTuple):
    """A pair of pure functions over `LearnerState`, and the network they share."""

    init: Callable[[PRNGKeyArray], LearnerState]
    """key → state; the target starts as a copy of the online parameters, in float32 or wider."""
    update: Callable[[LearnerState, Transition, Hyper], tuple[LearnerState, Float[Array, ""]]]
    """(state, batch of B transitions, hyper) → (state after one gradient step and its blend, loss)."""
    td_targets: Callable[[LearnerState, Transition, Hyper], Float[Array, " B"]]
    """(state, batch, hyper) → y with the state's target network (and its online network, for double Q)."""
    network: Network


def make_learner(config: Config, observation_size: int, num_actions: int) -> Learner:
    """The learner that `config` describes."""
    return build_learner(
        make_network(config, observation_size, num_actions),
        optimizer_by_name(config.optimizer, config.optimizer_options),
        loss=losses.squared if config.loss == "mse" else losses.huber,
        double_q=config.double_q,
        max_grad_norm=config.max_grad_norm,
        blending=any(arm.blended for arm in config.arms),
        adam=_plain_adam(config),
    )


def _plain_adam(config: Config) -> Constants | None:
    """Adam's constants, where the configured optimizer is Adam without Nesterov's momentum and the like."""
    options = config.optimizer_options
    plain = config.optimizer == "adam" and set(options) <= set(Constants._fields)
    return Constants(**options) if plain else None


def build_learner(
    network: Network,
    optimizer: Callable[[Any], optax.GradientTransformation],
    *,
    loss: Callable[[Array], Array] = losses.squared,
    double_q: bool = False,
    max_grad_norm: float | None = None,
    blending: bool = False,
    adam: Constants | None = None,
) -> Learner:
    """A learner from its parts; `optimizer` maps a learning rate (possibly traced) to an optax transformation.

    `blending`: whether `Hyper.blended` is obeyed, which costs a pass over the parameters. `adam`: the constants of
    `optimizer`, where that is optax's Adam, so that a kernel of our own may take its steps.
    """
    q_values = network.batch

    def transform(learning_rate: Any) -> optax.GradientTransformation:
        if max_grad_norm is None:
            return optimizer(learning_rate)
        return optax.chain(optax.clip_by_global_norm(max_grad_norm), optimizer(learning_rate))

    def init(key: PRNGKeyArray) -> LearnerState:
        online = network.init(key)
        target = tuple(jnp.array(leaf, jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in online)  # copies
        zeros = (jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))  # two: a donated buffer must not appear twice
        return LearnerState(online, target, transform(0.0).init(online), *zeros)

    def td_targets(state: LearnerState, batch: Transition, hyper: Hyper) -> Float[Array, " B"]:
        own = blending and hyper.blended is not None
        valuing = _choose(hyper.blended, state.online, state.target) if own else state.target
        values = q_values(valuing, batch.next_observation)
        selector = q_values(state.online, batch.next_observation) if double_q else values
        return jax.vmap(losses.q_target)(batch.reward, hyper.gamma * batch.discount, values, selector)

    def optax_step(state: LearnerState, gradient: Params, hyper: Hyper, fire: Array) -> Stepped:
        step, opt_state = transform(hyper.learning_rate).update(gradient, state.opt_state, state.online)
        online = optax.apply_updates(state.online, step)
        return Stepped(online, update_target(state.target, online, hyper.tau, fire), opt_state, _all_finite(online))

    def update(state: LearnerState, batch: Transition, hyper: Hyper) -> tuple[LearnerState, Float[Array, ""]]:
        y = td_targets(state, batch, hyper)

        def mean_loss(online: Params) -> Array:
            chosen = jax.vmap(losses.selected_value)(q_values(online, batch.observation), batch.action)
            return jnp.mean(loss(y - chosen))

        value, gradient = jax.value_and_grad(mean_loss)(state.online)
        count = state.gradient_steps + 1
        fire = count % hyper.period == 0
        if adam is not None and max_grad_norm is None and kernels_accept(state.online):
            online, target, opt_state, finite = _adam_step(adam, state, gradient, hyper, fire)
        else:
            online, target, opt_state, finite = optax_step(state, gradient, hyper, fire)
        if blending and hyper.blended is not None:
            online = _choose(hyper.blended & fire, target, online)
        healthy = jnp.isfinite(value) & finite
        diverged_at = jnp.where((state.diverged_at == 0) & ~healthy, count, state.diverged_at)
        return LearnerState(online, target, opt_state, count, diverged_at), value

    return Learner(init, update, td_targets, network)


def _adam_step(adam: Constants, state: LearnerState, gradient: Params, hyper: Hyper, fire: Array) -> Stepped:
    """A step of optax's Adam and the target's update by `kernels.adam`."""
    moments, *rest = state.opt_state
    count = optax.safe_increment(moments.count)
    online, target, mu, nu, finite = adam_step(
        adam, state.online, state.target, moments.mu, moments.nu, gradient, hyper.learning_rate, count, hyper.tau, fire
    )
    return Stepped(online, target, (moments._replace(count=count, mu=mu, nu=nu), *rest), finite)


def update_target(target: Any, online: Any, tau: Any, fire: Any) -> Any:
    """Blend every floating-point leaf where `fire`, copy every other leaf; the old target where not.

    Firing is *chosen* (`where`), never multiplied in: 0 · NaN would poison a target that must not move.
    """

    def leaf(old: Array, new: Array) -> Array:
        moved = blend(old, new, tau, where=jnp.where) if jnp.issubdtype(old.dtype, jnp.inexact) else new
        return jnp.where(fire, moved, old)

    return jax.tree.map(leaf, target, online)


def _choose(condition: Any, where_true: Any, where_false: Any) -> Any:
    """One of two pytrees, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), where_true, where_false)


def target_gap(state: LearnerState) -> Float[Array, ""]:
    """Returns: ‖Q − T‖₂ over all parameters."""
    return optax.tree.norm(jax.tree.map(jnp.subtract, state.online, state.target))


def _all_finite(params: Params) -> Array:
    """Whether every element is finite: the largest magnitude is, for a maximum passes NaN on."""
    return jnp.all(jnp.isfinite(jnp.stack([jnp.max(jnp.abs(leaf), initial=0) for leaf in params])))


def optimizer_by_name(name: str, options: Mapping[str, float]) -> Callable[[Any], optax.GradientTransformation]:
    """learning rate → optax's optimizer `name` with `options`; ConfigError where it is none or they do not fit."""
    factory = getattr(optax, name, None)
    known = [n for n in dir(optax) if "learning_rate" in _parameters(getattr(optax, n))]
    if factory is None or name not in known:
        raise ConfigError(f"optimizer = {name!r} is not an optimizer of optax{near(name, known)}")
    for option in options:
        if option not in _parameters(factory) or option == "learning_rate":
            raise ConfigError(f"optimizer_options: {name} has no {option!r}{near(option, list(_parameters(factory)))}")
    weights = (jax.ShapeDtypeStruct((2,), jnp.float32),)
    try:
        probe = factory(0.1, **options)
        jax.eval_shape(lambda w: probe.update(w, probe.init(w), w), weights)
    except Exception as error:
        raise ConfigError(f"optimizer = {name!r} does not fit a plain gradient step: {error}") from None
    return lambda learning_rate: factory(learning_rate, **options)


def _parameters(function: Any) -> Mapping[str, Any]:
    try:
        plain = inspect.isfunction(function) or isinstance(function, functools.partial)  # optax.nadam is a partial
        return inspect.signature(function).parameters if plain else {}
    except (TypeError, ValueError):
        return {}
