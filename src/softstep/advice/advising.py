"""`advise`: numbers of a run in, the whole answer out."""

from __future__ import annotations

from collections.abc import Sequence

from softstep.advice import atlas, regret
from softstep.advice.answer import Advice
from softstep.advice.atlas import Table
from softstep.advice.window import window
from softstep.target import TargetUpdate


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
    drawn = regret.how_drawn_pairs_fared(tables)
    if env is not None:
        name = atlas.environment_named(env, tables)
        nearest = [neighbour for neighbour in nearest if neighbour.table.environment == name]
        drawn = [pairs for pairs in drawn if pairs.environment == name]
    return Advice(
        gamma, updates, learning_rate, optimizer, tau, own, tuple(nearest),
        fared=tuple(regret.how_it_fared(tables)), drawn=tuple(drawn), placings=tuple(regret.placings(tables)),
        algorithms=tuple(sorted({table.algorithm for table in atlas.maps(tables).values()})),
    )  # fmt: skip
