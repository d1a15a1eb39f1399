"""Room 5: what agents measured over (α, c), and what of it lies nearest to one pair.

The numbers are those that `softstep advise` quotes (`advice.atlas`). An environment that has a map there has one here;
one that has only randomly drawn pairs shows these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from msgspec import Meta

from softstep.advice import advise
from softstep.advice.atlas import Cell, Table, candidates, contests, load, maps
from softstep.advice.window import window
from softstep.explorer.rooms import atlas_words
from softstep.explorer.rooms.parameters import OldWeight, Parameters
from softstep.explorer.rooms.snippets import (
    contest_lines,
    measured_map_lines,
    measured_pair_lines,
    measured_point_lines,
)
from softstep.stats import welch_interval
from softstep.target import TargetUpdate

TABLES = load()
MAPS = maps(TABLES)
"""The map of every environment that has one."""
SHOWN = {**MAPS, **{name: table for name, table in candidates(TABLES).items() if name not in MAPS}}
"""What is shown of every measured environment: its map or, without one, its randomly drawn pairs."""
PAIRS_AROUND = 3
"""How many randomly drawn pairs count as the nearest ones."""
STRIP_START = 1.25
"""Where the row without a target network begins on the axis of 1 − c, above the last target (1 − c < 1)."""
BEYOND = 1.6
"""Factor by which the plot reaches beyond randomly drawn pairs."""
WINDOW_POINTS = 61
"""Values of α at which the window's ends are drawn."""

Environment = Annotated[Literal[tuple(SHOWN)], Meta(description="a measured environment")]


class EnvironmentParameters(Parameters, frozen=True):
    """The parameters of `atlas-map`."""

    env: Environment = next(iter(SHOWN))


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
    """Return a map's cells as a grid, both axes ascending; without rows and columns for randomly drawn pairs."""
    if table.kind == "candidates":
        return Grid([], [], [])
    cells = {(cell.learning_rate, cell.tau): cell for cell in table.cells}
    alpha, tau = (sorted({pair[axis] for pair in cells}) for axis in range(2))
    return Grid(alpha, tau, [[cells.get((a, t)) for a in alpha] for t in tau])


# ---- all maps ----


def environments() -> dict[str, Any]:
    """Return the measured environments, those of them that have a map, and the ranges of α and c that maps cover."""
    cells = [cell for table in MAPS.values() for cell in table.cells]
    alphas, taus = [cell.learning_rate for cell in cells], [cell.tau for cell in cells]
    return {
        "environments": list(SHOWN),
        "maps": list(MAPS),
        "alpha": [min(alphas), max(alphas)],
        "c": [0.0, c_of(min(taus))],
    }


def c_of(tau: float) -> float:
    """Return 1 − τ without the digits that only rounding puts there."""
    return round(1 - tau, 12)


# ---- one map ----


def measured_map(env: str) -> dict[str, Any]:
    """Return the map of an environment: see `map_of`."""
    arms = [table for table in TABLES if table.environment == env and table.kind == "comparison"]
    return map_of(SHOWN[env], arms)


def map_of(table: Table, arms: Sequence[Table] = ()) -> dict[str, Any]:
    """Return a map's means, standard deviations and seeds over τ (rows) and α (columns), and how to draw them.

    Args:
        table: The map.
        arms: Comparisons in the same environment, with other settings and more seeds.

    Returns:
        The map; `edges` are the borders of its cells and `position` the middles of its rows, on an axis of τ on which
        the row without a target network lies apart, above 1, at `no_target`. `window` has the two ends of the advised
        window over α, `range` the smallest and largest α and the smallest τ. Randomly drawn pairs are in `pairs`, and
        the map is empty then.
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
        "range": {"alpha": _ends(table)[0], "tau": _ends(table)[1][0]}, "pairs": _pairs(table),
        "window": _window_over_alpha(table, edges["alpha"]), "arms": _arms(table, arms),
        "caption": say.caption(), "says": say.scope(arms),
        "python": (measured_pair_lines if table.kind == "candidates" else measured_map_lines)(table.environment),
    }  # fmt: skip


def _pairs(table: Table) -> dict[str, list[Any]]:
    """Return the columns of randomly drawn pairs and the words of each; nothing for a map."""
    cells, say = table.cells if table.kind == "candidates" else (), atlas_words.Words(table)
    return {
        **{name: [getattr(cell, name) for cell in cells] for name in ("learning_rate", "tau", "mean", "sd", "seeds")},
        "c": [c_of(cell.tau) for cell in cells], "text": [say.hover(cell) for cell in cells],
        "short": [say.short(cell) for cell in cells],
    }  # fmt: skip


def _ends(table: Table) -> list[list[float]]:
    """Return the smallest and largest α and τ < 1 of a table's cells."""
    pairs = [(cell.learning_rate, cell.tau) for cell in table.cells]
    alphas, taus = [alpha for alpha, _ in pairs], [tau for _, tau in pairs if tau < 1]
    return [[min(alphas), max(alphas)], [min(taus), max(taus)]]


