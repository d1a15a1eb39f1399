"""The line that `train` prints if its own τ lies outside the window of `softstep advise`."""

from __future__ import annotations

from typing import Any, NamedTuple

from softstep.advice import atlas, regret
from softstep.advice.window import OPTIMIZERS, Place, two_digits, window
from softstep.config import Config


class Outside(NamedTuple):
    """A target update outside its window."""

    line: str
    event: dict[str, Any]
    """The same as an event for --json."""


def outside_window(config: Config) -> Outside | None:
    """Return what to say of a run whose τ lies outside its window, or None.

    Nothing is said of several arms, which differ on purpose, of a harmonic target, which has no one τ, nor where no
    window can be computed: γ = 1, an optimizer that the advice does not know, or no gradient step at all.
    """
    updates = int((config.total_steps - config.learning_starts) / config.env_steps_per_gradient_step)
    if config.arms or config.target.schedule == "harmonic":
        return None
    if updates < 1 or config.gamma == 1 or config.optimizer not in OPTIMIZERS:
        return None
    target = config.target
    own = window(config.gamma, updates, config.learning_rate, config.optimizer, target.period)
    place = own.place(target.tau)
    if place is Place.INSIDE:
        return None
    command = (
        f"softstep advise --gamma {config.gamma:g} --learning-rate {config.learning_rate:g} --updates {updates}"
        f" --optimizer {config.optimizer} --period {target.period} --tau {target.tau:g}"
    )
    tables, env = atlas.load(), config.env.rpartition(":")[2]
    if env in atlas.environments(tables):
        command += f" --env {env}"
    low, high = map(two_digits, own.per_update)
    limits = f"advised: {low} to {high}" if own.exists else "no τ is advised for so short a run"
    line = f"τ = {target.tau:g} is {place.value} ({limits})"
    slow = place in (Place.CERTAINLY_SLOW, Place.PROBABLY_SLOW)
    if slow and any(found.environment == env and found.is_exception for found in regret.placings(tables)):
        line += f", though slower targets did best on {env}"
    event = {
        "kind": "advice", "tau": target.tau, "period": target.period, "place": place.value, "exists": own.exists,
        "low": own.per_update[0], "high": own.per_update[1], "command": command,
    }  # fmt: skip
    return Outside(f"{line}: {command}", event)
