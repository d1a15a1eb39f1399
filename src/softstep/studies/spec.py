"""The spec of a study: a base configuration, axes of settings, seeds, a budget, and claims declared beforehand.

As a TOML file:

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
first = { c = [0.9, 0.99, 0.999] }      # of several cells, the best on the selection seeds
second = { c = 0.0 }
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from softstep.comparison.scores import ReturnCriteria, return_criteria
from softstep.config import STUDY_BLOCK_WIDTH, Config
from softstep.errors import ConfigError
from softstep.files import json_text
from softstep.studies.claims import Side, StudyClaim, check_claim, side_cells
from softstep.studies.grid import Cell, Value, cell_arm, check_axis, expand_grid, freeze
from softstep.studies.spec_toml import located_errors, spec_fields


@dataclass(frozen=True)
class Spec:
    """What a study trains and which claims it judges."""

    base: Config
    axes: Mapping[str, tuple[Value, ...]]
    """Values by axis; every combination is a cell."""
    seeds: int = 1
    """Number of seeds of every cell, from the base's seed on."""
    selection: int = 0
    """Number of seeds, the first ones, that select cells for claims; the others judge."""
    claims: tuple[StudyClaim, ...] = ()
    agent_steps: int | None = None
    """Budget: the most environment steps of all agents together."""
    margin: float | None = None
    """δ, the smallest difference in return that matters; None takes the one declared for the environment."""
    floor: float | None = None
    """Return that a diverged agent scores; None takes the one declared for the environment."""

    def __post_init__(self) -> None:
        for name, values in self.axes.items():
            check_axis(name, values, self.base)
        if "c" in self.axes and "target.tau" in self.axes:
            raise ConfigError("axes 'c' and 'tau' set the same thing, because c = 1 − τ: remove one of them")
        try:
            _ = [cell_arm(cell, self.base) for cell in self.cells()]
        except ValueError as error:
            raise ConfigError(f"the axes make a target that cannot be: {error}") from None
        if self.seeds < 1:
            raise ConfigError(f"seeds.count = {self.seeds} must be at least 1")
        if not 0 <= self.selection < self.seeds:
            raise ConfigError(
                f"seeds.selection = {self.selection} must be at least 0 and leave seeds to judge: set it below"
                f" {self.seeds}"
            )
        if self.base.seeds != 1 or self.base.arms:
            raise ConfigError("seeds and arms cannot be set in the base of a study: use [seeds] and [axes]")
        _ = self.criteria  # missing criteria are reported before anything is trained
        names = [claim.name for claim in self.claims]
        if len(set(names)) < len(names):
            raise ConfigError(f"claims {names} repeat a name: give every claim a name of its own")
        for claim in self.claims:
            check_claim(claim, self.axes, self.selection)
        total = len(self.cells()) * self.seeds * self.base.total_steps
        if self.agent_steps is not None and total > self.agent_steps:
            raise ConfigError(
                f"budget.agent_steps = {self.agent_steps:.3g} is too small for the study, which needs {total:.3g}:"
                " raise it, or remove cells or seeds"
            )

    @property
    def criteria(self) -> ReturnCriteria:
        """The margin and floor of the returns."""
        return return_criteria(self.base.env, self.margin, self.floor, where=" in the spec, above its tables")

    @property
    def width(self) -> int:
        """W of every block."""
        return self.base.block_width or STUDY_BLOCK_WIDTH

    def cells(self) -> list[Cell]:
        """Return every combination of the axes' values, the first axis slowest."""
        return expand_grid(self.axes)

    def side_cells(self, side: Side) -> list[Cell]:
        """Return the cells that one side of a claim covers."""
        return side_cells(side, self.axes)

    def to_json(self) -> str:
        """Return JSON text that `from_json` reads back equal."""
        fields = dataclasses.asdict(self) | {"base": json.loads(self.base.to_json())}
        return json_text(fields | {"claims": [claim._asdict() for claim in self.claims]}, indent=2)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Spec:
        """Read the text of `to_json`; `source` names it in errors."""
        fields = json.loads(text)
        base = Config.from_mapping(fields.pop("base"), source=source)
        axes = {name: freeze(values) for name, values in fields.pop("axes").items()}
        claims = []
        for claim in fields.pop("claims"):
            first, second = (
                {axis: freeze(values) for axis, values in claim[side].items()} for side in ("first", "second")
            )
            claims.append(StudyClaim(claim["name"], first, second))
        return cls(base, axes, claims=tuple(claims), **fields)

    @classmethod
    def from_toml(cls, text: str, *, source: str) -> Spec:
        """Read a spec file; a ConfigError is one line with the place in the file. `source` names the file."""
        with located_errors(text, source):
            return cls(**spec_fields(text))
