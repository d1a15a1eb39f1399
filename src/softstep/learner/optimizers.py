"""Optimizers by name, and the step that follows a gradient: move Q, then let T follow the *new* Q.

The step has two implementations behind one signature. `_optax_step` works for every optimizer and device; `_adam_step`
runs optax's Adam, the blend and the check for finiteness as one kernel of our own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool

from softstep.errors import ConfigError, near
from softstep.kernels.adam import Constants
from softstep.kernels.adam import adam_step as adam_kernel
from softstep.kernels.support import kernels_accept
from softstep.learner.networks import Params
from softstep.learner.target_update import update_target

MakeOptimizer = Callable[[Any], optax.GradientTransformation]
"""Learning rate (possibly traced) → optax transformation."""


class Stepped(NamedTuple):
    """The result of a gradient step followed by the target update."""

    online: Params
    target: Params
    opt_state: Any
    finite: Bool[Array, ""]
    """Whether all online parameters are finite."""


class OptimizerStep(NamedTuple):
    """An optimizer together with the target update that follows its steps."""

    init: Callable[[Params], Any]
    """Online parameters → optimizer state."""
    step_and_blend: Callable[..., Stepped]
    """(online, target, opt_state, gradient, learning_rate, tau, fire) → `Stepped`.

    The target of a network without one is empty, ()."""


def make_optimizer_step(
    optimizer: MakeOptimizer, max_grad_norm: float | None = None, adam: Constants | None = None
) -> OptimizerStep:
    """Combine an optimizer with the target update.

    Args:
        optimizer: learning rate → optax transformation.
        max_grad_norm: global norm to which gradients are clipped; None does not clip.
        adam: the constants of `optimizer` if that is optax's plain Adam, so that a kernel may take its steps.
    """

    def transform(learning_rate: Any) -> optax.GradientTransformation:
        if max_grad_norm is None:
            return optimizer(learning_rate)
        return optax.chain(optax.clip_by_global_norm(max_grad_norm), optimizer(learning_rate))

    def step_and_blend(online: Params, *arguments: Any) -> Stepped:
        if adam is not None and max_grad_norm is None and kernels_accept(online):
            return _adam_step(adam, online, *arguments)
        return _optax_step(transform, online, *arguments)

    return OptimizerStep(lambda online: transform(0.0).init(online), step_and_blend)


def _optax_step(
    transform: MakeOptimizer,
    online: Params,
    target: Params,
    opt_state: Any,
    gradient: Params,
    learning_rate: Any,
    tau: Any,
    fire: Any,
) -> Stepped:
    """Take an optax step, then update the target if `fire`."""
    step, opt_state = transform(learning_rate).update(gradient, opt_state, online)
    online = optax.apply_updates(online, step)
    return Stepped(online, update_target(target, online, tau, fire), opt_state, _all_finite(online))


def _adam_step(
    adam: Constants,
    online: Params,
    target: Params,
    opt_state: Any,
    gradient: Params,
    learning_rate: Any,
    tau: Any,
    fire: Any,
) -> Stepped:
    """Take a step of optax's Adam and update the target, in one kernel."""
    moments, *rest = opt_state
    count = optax.safe_increment(moments.count)
    online, target, mu, nu, finite = adam_kernel(
        adam, online, target, moments.mu, moments.nu, gradient, learning_rate, count, tau, fire
    )
    return Stepped(online, target, (moments._replace(count=count, mu=mu, nu=nu), *rest), finite)


def _all_finite(params: Params) -> Array:
    """Return whether every element is finite; the largest magnitude is, because a maximum propagates NaN."""
    return jnp.all(jnp.isfinite(jnp.stack([jnp.max(jnp.abs(leaf), initial=0) for leaf in params])))


def plain_adam_constants(name: str, options: Mapping[str, float]) -> Constants | None:
    """Return Adam's constants if the optimizer is Adam without extras such as Nesterov momentum, else None."""
    plain = name == "adam" and set(options) <= set(Constants._fields)
    return Constants(**options) if plain else None


def optimizer_by_name(name: str, options: Mapping[str, float]) -> MakeOptimizer:
    """Return a function from the learning rate to optax's optimizer `name` with `options`.

    Raises: ConfigError if optax has no such optimizer, or if the options do not fit it.
    """
    factory = getattr(optax, name, None)
    known = [n for n in dir(optax) if "learning_rate" in _parameters(getattr(optax, n))]
    if factory is None or name not in known:
        raise ConfigError(f"optimizer = {name!r} is not an optimizer of optax{near(name, known)}")
    for option in options:
        if option not in _parameters(factory) or option == "learning_rate":
            raise ConfigError(f"optimizer_options: {name} has no {option!r}{near(option, list(_parameters(factory)))}")
    weights = (jax.ShapeDtypeStruct((2,), jnp.float32),)
    try:
        trial = factory(0.1, **options)
        jax.eval_shape(lambda w: trial.update(w, trial.init(w), w), weights)
    except Exception as error:
        raise ConfigError(f"optimizer = {name!r} does not fit a plain gradient step: {error}") from None
    return lambda learning_rate: factory(learning_rate, **options)


def _parameters(function: Any) -> Mapping[str, Any]:
    """Return the parameters of a function's signature; none for anything else."""
    try:
        plain = inspect.isfunction(function) or isinstance(function, functools.partial)  # optax.nadam is a partial
        return inspect.signature(function).parameters if plain else {}
    except (TypeError, ValueError):
        return {}
