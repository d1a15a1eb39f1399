"""Room 1: one network blended with itself is gradient descent at α′ = (1−c)·α, and two variants in which it is not.

every-step   x ← c·x + (1−c)·(x − α∇f(x)),  the lecture's soft update: exactly descent at (1−c)·α
lookahead    k steps at α, then one blend and a reset: α′ depends on the curvature (Zhang et al. 2019)
nesterov     v ← μv − α∇f(x + μv), x ← c·x + (1−c)·(x + v): the gradient is taken elsewhere, so the paths differ
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from softstep import theory
from softstep.explorer.rooms import formula
from softstep.explorer.rooms.expression import evaluator
from softstep.explorer.rooms.parameters import BadParameter, Choice, Number, Spec, Text, Whole
from softstep.explorer.rooms.snippets import one_network_lines
from softstep.target import TargetUpdate, blend
from softstep.theory.checks import Array

REACH = 3.0
"""The figure shows x and y from −REACH to REACH."""
ESCAPED = 1e6
"""A path is cut at the first step at which a coordinate reaches this size."""

FORMULAS: Mapping[tuple[str, int], str] = {
    ("bowl", 1): "x^2/2",
    ("valley", 1): "sqrt(x^2 + 0.05)",
    ("double-well", 1): "(x^2 - 3)^2/12",
    ("bowl", 2): "(x^2 + y^2)/2",
    ("valley", 2): "x^2/20 + y^2",
    ("double-well", 2): "(x^2 - 3)^2/12 + y^2/2",
}
"""The named losses, by name and number of dimensions."""

Gradient = Callable[[Array], Array]
"""From points to ∇f, both of shape (..., dimensions)."""

LOSS: Mapping[str, Spec] = {
    "loss": Choice("the loss to descend", "bowl", ("bowl", "valley", "double-well", "own")),
    "dimensions": Whole("1 draws a curve, 2 a landscape", 1, 1, 2),
    "formula": Text("a loss of one's own in x (and y), used where loss is own", "x^2/2 + 0.3*sin(3x)", formula.LONGEST),
}
PATHS: Mapping[str, Spec] = {
    **LOSS,
    "alpha": Number("α, the size of a gradient step", 0.5, 1e-4, 10.0),
    "c": Number("c, the share of the old parameters that is kept", 0.8, 0.0, 0.9999),
    "x": Number("where the paths start", -2.4, -REACH, REACH),
    "y": Number("where the paths start, in two dimensions", 1.8, -REACH, REACH),
    "steps": Whole("gradient steps", 40, 1, 200),
    "variant": Choice("how the soft update is made", "every-step", ("every-step", "lookahead", "nesterov")),
    "k": Whole("steps from one blend to the next, for lookahead", 5, 1, 20),
    "mu": Number("μ, the momentum, for nesterov", 0.8, 0.0, 0.99),
}


class Loss:
    """A loss with its gradient and its curvatures."""

    def __init__(self, name: str, dimensions: int, text: str) -> None:
        self.text = text if name == "own" else FORMULAS[name, dimensions]
        self.names = ("x", "y")[:dimensions]
        try:
            self.value = formula.parse(self.text, self.names)
            self.slopes = tuple(self.value.derivative(name) for name in self.names)
            second = tuple(slope.derivative(name) for slope in self.slopes for name in self.names)
        except formula.FormulaError as error:
            raise BadParameter("formula", str(error)) from None
        self._gradient, self._hessian = evaluator(*self.slopes), evaluator(*second)

    def gradient(self, x: Array) -> Array:
        """Return ∇f at the points x, shape (..., dimensions)."""
        coordinates = {name: x[..., i] for i, name in enumerate(self.names)}
        slopes = np.broadcast_arrays(*self._gradient(**coordinates), x[..., 0])[:-1]
        return np.stack(slopes, -1)

    def curvatures(self, x: Array) -> Array:
        """Return the eigenvalues of the Hessian at x in ascending order; nan outside the formula's domain."""
        n = len(self.names)
        hessian = np.array(self._hessian(**dict(zip(self.names, x, strict=True))), float).reshape(n, n)
        return np.linalg.eigvalsh(hessian) if np.isfinite(hessian).all() else np.full(n, np.nan)


@lru_cache(maxsize=64)
def _loss(name: str, dimensions: int, text: str) -> Loss:
    """Return the loss, parsed once; `text` matters only if the name is "own"."""
    return Loss(name, dimensions, text if name == "own" else "")


# ---- the variants of descent ----


