"""The atlas: what was measured of pairs (α, τ), environment by environment, and what of it is nearest.

`measurements.json` is written from the tables of docs/results by studies/advice_measurements.py.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

from softstep.errors import ConfigError, near

NEAR = 0.5
"""Distance up to which a measurement counts as near: a factor of about three in one of the two quantities."""


class Cell(NamedTuple):
    """The agents of one pair (α, τ)."""

    learning_rate: float
    tau: float
    seeds: int
    mean: float
    """Mean greedy return at the end of the run."""
    sd: float
    """Standard deviation over the seeds."""
    y_speed: float
    """Standard deviations of y by which y moves in one gradient step (RMS), the median over the run and the seeds.

    0 in a table of candidates, which does not keep it.
    """


class Table(NamedTuple):
    """Cells that share everything but α and τ."""

    source: str
    """File that the cells were computed from."""
    kind: str
    """`map` (a grid over α and τ), `comparison` (a few pairs), or `candidates` (pairs drawn at random)."""
    environment: str
    algorithm: str
    gamma: float
    updates: int
    """G, gradient steps of a run."""
    optimizer: str
    lowest_return: float
    """A return that counts as nothing learned."""
    highest_return: float
    """A return that counts as solved."""
    cells: tuple[Cell, ...]

    @property
    def horizons(self) -> float:
        """(1−γ)·G, the length of a run in horizons 1/(1−γ)."""
        return (1 - self.gamma) * self.updates

    def rows(self) -> dict[float, list[Cell]]:
        """Return the cells of every α in ascending order of τ."""
        rows: dict[float, list[Cell]] = {}
        for cell in sorted(self.cells):
            rows.setdefault(cell.learning_rate, []).append(cell)
        return rows


class Contender(NamedTuple):
    """The winner of one way to use a target network, or to do without, on the judging seeds."""

    name: str
    settings: str
    """Its knobs in words."""
    selection_score: float
    """Mean greedy return at the end on the selection seeds."""
    mean: float
    """Mean greedy return at the end on the judging seeds."""
    low: float
    """Lower end of the 95 % interval of that mean."""
    high: float
    best_checkpoint: float
    """Mean return of the best weights of every agent, on fresh episodes."""


class Contest(NamedTuple):
    """A study of the atlas: contenders with equally many candidates, tuned on some seeds and judged on others."""

    source: str
    """Page with its tables."""
    environment: str
    algorithm: str
    candidates: int
    """Candidates of each contender."""
    seeds: int
    """Judging seeds."""
    margin: float
    """δ, the smallest difference that counts."""
    estimate: float
    """`soft` − `none`."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    verdict: str
    contenders: tuple[Contender, ...]
    """The best first."""


class Neighbour(NamedTuple):
    """The measurements of one environment that are nearest to a setting."""

    table: Table
    learning_rate: float
    distance: float
    """√(log₁₀²(α/α′) + log₁₀²((1−γ)G/((1−γ′)G′)) + 1 if the optimizer differs)."""
    cells: list[Cell]
    """The cells of that α in ascending order of τ."""

    @property
    def is_near(self) -> bool:
        """Whether the distance is at most `NEAR`."""
        return self.distance <= NEAR


@functools.cache
def load() -> tuple[Table, ...]:
    """Return the shipped tables."""
    return tuple(map(_table, _shipped()["tables"]))


@functools.cache
def contests() -> dict[str, Contest]:
    """Return the shipped contests by environment."""
    rows = [
        values | {"contenders": tuple(Contender(**row) for row in values["contenders"])}
        for values in _shipped()["contests"]
    ]
    return {row["environment"]: Contest(**row) for row in rows}


def _shipped() -> dict[str, Any]:
    text = resources.files("softstep.advice").joinpath("measurements.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def _table(values: dict[str, Any]) -> Table:
    columns = [values[name] for name in Cell._fields]
    cells = tuple(Cell(*cell) for cell in zip(*columns, strict=True))
    return Table(**{name: values[name] for name in Table._fields if name != "cells"}, cells=cells)


def maps(tables: Sequence[Table]) -> dict[str, Table]:
    """Return the map of every environment that has one, by environment."""
    return {table.environment: table for table in tables if table.kind == "map"}


def candidates(tables: Sequence[Table]) -> dict[str, Table]:
    """Return the randomly drawn pairs of every environment that has some, by environment."""
    return {table.environment: table for table in tables if table.kind == "candidates"}


def environments(tables: Sequence[Table]) -> list[str]:
    """Return the measured environments, each once."""
    return list(dict.fromkeys(table.environment for table in tables))


def environment_named(name: str, tables: Sequence[Table]) -> str:
    """Return the measured environment that `name` means, with or without its maker (`gymnax:CartPole-v1`).

    Raises ConfigError, with the measured environments, if it is none of them.
    """
    known, bare = environments(tables), name.rpartition(":")[2]
    if bare not in known:
        raise ConfigError(
            f"env = {name!r} is not in the atlas{near(bare, known)}: measured are {', '.join(known)}; leave env out to"
            " see what is nearest"
        )
    return bare


def neighbours(
    gamma: float, updates: float, learning_rate: float, optimizer: str, tables: Sequence[Table]
) -> list[Neighbour]:
    """Return for every environment its nearest measurements of several τ at one α, nearest first.

    Candidates are not among them, because no two share an α.

    Args:
        gamma: γ.
        updates: G, gradient steps of the run.
        learning_rate: α.
        optimizer: name of the optimizer.
        tables: tables to search.
    """
    nearest: dict[str, Neighbour] = {}
    for table in [table for table in tables if table.kind != "candidates"]:
        differs = float(optimizer != table.optimizer)
        length = math.log10((1 - gamma) * updates / table.horizons)
        rows = {alpha: row for alpha, row in table.rows().items() if len(row) > 1}
        for alpha, row in rows.items():
            distance = math.hypot(math.log10(learning_rate / alpha), length, differs)
            known = nearest.get(table.environment)
            if known is None or distance < known.distance:
                nearest[table.environment] = Neighbour(table, alpha, distance, row)
    return sorted(nearest.values(), key=lambda neighbour: neighbour.distance)
