"""A test of optax optimizers: is one network blended with itself the same optimizer at (1−c)·α?

    blended:  x ← c·x + (1−c)·(x + U(x, state; α))        plain:  x ← x + U(x, state; (1−c)·α)

Both run from the same start on a small nonlinear problem in float64, with a constant and with a changing c.
`softstep.theory.optimizers` says what to expect and why. This module only measures.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from softstep.jax_settings.pinned import pinned
from softstep.theory.optimizers import EquivalenceKind

EQUAL = 1e-9
"""Largest deviation, relative to the distance travelled, that counts as equal."""

OptimizerFactory = Callable[..., optax.GradientTransformation]
"""A function of the learning rate, and perhaps of options, that returns an optimizer."""


class Check(NamedTuple):
    """The measured kind of equivalence, and its deviations relative to the distance travelled."""

    verdict: EquivalenceKind
    rescale: str | None  # the hyperparameter that must be multiplied by (1−c) as well
    constant_c: float  # deviation of blended from plain at constant c
    changing_c: float  # the same with another c at every step


@pinned()
def check(
    make: Any,
    *,
    alpha: float = 0.05,
    c: float = 0.7,
    steps: int = 8,
    rescale: Sequence[str] | None = None,
    **options: Any,
) -> Check:
    """Compare blending under `make(alpha)` with `make((1−c)·alpha)` itself, and return the kind of equivalence.

    The result covers only these runs: a clip or a cap that never becomes active has not been tested.

    Args:
        make: a function of the learning rate, for example `optax.adam` or
            `lambda rate: optax.chain(clip, optax.sgd(rate))`.
        alpha: learning rate of the blended run, above 0.
        c: weight of the old parameters, in [0, 1).
        steps: number of updates, at least 2.
        rescale: names of arguments of `make` to multiply by (1−c) if the runs differ; by default every real number in
            its signature.
        options: further arguments for `make`.

    Raises:
        ValueError: `make` is an optimizer already built, whose rate cannot be changed, or a number is out of range.
    """
    if not callable(make):
        raise ValueError(
            "check needs a function of the learning rate, for example optax.adam, not an optimizer built with one"
        )
    if not (alpha > 0 and 0 <= c < 1 and steps >= 2):
        raise ValueError(f"alpha = {alpha!r} must be above 0, c = {c!r} in [0, 1), steps = {steps!r} at least 2")
    with jax.enable_x64(True):
        constant = np.full(steps, c)
        changing = c + (1 - c) * 0.5 * np.sin(np.arange(steps) + 1.0)
        at_constant_c = _deviation(make, alpha, constant, options)
        at_changing_c = _deviation(make, alpha, changing, options)
        if at_constant_c < EQUAL:
            kind: EquivalenceKind = "exact" if at_changing_c < EQUAL else "exact for constant c"
            return Check(kind, None, at_constant_c, at_changing_c)
        for name in _real_arguments(make, options) if rescale is None else rescale:
            if _deviation(make, alpha, constant, options, rescaled=name) < EQUAL:
                return Check("needs another rescale", f"{name} -> (1-c)*{name}", at_constant_c, at_changing_c)
    return Check("never", None, at_constant_c, at_changing_c)


def _deviation(
    make: OptimizerFactory, alpha: float, cs: Any, options: dict[str, Any], rescaled: str | None = None
) -> float:
    """Return the largest distance between the blended and the plain trajectory over the distance travelled.

    Args:
        make: a function of the learning rate that returns an optimizer.
        alpha: learning rate of the blended run.
        cs: c at each step.
        options: further arguments for `make`.
        rescaled: an argument of `make` that is multiplied by 1 − c in the plain run.

    Returns:
        The relative deviation; inf if a trajectory is not finite or does not move.
    """
    blended, start = _Trajectory(make, alpha, options), _start()
    plain = _Trajectory(make, alpha * (1 - cs[0]), _rescaled(make, options, rescaled, 1 - cs[0]))
    deviation = travelled = 0.0
    for c in cs:
        blended.step(fraction=1 - c)
        plain.optimizer = make(alpha * (1 - c), **_rescaled(make, options, rescaled, 1 - c))
        plain.state = _set_rate(plain.state, alpha * (1 - c))
        plain.step(fraction=1.0)
        deviation = max(deviation, _distance(blended.x, plain.x))
        travelled = max(travelled, _distance(blended.x, start))
    return deviation / travelled if np.isfinite(deviation) and travelled > 0 else float("inf")


class _Trajectory:
    """Parameters and optimizer state of one run."""

    def __init__(self, make: OptimizerFactory, alpha: float, options: dict[str, Any]) -> None:
        self.x = _start()
        self.optimizer = make(alpha, **options)
        if not hasattr(self.optimizer, "update"):
            raise ValueError("check needs a function that returns an optax optimizer for a learning rate")
        self.state = self.optimizer.init(self.x)

    def step(self, fraction: float) -> None:
        """Take the step x ← x + fraction·U; with fraction = 1 − c this blends."""
        value, gradient = jax.value_and_grad(_loss)(self.x)
        optimizer = optax.with_extra_args_support(self.optimizer)
        update, self.state = optimizer.update(gradient, self.state, self.x, value=value, grad=gradient, value_fn=_loss)
        self.x = jax.tree.map(lambda p, u: p + fraction * u, self.x, update)


def _loss(x: Any) -> Any:
    """Return the loss of a two-layer regression with a quartic term: nonlinear, no gradient entry 0 or symmetric."""
    inputs = jnp.linspace(-1.0, 1.5, 15).reshape(5, 3)
    hidden = jnp.tanh(inputs @ x["matrix"] + x["vector"])
    return jnp.mean((hidden.sum(axis=1) - jnp.cos(jnp.arange(5.0))) ** 2) + 0.1 * jnp.sum(x["vector"] ** 4)


def _start() -> Any:
    return {"matrix": jnp.linspace(-0.7, 0.9, 6).reshape(3, 2), "vector": jnp.array([0.4, -0.9])}


def _distance(x: Any, y: Any) -> float:
    return float(optax.tree.norm(jax.tree.map(jnp.subtract, x, y)))


def _real_arguments(make: OptimizerFactory, options: dict[str, Any]) -> list[str]:
    """Return the names of the float arguments of `make` after the rate that are not 0; integers are counts."""
    try:
        parameters = list(inspect.signature(make).parameters.values())[1:]
    except (TypeError, ValueError):
        return []
    values = {p.name: options.get(p.name, p.default) for p in parameters}
    return [name for name, value in values.items() if isinstance(value, float) and value != 0]


def _rescaled(make: OptimizerFactory, options: dict[str, Any], name: str | None, factor: float) -> dict[str, Any]:
    """Return `options` with one argument multiplied by a factor.

    Args:
        make: the function that the options are for.
        options: further arguments for `make`.
        name: the argument to rescale, or None for none.
        factor: what to multiply it by.
    """
    if name is None:
        return options
    default = inspect.signature(make).parameters[name].default if name not in options else options[name]
    return {**options, name: default * factor}


def _set_rate(state: Any, rate: float) -> Any:
    """Return `state` with the learning rate that it contains under `optax.inject_hyperparams`, if any, replaced."""
    entries = optax.tree_utils.tree_get_all_with_path(state, "learning_rate")
    return optax.tree_utils.tree_set(state, learning_rate=jnp.asarray(rate)) if entries else state