def soft_update_paths(
    gradient: Gradient, start: Array, rates: Sequence[float], taus: Sequence[float], steps: int, mu: float = 0.0
) -> Array:
    """Iterate v ← μv − α∇f(x + μv), x ← c·x + (1−c)·(x + v) for several pairs of α and τ = 1 − c at once.

    With μ = 0 this is the lecture's soft update of one network; with τ = 1 it is gradient descent, or Nesterov's.

    Args:
        gradient: ∇f.
        start: Start of all paths, shape (dimensions,).
        rates: α of each path.
        taus: τ = 1 − c of each path.
        steps: Gradient steps.
        mu: μ, the momentum.

    Returns:
        The paths, shape (steps + 1, pairs, dimensions).
    """
    alpha, tau = np.array(rates)[:, None], np.array(taus)[:, None]
    path = [np.tile(start, (len(rates), 1))]
    v = np.zeros_like(path[0])
    for _ in range(steps):
        x = path[-1]
        v = mu * v - alpha * gradient(x + mu * v)
        path.append(blend(x, x + v, tau, where=np.where))
    return np.array(path)


def lookahead_paths(
    gradient: Gradient, start: Array, alpha: float, update: TargetUpdate, steps: int
) -> tuple[Array, Array]:
    """Iterate k = `update.period` fast steps at α, then slow ← c·slow + (1−c)·fast and fast ← slow.

    Args:
        gradient: ∇f.
        start: Start of both paths, shape (dimensions,).
        alpha: α of the fast steps.
        update: The blend's τ = 1 − c and its period k.
        steps: Fast steps.

    Returns:
        The fast path and the slow path, each of shape (steps + 1, dimensions).
    """
    fast, slow = [start], [start]
    for t in range(1, steps + 1):
        x = fast[-1] - alpha * gradient(fast[-1])
        fires = t % update.period == 0
        slow.append(blend(slow[-1], x, update.tau, where=np.where) if fires else slow[-1])
        fast.append(slow[-1] if fires else x)
    return np.array(fast), np.array(slow)


# ---- the endpoints ----


def landscape(loss: str, dimensions: int, formula: str) -> dict[str, Any]:
    """Return the loss over the plotted range: values on a line, or on a grid with one row per y."""
    f = _loss(loss, dimensions, formula)
    x = np.linspace(-REACH, REACH, 241 if dimensions == 1 else 61)
    values = f.value(x=x) if dimensions == 1 else f.value(x=x[None, :], y=x[:, None])
    z = np.broadcast_to(values, (len(x),) * dimensions)
    return {"formula": f.text, "x": x, "y": x if dimensions == 2 else None, "z": z, "python": _landscape_lines(f)}


def descent_paths(
    loss: str, dimensions: int, formula: str, alpha: float, c: float, x: float, y: float, steps: int,
    variant: str, k: int, mu: float,
) -> dict[str, Any]:  # fmt: skip
    """Compute descent at α, the soft update and descent at (1−c)·α, and compare the last two.

    Args:
        loss: Name of the loss, or "own".
        dimensions: 1 or 2.
        formula: The loss if `loss` is "own".
        alpha: α, the size of a gradient step.
        c: Weight of the old parameters.
        x: Start of the paths.
        y: Start of the paths in the second dimension.
        steps: Gradient steps.
        variant: "every-step", "lookahead" or "nesterov".
        k: Steps between blends, for lookahead.
        mu: Momentum, for nesterov.

    Returns:
        The paths with the loss along them, how far the last two differ, and α′ over the curvature.
    """
    f, start = _loss(loss, dimensions, formula), np.array([x, y][:dimensions])
    update, small = TargetUpdate.from_c(c), theory.blended_alpha(alpha, c)
    fast = None
    with np.errstate(all="ignore"):
        pairs = (alpha, alpha, small), (1.0, update.tau, 1.0)
        stacked = soft_update_paths(f.gradient, start, *pairs, steps, mu if variant == "nesterov" else 0.0)
        if variant == "lookahead":
            fast, stacked[:, 1] = lookahead_paths(f.gradient, start, alpha, TargetUpdate(update.tau, k), steps)
    paths = {name: _cut(stacked[:, i]) for i, name in enumerate(("descent", "soft", "smaller"))}
    return {
        "formula": f.text, "alpha_prime": small, "relation": _relation(alpha, c, small, variant, k, mu),
        "start": start, "loss": {name: _losses(f, path) for name, path in paths.items()},
        **{name: _coordinates(path) for name, path in paths.items()},
        "fast": None if fast is None else _coordinates(_cut(fast)),
        "fast_loss": None if fast is None else _losses(f, _cut(fast)),
        **_comparison(f, paths, alpha, update.tau, variant == "every-step"),
        "rates": _rates(f, start, alpha, c, k if variant == "lookahead" else 1),
        "python": one_network_lines(f, start.tolist(), alpha, c, steps, variant, k, mu),
    }  # fmt: skip


def _landscape_lines(f: Loss) -> str:
    """Return the Python snippet of the landscape."""
    one_dimension = len(f.names) == 1
    axis = f"x = np.linspace({-REACH}, {REACH}, {241 if one_dimension else 61})"
    grid = [] if one_dimension else ["x, y = np.meshgrid(x, x)"]
    lines = ["import numpy as np", "", axis, *grid, f"z = np.broadcast_to({f.value.python()}, x.shape)"]
    return "\n".join([*lines, f"# f({', '.join(f.names)}) = {f.text}", 'numbers = {"z": z}'])


