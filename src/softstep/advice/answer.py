"""The whole answer to *which τ?*: the window, where a τ lies in it, what was measured, and how such advice fared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from softstep.advice import atlas, regret, words
from softstep.advice.atlas import Neighbour, Table
from softstep.advice.regret import Fared, Placing
from softstep.advice.window import Place, Window, window
from softstep.target import TargetUpdate


@dataclass(frozen=True)
class Advice:
    """The answer; `str` gives it in words."""

    gamma: float
    updates: float
    """G, gradient steps of the run."""
    learning_rate: float
    optimizer: str
    tau: float | None
    """The τ that was asked about, if any."""
    window: Window
    nearest: tuple[Neighbour, ...]
    """The nearest measurements, one per environment, nearest first."""
    fared: tuple[Fared, ...]
    """How rules like this one fared, by rule."""
    algorithms: tuple[str, ...]
    """The algorithms that were measured."""
    placings: tuple[Placing, ...]
    """Where the best measured τ lay, by environment."""

    @property
    def place(self) -> Place | None:
        """Where `tau` lies, if it was asked about."""
        return None if self.tau is None else self.window.place(self.tau)

    def __str__(self) -> str:
        return words.answer(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain values, for JSON."""
        own = self.window
        return {
            "kind": "advice", "gamma": self.gamma, "updates": self.updates, "learning_rate": self.learning_rate,
            "optimizer": self.optimizer, "period": own.period, "exists": own.exists, "low": own.low, "high": own.high,
            "certainly_slow": own.certainly_slow, "low_per_update": own.per_update[0],
            "high_per_update": own.per_update[1], "tau": self.tau,
            "place": None if self.place is None else self.place.value,
            "reasons": [reason._asdict() for reason in own.reasons],
            "warnings": [*own.warnings, *words.exceptions(self.placings), *words.scope(self.algorithms)],
            "nearest": [
                neighbour.table._asdict()
                | {"learning_rate": neighbour.learning_rate, "distance": neighbour.distance, "near": neighbour.is_near}
                | {"cells": [cell._asdict() for cell in neighbour.cells]}
                for neighbour in self.nearest
            ],
            "environments": len(self.placings),
            "regret": [{"rule": fared.rule, **fared.regret, "mean": fared.mean} for fared in self.fared],
            "best_measured": [placing._asdict() for placing in self.placings],
        }  # fmt: skip


def advise(
    *,
    gamma: float,
    learning_rate: float,
    updates: float,
    optimizer: str = "adam",
    env: str | None = None,
    tau: float | None = None,
    period: float = 1,
    tables: Sequence[Table] | None = None,
) -> Advice:
    """Return a window of τ with its reasons, the nearest measurements, and how such advice fared where it was measured.

    Args:
        gamma: γ, the discount per environment step, in [0, 1).
        learning_rate: α, of the critics in actor-critic methods, above 0.
        updates: G, gradient steps of the whole run, at least 1.
        optimizer: name of the optimizer, such as adam, rmsprop or sgd.
        env: a measured environment, to see only its measurements; None shows the nearest ones of every environment.
        tau: τ to place in the window, in (0, 1].
        period: gradient steps between two target updates, at least 1.
        tables: measurements; None takes the shipped ones, of which a map of at least two environments is needed.

    Raises:
        ConfigError: a number is out of range, the optimizer is unknown, or `env` was not measured.
    """
    tables = atlas.load() if tables is None else tables
    if tau is not None:
        tau = TargetUpdate(tau).tau
    own = window(gamma, updates, learning_rate, optimizer, period)
    nearest = atlas.neighbours(gamma, updates, learning_rate, optimizer, tables)
    if env is not None:
        name = atlas.environment_named(env, tables)
        nearest = [neighbour for neighbour in nearest if neighbour.table.environment == name]
    placings = tuple(regret.placings(tables))
    fared, algorithms = tuple(regret.how_it_fared(tables)), tuple(sorted({table.algorithm for table in tables}))
    return Advice(gamma, updates, learning_rate, optimizer, tau, own, tuple(nearest), fared, algorithms, placings)
