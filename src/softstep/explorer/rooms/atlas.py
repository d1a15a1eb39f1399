"""Room 5: what agents measured over (α, c), and what of it lies nearest to one pair.

The numbers are those that `softstep advise` quotes (`advice.atlas`): an environment that has a map there has one here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from msgspec import Meta

from softstep.advice import advise
from softstep.advice.atlas import Cell, Table, load, maps
from softstep.advice.window import window
from softstep.explorer.rooms import atlas_words
from softstep.explorer.rooms.parameters import OldWeight, Parameters
from softstep.explorer.rooms.snippets import measured_map_lines, measured_point_lines
from softstep.stats import welch_interval
from softstep.target import TargetUpdate

TABLES = load()
MAPS = maps(TABLES)
"""The map of every environment that has one."""
STRIP_START = 1.25
"""Where the row without a target network begins on the axis of 1 − c, above the last target (1 − c < 1)."""
WINDOW_POINTS = 61
"""Values of α at which the window's ends are drawn."""

Environment = Annotated[Literal[tuple(MAPS)], Meta(description="an environment whose map was measured")]


class EnvironmentParameters(Parameters, frozen=True):
    """The parameters of `atlas-map`."""

    env: Environment = next(iter(MAPS))


class PairParameters(EnvironmentParameters, frozen=True):
    """The parameters of `atlas-point`."""

    alpha: Annotated[float, Meta(ge=1e-8, le=1.0, description="α, the learning rate")] = 1e-3
    c: OldWeight = 0.99


class Grid(NamedTuple):
    """A map's values of α and τ, with its cells at their places."""

    alpha: list[float]
    tau: list[float]
    rows: list[list[Cell | None]]
    """One row per τ, one cell per α; None where nothing was measured."""


def grid_of(table: Table) -> Grid:
    """Return a table's cells as a grid, both axes ascending."""
    cells = {(cell.learning_rate, cell.tau): cell for cell in table.cells}
    alpha, tau = (sorted({pair[axis] for pair in cells}) for axis in range(2))
    return Grid(alpha, tau, [[cells.get((a, t)) for a in alpha] for t in tau])


# ---- all maps ----


def environments() -> dict[str, Any]:
    """Return the environments that have a map, and the ranges of α and c that the maps cover."""
    cells = [cell for table in MAPS.values() for cell in table.cells]
    alphas, taus = [cell.learning_rate for cell in cells], [cell.tau for cell in cells]
    return {"environments": list(MAPS), "alpha": [min(alphas), max(alphas)], "c": [0.0, c_of(min(taus))]}


def c_of(tau: float) -> float:
    """Return 1 − τ without the digits that only rounding puts there."""
    return round(1 - tau, 12)


# ---- one map ----


def measured_map(env: str) -> dict[str, Any]:
    """Return the map of an environment: see `map_of`."""
    arms = [table for table in TABLES if table.environment == env and table.kind == "comparison"]
    return map_of(MAPS[env], arms)


def map_of(table: Table, arms: Sequence[Table] = ()) -> dict[str, Any]:
    """Return a map's means, standard deviations and seeds over τ (rows) and α (columns), and how to draw them.

    Args:
        table: The map.
        arms: Comparisons in the same environment, with other settings and more seeds.

    Returns:
        The map; `edges` are the borders of its cells and `position` the middles of its rows, on an axis of τ on which
        the row without a target network lies apart, above 1, at `no_target`. `window` has the two ends of the advised
        window over α.
    """
    grid, edges, say = grid_of(table), _edges(table), atlas_words.Words(table)
    settings = {name: getattr(table, name) for name in ("gamma", "updates", "optimizer", "algorithm", "source")}
    return {
        "env": table.environment, **settings,
        "alpha": grid.alpha, "tau": grid.tau, "c": [c_of(tau) for tau in grid.tau],
        **{name: _column(grid, name) for name in ("mean", "sd", "seeds")},
        "label": [["" if cell is None else say.number(cell.mean) for cell in row] for row in grid.rows],
        "short": [[say.short(cell) for cell in row] for row in grid.rows],
        "text": [[say.hover(cell) for cell in row] for row in grid.rows],
        "position": [position(table, tau) for tau in grid.tau], "no_target": position(table, 1.0), "edges": edges,
        "scale": {"low": table.lowest_return, "high": table.highest_return},
        "window": _window_over_alpha(table, edges["alpha"]), "arms": _arms(table, arms),
        "caption": say.caption(), "says": say.scope(arms), "python": measured_map_lines(table.environment),
    }  # fmt: skip


def position(table: Table, tau: float) -> float:
    """Return where τ lies on the map's axis: at τ, but without a target network in the middle of the row apart."""
    low, high = _edges(table)["no_target"]
    return tau if tau < 1 else math.sqrt(low * high)


def _edges(table: Table) -> dict[str, list[float]]:
    """Return the borders of the cells along α, along τ < 1, and of the row without a target network.

    Between two values lies their geometric mean. The outer borders are as far away as the inner ones.
    """
    grid = grid_of(table)
    tau = _borders([tau for tau in grid.tau if tau < 1])
    height = tau[-1] / tau[-2]
    return {"alpha": _borders(grid.alpha), "tau": tau, "no_target": [STRIP_START, STRIP_START * height]}


def _borders(values: Sequence[float]) -> list[float]:
    logs = np.log(values)
    inner = (logs[1:] + logs[:-1]) / 2
    half = [(logs[1] - logs[0]) / 2, (logs[-1] - logs[-2]) / 2] if len(logs) > 1 else [math.log(2) / 2] * 2
    borders: list[float] = np.exp([logs[0] - half[0], *inner, logs[-1] + half[1]]).tolist()
    return borders


