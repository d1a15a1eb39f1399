"""What a study is asked: a base configuration, axes of settings, seeds, a budget, and claims declared beforehand.

env = "gymnax:CartPole-v1"

[base]                      # any field of the configuration; or preset = "lab" above
total_steps = 100_000

[axes]                      # lists, or low, high and count of a log range
learning_rate = { low = 1e-5, high = 1e-1, count = 8 }
c = [0.0, 0.9, 0.99, 0.999]

[seeds]
count = 8
selection = 3               # the first three select, the others judge

[[claims]]
name = "soft-beats-none"
first = { c = [0.9, 0.99, 0.999] }      # of several cells the best on the selection seeds
second = { c = 0.0 }
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from softstep import presets
from softstep.comparison.scores import ReturnCriteria, return_criteria
from softstep.config import Config
from softstep.errors import ConfigError, near
from softstep.studies.claims import Claim
from softstep.studies.grid import Cell, Value, _axis, _check_axis, _frozen, _values, same

WIDTH = 8
"""W of a study's blocks, unless its base says otherwise: so that cells and seeds added later fit the same programs."""

_SIDES = ("first", "second")


@dataclass(frozen=True)
class Spec:
    """A study."""

    base: Config
    axes: Mapping[str, tuple[Value, ...]]
    """Values by axis; every combination is a cell."""
    seeds: int = 1
    """Seeds of every cell, from the base's seed on."""
    selection: int = 0
    """How many of them, the first, select cells for claims; the others judge."""
    claims: tuple[Claim, ...] = ()
    agent_steps: int | None = None
    """Budget: most environment steps of all agents together."""
    margin: float | None = None
    """δ, the difference in return that matters; None takes the one declared for the environment."""
    floor: float | None = None
    """The return that a diverged agent scores; None takes the one declared for the environment."""

    def __post_init__(self) -> None:
        for name, values in self.axes.items():
            _check_axis(self.base, name, values)
        if "c" in self.axes and "target.tau" in self.axes:
            raise ConfigError("axes c and tau say the same thing twice: c = 1 − τ; keep one of them")
        if self.seeds < 1:
            raise ConfigError(f"seeds.count = {self.seeds} must be at least 1")
        if not 0 <= self.selection < max(self.seeds, 1):
            raise ConfigError(f"seeds.selection = {self.selection} must leave seeds to judge: below {self.seeds}")
        if self.base.seeds != 1 or self.base.arms:
            raise ConfigError("the base has seeds or arms of its own: a study says them in [seeds] and [axes]")
        self.declared  # noqa: B018 - complains where margin and floor are missing
        names = [claim.name for claim in self.claims]
        if len(set(names)) < len(names):
            raise ConfigError(f"claims {names} repeat a name: give every claim its own")
        for claim in self.claims:
            self._check_claim(claim)
        total = len(self.cells()) * self.seeds * self.base.total_steps
        if self.agent_steps is not None and total > self.agent_steps:
            raise ConfigError(f"the study needs {total:.3g} agent-steps, its budget is {self.agent_steps:.3g}")

    def _check_claim(self, claim: Claim) -> None:
        for side, chosen in (("first", claim.first), ("second", claim.second)):
            for axis, values in chosen.items():
                if axis not in self.axes:
                    raise ConfigError(f"claim {claim.name!r}: {side} names {axis!r}{near(axis, list(self.axes))}")
                for value in values:
                    if not any(same(value, known) for known in self.axes[axis]):
                        raise ConfigError(
                            f"claim {claim.name!r}: {side} has {axis} = {value}, which is not on its axis"
                        )
            if len(self.side(chosen)) > 1 and not self.selection:
                raise ConfigError(
                    f"claim {claim.name!r}: {side} has several cells, so one must be selected:"
                    " set seeds.selection, or name a single cell"
                )

    @property
    def declared(self) -> ReturnCriteria:
        """Margin and floor of the returns."""
        return return_criteria(self.base.env, self.margin, self.floor)

    @property
    def width(self) -> int:
        """W of every block."""
        return self.base.block_width or WIDTH

    def cells(self) -> list[Cell]:
        """Every combination of the axes' values, the first axis slowest."""
        return [dict(zip(self.axes, values, strict=True)) for values in itertools.product(*self.axes.values())]

    def side(self, chosen: Mapping[str, Sequence[Value]]) -> list[Cell]:
        """The cells that a claim's side is about."""
        return [
            cell for cell in self.cells() if all(any(same(cell[a], v) for v in values) for a, values in chosen.items())
        ]

    def to_json(self) -> str:
        """JSON text; `from_json` reads it back equal."""
        told = dataclasses.asdict(self) | {"base": json.loads(self.base.to_json())}
        return json.dumps(told | {"claims": [claim._asdict() for claim in self.claims]}, indent=2)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Spec:
        """Read `to_json`'s text."""
        told = json.loads(text)
        base = Config.from_mapping(told.pop("base"), source=source)
        axes = {name: tuple(map(_frozen, values)) for name, values in told.pop("axes").items()}
        claims = tuple(
            Claim(claim["name"], *({a: tuple(map(_frozen, of)) for a, of in claim[side].items()} for side in _SIDES))
            for claim in told.pop("claims")
        )
        return cls(base, axes, claims=claims, **told)

    @classmethod
    def from_toml(cls, text: str, *, source: str) -> Spec:
        """Read a spec file; ConfigError in one line with the place in the file."""
        try:
            told = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{source}: {error}") from None
        try:
            return _from_tables(told)
        except ConfigError as error:
            raise ConfigError(f"{source}{_place(text, str(error))}: {error}") from None


