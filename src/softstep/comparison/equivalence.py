"""Test an optax optimizer: is one network blended with itself the same optimizer at (1−c)·α?

    blended:  x ← c·x + (1−c)·(x + U(x, state; α))        plain:  x ← x + U(x, state; (1−c)·α)

Both run from the same start on a small nonlinear problem in float64, with a constant and with a changing c.
`softstep.theory.optimizers` says what to expect and why; this module only measures.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from softstep.theory.optimizers import Verdict

EQUAL = 1e-9
"""Largest deviation, relative to the distance travelled, that counts as equal."""

Make = Callable[..., optax.GradientTransformation]


class Check(NamedTuple):
    """What was measured: the verdict, and the deviations it rests on (relative to the distance travelled)."""

    verdict: Verdict
    rescale: str | None  # the hyper-parameter that must be multiplied by (1−c) as well
    constant_c: float  # deviation of blended from plain, one c throughout
    changing_c: float  # the same with another c at every step


def check(
    make: Any,
    *,
    alpha: float = 0.05,
    c: float = 0.7,
    steps: int = 8,
    rescale: Sequence[str] | None = None,
    **options: Any,
) -> Check:
    """Compare blending under `make(alpha)` with `make((1−c)·alpha)` itself, and say which kind it is.

    make: a function of the learning rate, such as `optax.adam` or `lambda rate: optax.chain(clip, optax.sgd(rate))`;
    options: further arguments for it. rescale: names of arguments to try multiplying by (1−c) where equality
    fails, by default every number in its signature.
    The verdict is about these runs: a clip or a cap that never becomes active has not been tested.
    Errors: ValueError where `make` is an optimizer already built, whose rate cannot be changed; where c is outside
    [0, 1), alpha ≤ 0 or steps < 2.
    """
    if not callable(make):
        raise ValueError(
            "check needs a function of the learning rate, such as optax.adam, not an optimizer built with one"
        )
    if not (alpha > 0 and 0 <= c < 1 and steps >= 2):
        raise ValueError(f"alpha = {alpha!r} must be above 0, c = {c!r} in [0, 1), steps = {steps!r} at least 2")
    with jax.enable_x64(True):
        constant = np.full(steps, c)
        changing = c + (1 - c) * 0.5 * np.sin(np.arange(steps) + 1.0)
        fixed = _deviation(make, alpha, constant, options)
        varying = _deviation(make, alpha, changing, options)
        if fixed < EQUAL:
            return Check("exact" if varying < EQUAL else "exact for constant c", None, fixed, varying)
        for name in _numbers(make, options) if rescale is None else rescale:
            if _deviation(make, alpha, constant, options, also=name) < EQUAL:
                return Check("needs another rescale", f"{name} -> (1-c)*{name}", fixed, varying)
    return Check("never", None, fixed, varying)


def _deviation(make: Make, alpha: float, cs: Any, options: dict[str, Any], also: str | None = None) -> float:
    """Largest distance between the blended and the plain trajectory over the distance travelled; inf where not finite.

    cs: c at each step. also: an argument that the plain optimizer gets multiplied by 1 − c.
    """
    blended, start = _Run(make, alpha, options), _start()
    plain, travelled, apart = _Run(make, alpha * (1 - cs[0]), _scaled(make, options, also, 1 - cs[0])), 0.0, 0.0
    for c in cs:
        blended.step(share=1 - c)
        plain.optimizer = make(alpha * (1 - c), **_scaled(make, options, also, 1 - c))
        plain.state = _set_rate(plain.state, alpha * (1 - c))
        plain.step(share=1.0)
        apart = max(apart, _distance(blended.x, plain.x))
        travelled = max(travelled, _distance(blended.x, start))
    return apart / travelled if np.isfinite(apart) and travelled > 0 else float("inf")


class _Run:
    """Parameters and optimizer state of one trajectory."""

    def __init__(self, make: Make, alpha: float, options: dict[str, Any]) -> None:
        self.x = _start()
        self.optimizer = make(alpha, **options)
        if not hasattr(self.optimizer, "update"):
            raise ValueError("check needs a function that returns an optax optimizer for a learning rate")
        self.state = self.optimizer.init(self.x)

    def step(self, share: float) -> None:
        """x ← x + share·U, so that share = 1 − c blends."""
        value, gradient = jax.value_and_grad(_loss)(self.x)
        optimizer = optax.with_extra_args_support(self.optimizer)
        update, self.state = optimizer.update(gradient, self.state, self.x, value=value, grad=gradient, value_fn=_loss)
        self.x = jax.tree.map(lambda p, u: p + share * u, self.x, update)


def _loss(x: Any) -> Any:
    """A two-layer regression with a quartic term: nonlinear, with no gradient entry at 0 or symmetric."""
    inputs = jnp.linspace(-1.0, 1.5, 15).reshape(5, 3)
    hidden = jnp.tanh(inputs @ x["matrix"] + x["vector"])
    return jnp.mean((hidden.sum(axis=1) - jnp.cos(jnp.arange(5.0))) ** 2) + 0.1 * jnp.sum(x["vector"] ** 4)


def _start() -> Any:
    return {"matrix": jnp.linspace(-0.7, 0.9, 6).reshape(3, 2), "vector": jnp.array([0.4, -0.9])}


def _distance(x: Any, y: Any) -> float:
    return float(optax.tree.norm(jax.tree.map(jnp.subtract, x, y)))


def _numbers(make: Make, options: dict[str, Any]) -> list[str]:
    """Arguments of `make` after the rate that are real numbers other than 0; whole numbers are counts."""
    try:
        parameters = list(inspect.signature(make).parameters.values())[1:]
    except (TypeError, ValueError):
        return []
    values = {p.name: options.get(p.name, p.default) for p in parameters}
    return [name for name, value in values.items() if isinstance(value, float) and value != 0]


def _scaled(make: Make, options: dict[str, Any], name: str | None, factor: float) -> dict[str, Any]:
    """`options` with the argument `name` multiplied by `factor`."""
    if name is None:
        return options
    default = inspect.signature(make).parameters[name].default if name not in options else options[name]
    return {**options, name: default * factor}


def _set_rate(state: Any, rate: float) -> Any:
    """`state` with a learning rate it carries itself (`optax.inject_hyperparams`) replaced."""
    found = optax.tree_utils.tree_get_all_with_path(state, "learning_rate")
    return optax.tree_utils.tree_set(state, learning_rate=jnp.asarray(rate)) if found else state
