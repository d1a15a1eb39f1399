"""α and c after a change of batch size, of gradient steps per environment step, or of the number of environments."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from softstep.errors import ConfigError
from softstep.target import TargetUpdate

Change = Literal["batch", "update-ratio", "num-envs"]


class Rescaled(NamedTuple):
    """The settings that preserve the dynamics."""

    factor: float
    """k, the factor by which the data per gradient step grows."""
    learning_rate: float
    update: TargetUpdate
    exact: str
    """What is preserved exactly."""
    first_order: str
    """What is preserved only to first order in α."""


def rescale(learning_rate: float, update: TargetUpdate, change: Change, before: float, after: float) -> Rescaled:
    """Rescale α → kα and c → c^k, which preserves κ = (1−c)/α, and so the dynamics per sample, to first order.

    Source: the linear expected dynamics (docs/theory.md); Busbridge et al. 2023 for the model EMA.

    Args:
        learning_rate: α before the change.
        update: target update before the change.
        change: "batch" (transitions per minibatch; k = after/before), "update-ratio" (gradient steps per environment
            step; k = before/after) or "num-envs" (environments, with one gradient step per step of all of them;
            k = after/before).
        before: the quantity before the change, above 0.
        after: the quantity after the change, above 0.

    Raises:
        ConfigError: a number is not finite or not above 0.
    """
    for name, value in (("learning rate", learning_rate), (f"{change} before", before), (f"{change} after", after)):
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} = {value:g} must be a finite number above 0")
    k = before / after if change == "update-ratio" else after / before
    unit = "sample" if change == "batch" else "environment step"
    exact = f"how much the target forgets per {unit} (c^k); for hard copies, how often they come"
    if update.tau == 1 and update.period % k:
        exact = "nothing: the period is rounded to whole gradient steps"
    return Rescaled(
        k, k * learning_rate, update.scaled_batch(k), exact,
        f"κ = (1−c)/α and the dynamics per {unit}, for plain gradient steps (Adam's noise scales differently)",
    )  # fmt: skip
