"""Room 1: one network blended with itself is plain descent at α′ = (1−c)·α, and two ways in which it is not.

every-step   x ← c·x + (1−c)·(x − α∇f(x)),  the lecture's soft update: exactly descent at (1−c)·α
lookahead    k steps at α, then one blend and a reset: α′ depends on the curvature (Zhang et al. 2019)
nesterov     v ← μv − α∇f(x + μv), x ← c·x + (1−c)·(x + v): the gradient is taken elsewhere, so the paths part
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from softstep import theory
from softstep.explorer.rooms import formula
from softstep.explorer.rooms.expression import evaluator
from softstep.explorer.rooms.parameters import BadParameter, Parameters, StepSize
from softstep.explorer.rooms.snippets import one_network_lines
from softstep.target import TargetUpdate, blend
from softstep.theory.checks import Array

REACH = 3.0
"""The picture shows x and y from −REACH to REACH."""
ESCAPED = 1e6
"""A path that goes beyond is cut there."""

FORMULAS: Mapping[tuple[str, int], str] = {
    ("bowl", 1): "x^2/2",
    ("valley", 1): "sqrt(x^2 + 0.05)",
    ("double-well", 1): "(x^2 - 3)^2/12",
    ("bowl", 2): "(x^2 + y^2)/2",
    ("valley", 2): "x^2/20 + y^2",
    ("double-well", 2): "(x^2 - 3)^2/12 + y^2/2",
}
"""The losses that have a name, by it and the number of dimensions."""

Gradient = Callable[[Array], Array]


class LossParameters(Parameters, frozen=True):
    """The parameters of `landscape`."""

    loss: Annotated[Literal["bowl", "valley", "double-well", "own"], Meta(description="the loss to descend")] = "bowl"
    dimensions: Annotated[int, Meta(ge=1, le=2, description="1 draws a curve, 2 a landscape")] = 1
    formula: Annotated[str, Meta(
        max_length=formula.LONGEST, description="your own loss in x (and y), used if loss is own"
    )] = "x^2/2 + 0.3*sin(3x)"  # fmt: skip


class PathParameters(LossParameters, frozen=True):
    """The parameters of `one-network`."""

    alpha: StepSize = 0.5
    c: Annotated[float, Meta(ge=0.0, le=0.9999, description="c, the share of the old parameters that is kept")] = 0.8
    x: Annotated[float, Meta(ge=-REACH, le=REACH, description="where the paths start")] = -2.4
    y: Annotated[float, Meta(ge=-REACH, le=REACH, description="where the paths start, in two dimensions")] = 1.8
    steps: Annotated[int, Meta(ge=1, le=200, description="gradient steps")] = 40
    variant: Annotated[Literal["every-step", "lookahead", "nesterov"], Meta(description="update rule")] = "every-step"
    k: Annotated[int, Meta(ge=1, le=20, description="steps from one blend to the next, for lookahead")] = 5
    mu: Annotated[float, Meta(ge=0.0, le=0.99, description="μ, the momentum, for nesterov")] = 0.8


class Loss:
    """A loss with its gradient and curvature."""

    def __init__(self, name: str, dimensions: int, text: str) -> None:
        self.text = text if name == "own" else FORMULAS[name, dimensions]
        self.names = ("x", "y")[:dimensions]
        try:
            self.value = formula.parse(self.text, self.names)
            self.slopes = tuple(self.value.derivative(name) for name in self.names)
            bends = tuple(slope.derivative(name) for slope in self.slopes for name in self.names)
        except formula.FormulaError as error:
            raise BadParameter("formula", str(error)) from None
        self._slopes, self._bends = evaluator(*self.slopes), evaluator(*bends)

    def gradient(self, x: Array) -> Array:
        """∇f at the points x, shape (..., dimensions)."""
        places = {name: x[..., i] for i, name in enumerate(self.names)}
        slopes = np.broadcast_arrays(*self._slopes(**places), x[..., 0])[:-1]
        return np.stack(slopes, -1)

    def curvatures(self, x: Array) -> Array:
        """Eigenvalues of the Hessian at x, rising; nan outside the formula's domain."""
        n = len(self.names)
        hessian = np.array(self._bends(**dict(zip(self.names, x, strict=True))), float).reshape(n, n)
        return np.linalg.eigvalsh(hessian) if np.isfinite(hessian).all() else np.full(n, np.nan)