def _column(grid: Grid, name: str) -> list[list[Any]]:
    return [[None if cell is None else getattr(cell, name) for cell in row] for row in grid.rows]


def _window_over_alpha(table: Table, edges: Sequence[float]) -> dict[str, Any]:
    """Return both ends of the window that `softstep advise` gives with the map's settings, over α; nan without one."""
    alphas = np.geomspace(edges[0], edges[-1], WINDOW_POINTS)
    windows = [window(table.gamma, table.updates, float(alpha), table.optimizer) for alpha in alphas]
    return {
        "alpha": alphas,
        "low": [own.low if own.exists else math.nan for own in windows],
        "high": [own.high if own.exists else math.nan for own in windows],
    }


def _arms(table: Table, arms: Sequence[Table]) -> list[dict[str, Any]]:
    """Return the arms of comparisons with their places on the map."""
    return [
        {**cell._asdict(), "c": c_of(cell.tau), "position": position(table, cell.tau),
         "short": atlas_words.Words(arm).short(cell), "text": atlas_words.Words(arm).hover_of_arm(cell),
         "gamma": arm.gamma, "updates": arm.updates, "source": arm.source}
        for arm in arms
        for cell in sorted(arm.cells)
    ]  # fmt: skip


# ---- one pair ----


def point(env: str, alpha: float, c: float) -> dict[str, Any]:
    """Return what was measured nearest to a pair on the map of an environment, and the advice on it: see `point_of`."""
    return point_of(MAPS[env], alpha, c)


def point_of(table: Table, alpha: float, c: float, tables: Sequence[Table] = TABLES) -> dict[str, Any]:
    """Return the cells around a pair, what `softstep advise` says about it, and the same α without a target network.

    Args:
        table: The map.
        alpha: α.
        c: Weight of the old target; 0 is no target network.
        tables: Everything that was measured, for the advice.

    Returns:
        `nearest` with its `measured` words, the window's ends and the words of the `advice`, and `without`.
    """
    tau, say = TargetUpdate.from_c(c).tau, atlas_words.Words(table)
    near = nearest_cells(table, alpha, tau)
    advice = advise(
        gamma=table.gamma, learning_rate=alpha, updates=table.updates, optimizer=table.optimizer,
        env=table.environment, tau=tau, tables=tables,
    )  # fmt: skip
    return {
        "env": table.environment, "alpha": alpha, "c": c, "tau": tau,
        "nearest": {name: [getattr(cell, name) for cell in near] for name in Cell._fields},
        "measured": say.nearest(near, alpha, tau),
        "low": advice.window.low, "high": advice.window.high, "exists": advice.window.exists,
        "place": None if advice.place is None else advice.place.value,
        "advice": atlas_words.advice(advice),
        "warnings": advice.to_dict()["warnings"], "whole": str(advice),
        "command": atlas_words.command(table, alpha, tau), **_without(table, near[0], tau, say),
        "python": measured_point_lines(table.environment, alpha, c, [(cell.learning_rate, cell.tau) for cell in near]),
    }  # fmt: skip


def nearest_cells(table: Table, alpha: float, tau: float) -> list[Cell]:
    """Return the measured cells around a pair, nearest first on logarithmic axes: one to four of them.

    They are those with the next measured α and τ to either side; where none of these was measured, it is the nearest.
    """
    alphas = _around([cell.learning_rate for cell in table.cells], alpha)
    taus = _around([cell.tau for cell in table.cells], tau)

    def distance(cell: Cell) -> float:
        return math.hypot(math.log(cell.learning_rate / alpha), math.log(cell.tau / tau))

    ordered = sorted(table.cells, key=distance)
    return [cell for cell in ordered if cell.learning_rate in alphas and cell.tau in taus] or ordered[:1]


def _around(values: Sequence[float], own: float) -> set[float]:
    """Return the largest value up to `own` and the smallest from there on; a value that equals it alone."""
    if equal := {value for value in values if math.isclose(value, own, rel_tol=1e-9)}:
        return equal
    below, above = [value for value in values if value < own], [value for value in values if value > own]
    return {*([max(below)] if below else []), *([min(above)] if above else [])}


def _without(table: Table, nearest: Cell, tau: float, say: atlas_words.Words) -> dict[str, Any]:
    """Compare the cells with and without a target network at the nearest measured α.

    Args:
        table: The map.
        nearest: The nearest cell.
        tau: τ of the pair; 1 without a target network.
        say: The words for this table.

    Returns:
        The cells that are compared, their difference with its interval (None without one), and the words `without`.
    """
    row = table.rows()[nearest.learning_rate]
    targets, none = [cell for cell in row if cell.tau < 1], next((cell for cell in row if cell.tau == 1), None)
    compared = {"compared": None, "difference": None, "interval": None}
    if none is None or not targets:
        return {**compared, "without": say.not_compared(nearest.learning_rate, none)}
    if tau == 1:
        return {**compared, "without": say.range_of_targets(none, targets)}
    closest = min(targets, key=lambda cell: abs(math.log(cell.tau / tau)))
    interval = welch_interval((closest.mean, closest.sd, closest.seeds), (none.mean, none.sd, none.seeds))
    pairs = sum(len(rest) - 1 for rest in table.rows().values() if rest[-1].tau == 1)
    return {
        "compared": [closest.tau, none.tau], "difference": closest.mean - none.mean, "interval": list(interval),
        "without": say.comparison(closest, none, interval, pairs),
    }  # fmt: skip