def _cut(path: Array) -> Array:
    """Return the path with nan from the first step at which a coordinate reaches `ESCAPED`."""
    escaped = ~(np.abs(path) < ESCAPED).all(axis=1)
    kept = path.copy()
    kept[np.logical_or.accumulate(escaped)] = np.nan
    return kept


def _coordinates(path: Array) -> dict[str, Array]:
    """Return the path's coordinates by name."""
    return {name: path[:, i] for i, name in enumerate(("x", "y")[: path.shape[1]])}


def _losses(f: Loss, path: Array) -> Any:
    """Return f along a path, shape (steps + 1,); nan where the path has escaped."""
    return np.broadcast_to(f.value(**_coordinates(path)), len(path)) + 0 * path[:, 0]


def _comparison(f: Loss, paths: Mapping[str, Array], alpha: float, tau: float, every_step: bool) -> dict[str, Any]:
    """Compare the soft update with descent at (1−c)·α.

    Args:
        f: The loss.
        paths: The paths by name.
        alpha: α, the size of a gradient step.
        tau: τ = 1 − c.
        every_step: Whether the two should be equal, so that single steps are compared too.

    Returns:
        Their largest distance, the largest difference of a single step in ulp, and the step at which each path escapes.
    """
    difference = np.abs(paths["soft"] - paths["smaller"])
    finite = difference[np.isfinite(difference)]
    return {
        "difference": finite.max() if finite.size else 0.0,
        "step_ulp": _step_ulp(f, paths["smaller"], alpha, tau) if every_step else None,
        "escaped": {name: _escape_step(path) for name, path in paths.items()},
    }


def _step_ulp(f: Loss, path: Array, alpha: float, tau: float) -> float:
    """Return the largest difference between x ← c·x + (1−c)·(x − α∇f) and x ← x − (1−c)·α∇f.

    Args:
        f: The loss.
        path: The points x, shape (points, dimensions).
        alpha: α, the size of a gradient step.
        tau: τ = 1 − c.

    Returns:
        The difference in units in the last place of the numbers that are added; rounding alone gives about 1.
    """
    x = path[np.isfinite(path).all(axis=1)]
    with np.errstate(all="ignore"):
        slope = f.gradient(x)
        blended, descended = blend(x, x - alpha * slope, tau, where=np.where), x - tau * alpha * slope
        ulp = np.abs(blended - descended) / np.spacing(np.maximum(np.abs(x), np.abs(x - alpha * slope)))
    finite = ulp[np.isfinite(ulp)]
    return float(finite.max()) if finite.size else 0.0


def _escape_step(path: Array) -> int | None:
    """Return the first step at which a path has escaped, or None."""
    escaped = np.flatnonzero(~np.isfinite(path).all(axis=1))
    return int(escaped[0]) if len(escaped) else None


def _rates(f: Loss, start: Array, alpha: float, c: float, k: int) -> dict[str, Any]:
    """Return α′(b) of a blend every k steps over the curvature b; for k = 1 it is constant: a learning rate.

    Args:
        f: The loss.
        start: Point whose curvatures are marked, shape (dimensions,).
        alpha: α, the size of a gradient step.
        c: Weight of the old parameters.
        k: Steps between blends.

    Returns:
        b and α′(b), the curvatures at `start` with their α′, and the largest b at which the blend contracts.
    """
    curvatures = f.curvatures(start)
    top = float(np.clip(1.25 * np.nanmax(np.append(curvatures, 1.6 / alpha)), 0.1, 1e4))
    b = np.linspace(top / 200, top, 80)
    return {
        "b": b, "alpha_prime": [theory.lookahead_alpha(alpha, c, k, float(value)) for value in b],
        "here_b": curvatures,
        "here": [theory.lookahead_alpha(alpha, c, k, float(v)) if v > 0 else None for v in curvatures],
        "limit": theory.lookahead_limit(c, k) / alpha,
    }  # fmt: skip


def _relation(alpha: float, c: float, small: float, variant: str, k: int, mu: float) -> str:
    """Return the sentence above the figure.

    Args:
        alpha: α, the size of a gradient step.
        c: Weight of the old parameters.
        small: (1−c)·α.
        variant: "every-step", "lookahead" or "nesterov".
        k: Steps between blends, for lookahead.
        mu: Momentum, for nesterov.

    Returns:
        How the soft update relates to descent at (1−c)·α.
    """
    if variant == "lookahead" and k > 1:
        return f"Blending every {k} steps gives each curvature its own rate: no single learning rate does the same."
    if variant == "nesterov" and mu > 0:
        return "Nesterov's gradient is taken at x + μv. Blending moves that point, so the two paths separate."
    if alpha == 1:
        return f"With α = 1, α′ = 1 − c = {small:.4g}: the soft update and gradient descent at α′ take the same path."
    product = f"α′ = (1 − c)·α = {1 - c:.4g} × {alpha:.4g} = {small:.4g}"
    return f"{product}: the soft update and gradient descent at α′ take the same path."
