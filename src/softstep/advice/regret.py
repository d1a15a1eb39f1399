"""What advice of this kind would have cost in the measured environments, each judged by what the others taught.

Regret is measured within one environment and one α: the best mean return over τ minus the mean return at the advised τ,
on a scale on which nothing learned is 0 and solved is 500 points. Between measured τ the return is interpolated in
log τ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from softstep.advice import speed
from softstep.advice.atlas import Cell, Table, candidates, maps
from softstep.advice.window import LARGEST_TAU, Place, Window, window

SPAN = 500.0
"""Points from nothing learned to solved."""
LEARNS = SPAN / 2
"""An α counts if its best τ reaches this many points; at the others every τ fails, and there is nothing to regret."""
CONSTANTS = (0.001, 0.005, 0.03)
"""Values of τ that people use everywhere."""

Chooser = Callable[[Table, float, Window], float]
"""Chooses τ, from a table's length and γ, α, and the window that the other environments give."""


class Fared(NamedTuple):
    """How one rule fared."""

    rule: str
    regret: Mapping[str, float]
    """Mean regret over the values of α, by environment (points)."""

    @property
    def mean(self) -> float:
        """Mean over the environments."""
        return float(np.mean([*self.regret.values()]))


class Placing(NamedTuple):
    """Where the best measured τ of an environment's values of α lay, seen from the window."""

    environment: str
    below: int
    inside: int
    above: int

    @property
    def rows(self) -> int:
        """Number of values of α."""
        return self.below + self.inside + self.above

    @property
    def is_exception(self) -> bool:
        """Whether most of them lay below the window."""
        return 2 * self.below > self.rows


class Drawn(NamedTuple):
    """How pairs (α, τ) that were drawn at random fared, by where each τ lay in the window of its α."""

    environment: str
    algorithm: str
    seeds: int
    """Seeds of each pair."""
    points: Mapping[Place, tuple[float, ...]]
    """Points of each pair, the best first; places without a pair are left out."""


def points(table: Table, mean_return: float) -> float:
    """Return a mean return in points: 0 at `lowest_return` or below, 500 at `highest_return` or above."""
    share = (mean_return - table.lowest_return) / (table.highest_return - table.lowest_return)
    return SPAN * min(1.0, max(0.0, share))


def points_at(table: Table, row: Sequence[Cell], tau: float) -> float:
    """Return the points at τ, interpolated in log τ within a row of one α; beyond its ends, those of the end."""
    logs = [math.log(cell.tau) for cell in row]
    return float(np.interp(math.log(tau), logs, [points(table, cell.mean) for cell in row]))


def regret(table: Table, row: Sequence[Cell], tau: float) -> float:
    """Return the points that τ loses against the best measured τ of the row."""
    return max(points(table, cell.mean) for cell in row) - points_at(table, row, tau)


def middle(own: Window) -> float:
    """Return √(low·high), the middle of a window on a logarithmic scale, at most `LARGEST_TAU`."""
    return min(LARGEST_TAU, math.sqrt(own.low * own.high))


def square_root_rule(table: Table, learning_rate: float, own: Window) -> float:
    """Return min(.3, 60/(√α·G))."""
    return min(LARGEST_TAU, 60 / (math.sqrt(learning_rate) * table.updates))


RULES: Mapping[str, Chooser] = {
    "the window's middle": lambda table, learning_rate, own: middle(own),
    "the window's lower end": lambda table, learning_rate, own: min(LARGEST_TAU, own.low),
    "the window's upper end": lambda table, learning_rate, own: own.high,
    **{f"τ = {tau:g} always": lambda table, learning_rate, own, tau=tau: tau for tau in CONSTANTS},  # type: ignore[misc]
    "τ = 60/(√α·G)": square_root_rule,
}


def rows_that_learn(table: Table) -> dict[float, list[Cell]]:
    """Return the rows whose best τ reaches `LEARNS` points, by α."""
    return {
        alpha: row for alpha, row in table.rows().items() if max(points(table, cell.mean) for cell in row) >= LEARNS
    }


def held_out_windows(tables: Sequence[Table]) -> dict[str, dict[float, Window]]:
    """Return the window of every environment and α that the maps of the other environments give.

    Args:
        tables: tables of at least two environments with maps; comparisons are not used.

    Returns:
        The windows by environment and α, for the rows that learn. Only the speed of y is learned from the others; the
        lower end has nothing to learn.
    """
    by_environment = maps(tables)
    windows: dict[str, dict[float, Window]] = {}
    for name, table in by_environment.items():
        law = speed.fit([other for other in by_environment.values() if other is not table])
        windows[name] = {
            alpha: window(table.gamma, table.updates, alpha, table.optimizer, law=law)
            for alpha in rows_that_learn(table)
        }
    return windows


def how_it_fared(tables: Sequence[Table]) -> list[Fared]:
    """Return the mean regret of every rule in every environment, with windows that did not see that environment."""
    by_environment, windows = maps(tables), held_out_windows(tables)
    return [
        Fared(rule, {name: _mean_regret(by_environment[name], windows[name], choose) for name in windows})
        for rule, choose in RULES.items()
    ]


def placings(tables: Sequence[Table]) -> list[Placing]:
    """Return for every environment where the best measured τ lay, seen from the window that the others give."""
    by_environment, result = maps(tables), []
    for name, windows in held_out_windows(tables).items():
        rows = rows_that_learn(by_environment[name])
        best = {alpha: max(rows[alpha], key=lambda cell: cell.mean).tau for alpha in windows}
        below = sum(best[alpha] < own.low for alpha, own in windows.items())
        above = sum(best[alpha] > own.high for alpha, own in windows.items())
        result.append(Placing(name, below, len(best) - below - above, above))
    return result


def how_drawn_pairs_fared(tables: Sequence[Table]) -> list[Drawn]:
    """Return for every table of candidates how its pairs fared, by their places in windows that did not see them.

    The speed of y is learned from the maps of other environments, as in `held_out_windows`.
    """
    by_environment, result = maps(tables), []
    for name, table in candidates(tables).items():
        law = speed.fit([other for environment, other in by_environment.items() if environment != name])
        places: dict[Place, list[float]] = {place: [] for place in Place}
        for cell in table.cells:
            own = window(table.gamma, table.updates, cell.learning_rate, table.optimizer, law=law)
            places[own.place(cell.tau)].append(points(table, cell.mean))
        kept = {place: tuple(sorted(values, reverse=True)) for place, values in places.items() if values}
        result.append(Drawn(name, table.algorithm, max(cell.seeds for cell in table.cells), kept))
    return result


def _mean_regret(table: Table, windows: Mapping[float, Window], choose: Chooser) -> float:
    rows = rows_that_learn(table)
    return float(np.mean([regret(table, rows[alpha], choose(table, alpha, own)) for alpha, own in windows.items()]))
