"""The contenders of a study: each has the same number of candidates, spread evenly over its own knobs.

All candidates are trained on the selection seeds. The best candidate of a contender, its winner, stands for it on the
judging seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from scipy.stats import qmc

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.studies.grid import Cell, Value, check_cell, freeze, same_cell, without_source
from softstep.studies.setting_types import is_integer

DRAWS_PER_CANDIDATE = 100
"""Points that are drawn for each candidate before a contender counts as one with too few different settings."""


class Range(NamedTuple):
    """A knob whose logarithm is spread evenly from `low` to `high`."""

    low: float
    high: float


Knob = Range | tuple[Value, ...]
"""A range, or the values among which a candidate has one; a single value is fixed."""


@dataclass(frozen=True)
class Draw:
    """How candidates are drawn."""

    count: int
    """Candidates of every contender."""
    seed: int = 0
    """Seed of the scrambled Halton sequence."""


class Contender(NamedTuple):
    """One way to set up the learner: its knobs, and the settings of its candidates."""

    knobs: Mapping[str, Knob]
    candidates: tuple[Cell, ...]

    def to_fields(self) -> dict[str, Any]:
        """Return the contender as JSON-like values."""
        knobs = {name: knob._asdict() if isinstance(knob, Range) else list(knob) for name, knob in self.knobs.items()}
        return {"knobs": knobs, "candidates": [dict(candidate) for candidate in self.candidates]}

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Contender:
        """Read what `to_fields` returns."""
        knobs = {
            name: Range(**knob) if isinstance(knob, dict) else freeze(knob) for name, knob in fields["knobs"].items()
        }
        return cls(knobs, tuple(_frozen(candidate) for candidate in fields["candidates"]))


def _frozen(candidate: Mapping[str, Any]) -> Cell:
    return {name: freeze(value) for name, value in candidate.items()}


def candidate_name(contender: str, number: int) -> str:
    """Return the name of a contender's candidate, for example "soft/3"; numbers begin at 1."""
    return f"{contender}/{number}"


def draw_contender(name: str, knobs: Mapping[str, Knob], draw: Draw) -> Contender:
    """Return a contender with its candidates: the first different points of a scrambled Halton sequence over its knobs.

    The sequence's first dimension is α, the next ones are the other ranges and then the lists, by name. So contenders
    with the same range of α try the same α, the order in the spec means nothing, and a higher count adds candidates
    without changing the others. Numbers have four digits.
    Source: Halton 1960; Owen 2017, "A randomized Halton algorithm in R" for the scrambling, as SciPy has it.

    Raises:
        ConfigError: there are fewer different settings than candidates.
    """
    points = itertools.islice(_points(knobs, draw.seed), DRAWS_PER_CANDIDATE * draw.count)
    candidates: list[Cell] = []
    for point in points:
        if not any(same_cell(point, candidate) for candidate in candidates):
            candidates.append(point)
        if len(candidates) == draw.count:
            return Contender(knobs, tuple(candidates))
    raise ConfigError(
        f"contender {name!r} has only {len(candidates)} different settings, and candidates.count = {draw.count}: give"
        " it a range or more values, or lower the count"
    )


def _points(knobs: Mapping[str, Knob], seed: int) -> Iterator[Cell]:
    """Yield settings without end."""
    varied = sorted((name for name, knob in knobs.items() if len(knob) > 1), key=lambda name: _rank(name, knobs))
    engine = qmc.Halton(max(1, len(varied)), scramble=True, seed=seed)
    while True:
        place = dict(zip(varied, engine.random(1)[0].tolist(), strict=False))
        yield {name: _value(name, knob, place.get(name, 0.0)) for name, knob in knobs.items()}


def _rank(name: str, knobs: Mapping[str, Knob]) -> tuple[bool, bool, str]:
    return name != "learning_rate", not isinstance(knobs[name], Range), name


def _value(name: str, knob: Knob, place: float) -> Value:
    """Return the knob's value at a place in [0, 1)."""
    if not isinstance(knob, Range):
        return knob[int(place * len(knob))]
    value = knob.low * (knob.high / knob.low) ** place
    return round(value) if is_integer(name) else float(f"{value:.4g}")


def check_contender(name: str, contender: Contender, draw: Draw, base: Config) -> None:
    """Raise ConfigError if a contender lacks candidates, or has one that the configuration rejects."""
    if not name:
        raise ConfigError("a contender has an empty name: call it by what sets it apart, for example [contenders.soft]")
    if len(contender.candidates) != draw.count:
        raise ConfigError(
            f"contender {name!r} has {len(contender.candidates)} candidates, and candidates.count = {draw.count}: every"
            " contender has the same number"
        )
    if "c" in contender.knobs and "target.tau" in contender.knobs:
        raise ConfigError(f"contender {name!r} sets 'c' and 'tau', and c = 1 − τ: remove one of them")
    for number, candidate in enumerate(contender.candidates, 1):
        try:
            check_cell(candidate_name(name, number), candidate, base)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"contender {name!r}, candidate {number}: {without_source(error)}") from None


def check_range(name: str, knob: Range) -> None:
    """Raise ConfigError unless a knob can have this range."""
    low, high = knob
    if name == "c":
        raise ConfigError("'c' has a range, whose even steps are no even steps of the lag: give tau = 1 − c a range")
    if not (0 < low < high < math.inf):
        raise ConfigError(f"knob {name!r}: a range needs 0 < low < high, and has low = {low}, high = {high}")
    if is_integer(name) and (low != int(low) or high != int(high)):
        raise ConfigError(f"knob {name!r}: low = {low} and high = {high} must be whole numbers, like the setting")
