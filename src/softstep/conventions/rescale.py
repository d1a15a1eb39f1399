"""α and c after a change of batch size, of gradient steps per environment step, or of the number of environments."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from softstep.errors import ConfigError
from softstep.target import TargetUpdate

Change = Literal["batch", "update-ratio", "num-envs"]


class Rescaled(NamedTuple):
    """What keeps the dynamics."""

    factor: float
    """k: how much more data a gradient step stands for."""
    learning_rate: float
    update: TargetUpdate
    exact: str
    """What is exact about it."""
    first_order: str
    """What holds to first order in α alone."""


def rescale(learning_rate: float, update: TargetUpdate, change: Change, before: float, after: float) -> Rescaled:
    """α → kα and c → c^k, which keep κ = (1−c)/α to first order, and with it the dynamics per sample.

    change: batch (transitions per minibatch; k = after/before), update-ratio (gradient steps per environment step;
    k = before/after) or num-envs (environments with one gradient step per step of all of them; k = after/before).
    Errors: ConfigError where a number is not finite and above 0.
    Source: the linear expected dynamics (docs/theory.md); Busbridge et al. 2023 for the model EMA.
    """
    for name, value in (("learning rate", learning_rate), (f"{change} before", before), (f"{change} after", after)):
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} = {value:g} must be a finite number above 0")
    k = before / after if change == "update-ratio" else after / before
    unit = "sample" if change == "batch" else "environment step"
    exact = f"the target forgets as much per {unit} (c^k); for a hard copy: it comes as often"
    if update.tau == 1 and update.period % k:
        exact = "nothing: the period is rounded to whole gradient steps"
    return Rescaled(
        k, k * learning_rate, update.scaled_batch(k), exact,
        f"κ = (1−c)/α, and how the pair moves per {unit}, for plain gradient steps (Adam's noise scales otherwise)",
    )  # fmt: skip