_TABLES = ("preset", "env", "base", "axes", "seeds", "claims", "budget", "margin", "floor")


def _from_tables(told: Mapping[str, Any]) -> Spec:
    for key in told:
        if key not in _TABLES:
            raise ConfigError(f"unknown table or key {key!r}{near(key, list(_TABLES))}")
    base = presets.get(told["preset"]) if "preset" in told else Config()
    given = dict(told.get("base", {})) | ({"env": told["env"]} if "env" in told else {})
    base = Config.from_mapping({"seeds": 1, "arms": []} | given, base, source="base")
    seeds = _known(told, "seeds", ("first", "count", "selection"))
    budget = _known(told, "budget", ("agent_steps",))
    return Spec(
        dataclasses.replace(base, seed=seeds.get("first", base.seed)),
        {_axis(name, base): _values(name, values) for name, values in told.get("axes", {}).items()},
        seeds.get("count", 1),
        seeds.get("selection", 0),
        tuple(_claim(number, claim, base) for number, claim in enumerate(told.get("claims", []), 1)),
        budget.get("agent_steps"),
        told.get("margin"),
        told.get("floor"),
    )


def _known(told: Mapping[str, Any], table: str, keys: Sequence[str]) -> Mapping[str, Any]:
    """A table of whole numbers."""
    found = told.get(table, {})
    for key, value in found.items():
        if key not in keys:
            raise ConfigError(f"{table} has an unknown key {key!r}{near(key, list(keys))}")
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value != int(value):
            raise ConfigError(f"{table}.{key} = {value!r} must be a whole number")
    return {key: int(value) for key, value in found.items()}


def _claim(number: int, told: Mapping[str, Any], base: Config) -> Claim:
    if set(told) != {"name", "first", "second"}:
        raise ConfigError(f"claim {number} needs name, first and second, and nothing else")
    sides = [
        {_axis(axis, base): tuple(values) if isinstance(values, list) else (values,) for axis, values in side.items()}
        for side in (told["first"], told["second"])
    ]
    return Claim(told["name"], *sides)


def _place(text: str, message: str) -> str:
    """Where in the file the first word is that the message quotes or names."""
    words = [w for pair in re.findall(r"'([\w.]+)'|\b([a-z_]{3,}(?:\.[a-z_]+)?) = ", message) for w in pair if w]
    for word in (w for full in words for w in (full, full.rpartition(".")[2])):
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(rf"\b{re.escape(word)}\b", line.partition("#")[0]):
                return f", line {number}"
    return ""