@lru_cache(maxsize=64)
def _loss(name: str, dimensions: int, text: str) -> Loss:
    return Loss(name, dimensions, text if name == "own" else "")


# ---- the ways to walk ----


def walk_together(
    gradient: Gradient, start: Array, rates: Sequence[float], taus: Sequence[float], steps: int, mu: float = 0.0
) -> Array:
    """v ← μv − α∇f(x + μv), x ← c·x + (1−c)·(x + v) for pairs of α and τ = 1 − c, shape (steps + 1, pairs, dimensions).

    At μ = 0 it is the lecture's soft update of one network; at τ = 1 descent, or Nesterov's.
    """
    alpha, tau = np.array(rates)[:, None], np.array(taus)[:, None]
    path = [np.tile(start, (len(rates), 1))]
    v = np.zeros_like(path[0])
    for _ in range(steps):
        x = path[-1]
        v = mu * v - alpha * gradient(x + mu * v)
        path.append(blend(x, x + v, tau, where=np.where))
    return np.array(path)


def lookahead(gradient: Gradient, start: Array, alpha: float, update: TargetUpdate, steps: int) -> tuple[Array, Array]:
    """k = `update.period` fast steps at α, then slow ← c·slow + (1−c)·fast and fast ← slow. Both paths."""
    fast, slow = [start], [start]
    for t in range(1, steps + 1):
        x = fast[-1] - alpha * gradient(fast[-1])
        fires = t % update.period == 0
        slow.append(blend(slow[-1], x, update.tau, where=np.where) if fires else slow[-1])
        fast.append(slow[-1] if fires else x)
    return np.array(fast), np.array(slow)


# ---- the endpoints ----


def landscape(loss: str, dimensions: int, formula: str) -> dict[str, Any]:
    """The loss over the picture: values on a line, or on a grid with a row per y."""
    found = _loss(loss, dimensions, formula)
    x = np.linspace(-REACH, REACH, 241 if dimensions == 1 else 61)
    values = found.value(x=x) if dimensions == 1 else found.value(x=x[None, :], y=x[:, None])
    z = np.broadcast_to(values, (len(x),) * dimensions)
    return {"formula": found.text, "x": x, "y": x if dimensions == 2 else None, "z": z, "python": _surface_lines(found)}


def walk(
    loss: str, dimensions: int, formula: str, alpha: float, c: float, x: float, y: float, steps: int,
    variant: str, k: int, mu: float,
) -> dict[str, Any]:  # fmt: skip
    """The three paths, how far the second and third are apart, and α′ over the curvature."""
    found, start = _loss(loss, dimensions, formula), np.array([x, y][:dimensions])
    update, small = TargetUpdate.from_c(c), theory.blended_alpha(alpha, c)
    fast = None
    with np.errstate(all="ignore"):
        pairs = (alpha, alpha, small), (1.0, update.tau, 1.0)
        walks = walk_together(found.gradient, start, *pairs, steps, mu if variant == "nesterov" else 0.0)
        if variant == "lookahead":
            fast, walks[:, 1] = lookahead(found.gradient, start, alpha, TargetUpdate(update.tau, k), steps)
    paths = {name: _cut(walks[:, i]) for i, name in enumerate(("descent", "soft", "smaller"))}
    return {
        "formula": found.text, "alpha_prime": small, "relation": _relation(alpha, c, small, variant, k),
        "start": start, "loss": {name: _heights(found, path) for name, path in paths.items()},
        **{name: _columns(path) for name, path in paths.items()},
        "fast": None if fast is None else _columns(_cut(fast)),
        "fast_loss": None if fast is None else _heights(found, _cut(fast)),
        **_apart(found, paths, alpha, update.tau, variant == "every-step"),
        "rates": _rates(found, start, alpha, c, k if variant == "lookahead" else 1),
        "python": one_network_lines(found, start.tolist(), alpha, c, steps, variant, k, mu),
    }  # fmt: skip