def position(table: Table, tau: float) -> float:
    """Return where τ lies on the map's axis: at τ, but without a target network in the middle of the row apart."""
    low, high = _edges(table)["no_target"]
    return tau if tau < 1 else math.sqrt(low * high)


def _edges(table: Table) -> dict[str, list[float]]:
    """Return the borders of the cells along α, along τ < 1, and of the row without a target network.

    Between two values lies their geometric mean. The outer borders are as far away as the inner ones. Randomly drawn
    pairs have no cells: their borders lie a little beyond them.
    """
    if table.kind == "candidates":
        alpha, tau = ([low / BEYOND, high * BEYOND] for low, high in _ends(table))
        return {"alpha": alpha, "tau": tau, "no_target": [STRIP_START, STRIP_START * BEYOND**2]}
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
    return point_of(SHOWN[env], alpha, c)


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
        "advice": atlas_words.advice(advice, table),
        "warnings": advice.to_dict()["warnings"], "whole": str(advice),
        "command": atlas_words.command(table, alpha, tau), **_without(table, near[0], tau, say),
        "python": measured_point_lines(table.environment, alpha, c, [(cell.learning_rate, cell.tau) for cell in near]),
    }  # fmt: skip


def nearest_cells(table: Table, alpha: float, tau: float) -> list[Cell]:
    """Return the measured cells around a pair, nearest first on logarithmic axes: one to four of them.

    They are those with the next measured α and τ to either side; where none of these was measured, it is the nearest.
    Of randomly drawn pairs, the `PAIRS_AROUND` nearest ones are taken.
    """
    alphas = _around([cell.learning_rate for cell in table.cells], alpha)
    taus = _around([cell.tau for cell in table.cells], tau)

    def distance(cell: Cell) -> float:
        return math.hypot(math.log(cell.learning_rate / alpha), math.log(cell.tau / tau))

    ordered = sorted(table.cells, key=distance)
    if table.kind == "candidates":
        return ordered[:PAIRS_AROUND]
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
    compared: dict[str, Any] = {"compared": None, "difference": None, "interval": None}
    if table.kind == "candidates":
        return {**compared, "without": say.not_paired(contests()[table.environment])}
    row = table.rows()[nearest.learning_rate]
    targets, none = [cell for cell in row if cell.tau < 1], next((cell for cell in row if cell.tau == 1), None)
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


# ---- contenders ----


def contenders(env: str) -> dict[str, Any]:
    """Return the atlas's contenders in an environment, the best first, and what they say; nothing without a contest."""
    contest = contests().get(env)
    if contest is None:
        return {"env": env, "contenders": [], "says": [], "python": contest_lines(env)}
    say = atlas_words.Words(SHOWN[env])
    return {
        "env": env, "source": contest.source, "says": say.contest(contest), "python": contest_lines(env),
        "contenders": [
            {"name": row.name, "settings": row.settings, "selection": say.number(row.selection_score),
             "judged": say.interval(row.mean, row.low, row.high), "best_checkpoint": say.number(row.best_checkpoint)}
            for row in contest.contenders
        ],
        "mean": [row.mean for row in contest.contenders],
    }  # fmt: skip
