"""Optimizers for which one network blended with itself, x ← c·x + (1−c)·x_new, is the same optimizer at (1−c)·α.

They are exactly those whose update U(x, state; α) is homogeneous in α along the trajectory of the state,
U(·; kα) = k·U(·; α), with a state that does not depend on the rate. `softstep.equivalence.check` tests the claim on any
optax optimizer.
"""

from __future__ import annotations

import difflib
from typing import Literal, NamedTuple

EquivalenceKind = Literal["exact", "exact for constant c", "needs another rescale", "never"]
"""Whether, and under which condition, blending one network is the same optimizer at (1−c)·α."""


class Equivalence(NamedTuple):
    """The kind of equivalence for one optimizer, and the reason."""

    name: str
    verdict: EquivalenceKind
    rescale: str | None  # what else must be scaled, for "needs another rescale"
    reason: str


_RATE_OUTSIDE_BUFFER = "the buffer holds gradients, not steps, so the rate multiplies the finished update"
_KNOWN: tuple[Equivalence, ...] = (
    Equivalence("sgd", "exact", None, "the update is alpha times the gradient"),
    Equivalence(
        "heavy_ball", "exact", None, f"PyTorch's convention, v = mu*v + g, x - alpha*v: {_RATE_OUTSIDE_BUFFER}"
    ),
    Equivalence("nesterov", "exact", None, f"PyTorch's convention, x - alpha*(g + mu*v): {_RATE_OUTSIDE_BUFFER}"),
    Equivalence("adam", "exact", None, "alpha scaled, bias correction and epsilon unchanged"),
    Equivalence("amsgrad", "exact", None, "alpha scaled, bias correction, running maximum and epsilon unchanged"),
    Equivalence("rmsprop", "exact", None, "alpha scaled, running square and epsilon unchanged"),
    Equivalence("adagrad", "exact", None, "alpha scaled, sum of squares and epsilon unchanged"),
    Equivalence("lion", "exact", None, "alpha scales a sign; a decay multiplied by alpha scales with it"),
    Equivalence("lars", "exact", None,
        "alpha scales the update after trust ratio and momentum; optax puts it before its momentum: constant c only"),
    Equivalence("gradient_clipping", "exact", None, "gradients are clipped before the rate enters, by value or norm"),
    Equivalence(
        "adamw", "exact", None, "alpha scaled, bias correction and epsilon unchanged, decay multiplied by alpha"
    ),
    Equivalence(
        "keras_momentum", "exact for constant c", None,
        "v = mu*v - alpha*g: the rate is inside the buffer, so old steps keep the c they were made with;"
        " starts from velocity 0",
    ),
    Equivalence(
        "rmsprop_momentum", "exact for constant c", None,
        "the momentum buffer holds steps that include the rate; starts from velocity 0",
    ),
    Equivalence(
        "heavy_ball_displacement", "needs another rescale", "mu -> (1-c)*mu",
        "x - alpha*g + mu*(x - x_before): the displacement has already been blended, its momentum coefficient has not",
    ),
    Equivalence(
        "adamw_independent", "needs another rescale", "weight_decay -> (1-c)*weight_decay",
        "the decay is not multiplied by alpha, so lowering alpha does not lower it",
    ),
    Equivalence(
        "update_clipping", "needs another rescale", "rho -> (1-c)*rho",
        "the finished update is clipped to rho: (1-c)*clip(u, rho) = clip((1-c)*u, (1-c)*rho)",
    ),
    Equivalence(
        "nesterov_ahead", "never", None,
        "the gradient is taken at x + mu*v, a point at which the blended network does not take gradients",
    ),
    Equivalence("projected", "never", None, "an active projection does not commute with a shorter step"),
    Equivalence("proximal", "never", None, "the proximal map shrinks by an amount that is not linear in alpha"),
    Equivalence("line_search", "never", None, "the search sets the step length, whatever alpha is"),
)  # fmt: skip
_ALIASES = {
    "momentum": "heavy_ball", "sgd_momentum": "heavy_ball", "clipping": "gradient_clipping",
    "sutskever_momentum": "keras_momentum", "projection": "projected", "adamw_pytorch": "adamw",
    "lbfgs_line_search": "line_search", "nesterov_at_x_plus_mu_v": "nesterov_ahead",
}  # fmt: skip

NAMES: tuple[str, ...] = tuple(entry.name for entry in _KNOWN)
"""Every optimizer in the table."""


def equivalence(name: str) -> Equivalence:
    """Return whether blending one network trained by the optimizer `name` equals that optimizer at (1−c)·α, and why.

    Case, spaces and hyphens do not matter. Raises ValueError, with the nearest names, if the name is unknown.
    """
    key = name.strip().lower().replace(" ", "_").replace("-", "_")
    key = _ALIASES.get(key, key)
    for entry in _KNOWN:
        if entry.name == key:
            return entry
    close = difflib.get_close_matches(key, NAMES + tuple(_ALIASES), n=3, cutoff=0.5) or NAMES
    raise ValueError(f"optimizer {name!r} is unknown: try {', '.join(close)}, or softstep.equivalence.check")