def _surface_lines(found: Loss) -> str:
    grid = "x" if len(found.names) == 1 else "x, y"
    made = f"x = np.linspace({-REACH}, {REACH}, {241 if len(found.names) == 1 else 61})"
    rest = [] if len(found.names) == 1 else ["x, y = np.meshgrid(x, x)"]
    lines = ["import numpy as np", "", made, *rest, f"z = np.broadcast_to({found.value.python()}, x.shape)"]
    return "\n".join([*lines, f"# f({grid}) = {found.text}", 'numbers = {"z": z}'])


def _cut(path: Array) -> Array:
    """The path up to where it leaves every picture; nan from there on."""
    gone = ~(np.abs(path) < ESCAPED).all(axis=1)
    kept = path.copy()
    kept[np.logical_or.accumulate(gone)] = np.nan
    return kept


def _columns(path: Array) -> dict[str, Array]:
    return {name: path[:, i] for i, name in enumerate(("x", "y")[: path.shape[1]])}


def _heights(loss: Loss, path: Array) -> Any:
    """f along a path, shape (steps + 1,)."""
    return np.broadcast_to(loss.value(**_columns(path)), len(path)) + 0 * path[:, 0]


def _apart(loss: Loss, paths: Mapping[str, Array], alpha: float, tau: float, every_step: bool) -> dict[str, Any]:
    """How far the second path is from the third, and where paths escape; step by step where they are to be equal."""
    difference = np.abs(paths["soft"] - paths["smaller"])
    finite = difference[np.isfinite(difference)]
    return {
        "difference": finite.max() if finite.size else 0.0,
        "step_ulp": _step_ulp(loss, paths["smaller"], alpha, tau) if every_step else None,
        "escaped": {name: _escape(path) for name, path in paths.items()},
    }


def _step_ulp(loss: Loss, path: Array, alpha: float, tau: float) -> float:
    """The largest distance of x ← c·x + (1−c)·(x − α∇f) from x ← x − (1−c)·α∇f over the points x of a path.

    In units in the last place of the numbers that are added: rounding alone makes about 1.
    """
    x = path[np.isfinite(path).all(axis=1)]
    with np.errstate(all="ignore"):
        slope = loss.gradient(x)
        blended_once, descended = blend(x, x - alpha * slope, tau, where=np.where), x - tau * alpha * slope
        ulp = np.abs(blended_once - descended) / np.spacing(np.maximum(np.abs(x), np.abs(x - alpha * slope)))
    finite = ulp[np.isfinite(ulp)]
    return float(finite.max()) if finite.size else 0.0


def _escape(path: Array) -> int | None:
    """The first step at which a path has gone, if it has."""
    gone = np.flatnonzero(~np.isfinite(path).all(axis=1))
    return int(gone[0]) if len(gone) else None


def _rates(loss: Loss, start: Array, alpha: float, c: float, k: int) -> dict[str, Any]:
    """α′(b) of a blend every k steps over the curvature b; flat for k = 1, which makes it a learning rate."""
    here = loss.curvatures(start)
    top = float(np.clip(1.25 * np.nanmax(np.append(here, 1.6 / alpha)), 0.1, 1e4))
    b = np.linspace(top / 200, top, 80)
    return {
        "b": b, "alpha_prime": [theory.lookahead_alpha(alpha, c, k, float(value)) for value in b],
        "here_b": here,
        "here": [theory.lookahead_alpha(alpha, c, k, float(v)) if v > 0 else None for v in here],
        "limit": theory.lookahead_limit(c, k) / alpha,
    }  # fmt: skip


def _relation(alpha: float, c: float, small: float, variant: str, k: int) -> str:
    """The sentence beside the picture."""
    if variant == "lookahead" and k > 1:
        return f"Blending every {k} steps gives each curvature a rate of its own: no learning rate does the same."
    if variant == "nesterov":
        return "Nesterov's gradient is taken at x + μv, and blending changes where that is: the paths part."
    if alpha == 1:
        return f"At α = 1 the step is a unit step, and α′ = 1 − c = {small:.4g}."
    return f"α′ = (1 − c)·α = {1 - c:.4g} × {alpha:.4g} = {small:.4g}: the two paths are one."
