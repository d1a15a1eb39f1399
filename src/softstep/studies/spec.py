"""The spec of a study: a base configuration, axes or contenders, seeds, a budget, and claims declared beforehand.

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

With contenders in place of axes:

[candidates]
count = 12                  # of every contender

[contenders.soft]           # its knobs: ranges on a logarithmic scale, lists of values, or fixed values
learning_rate = { low = 1e-5, high = 1e-2 }
tau = { low = 1e-4, high = 0.3 }

[seeds]
selection = 3               # all candidates are trained on these
judging = 20                # the best candidate of each contender is trained on these

[[claims]]
name = "soft-beats-none"
first = "soft"
second = "none"
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from softstep.comparison.scores import ReturnCriteria, return_criteria
from softstep.config import STUDY_BLOCK_WIDTH, Config
from softstep.errors import ConfigError, near
from softstep.files import json_text
from softstep.studies.claims import CONTENDER, Side, StudyClaim, check_claim, side_cells
from softstep.studies.contenders import Contender, Draw, candidate_name, check_contender
from softstep.studies.grid import Cell, Value, cell_name, check_axis, check_cell, expand_grid, freeze, without_source
from softstep.studies.metrics import DEFAULT_METRIC, METRICS
from softstep.studies.spec_toml import located_errors, spec_fields


@dataclass(frozen=True)
class Spec:
    """What a study trains and which claims it judges."""

    base: Config
    axes: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    """Values by axis; every combination is a cell."""
    seeds: int = 1
    """Number of seeds of every cell, or of every contender, from the base's seed on."""
    selection: int = 0
    """Number of seeds, the first ones, that select cells for claims or the winners of contenders; the others judge."""
    claims: tuple[StudyClaim, ...] = ()
    agent_steps: int | None = None
    """Budget: the most environment steps of all agents together."""
    margin: float | None = None
    """δ, the smallest difference in return that matters; None takes the one declared for the environment."""
    floor: float | None = None
    """Return that a diverged agent scores; None takes the one declared for the environment."""
    draw: Draw | None = None
    """How the contenders' candidates are drawn; None without contenders."""
    contenders: Mapping[str, Contender] = field(default_factory=dict)
    """Contenders by name, in place of axes; every candidate is a cell."""
    metric: str = DEFAULT_METRIC
    """The primary metric, a name of `metrics.METRICS`: it selects, and claims are judged on it."""

    def __post_init__(self) -> None:
        for name in self.axes:
            check_axis(name, self.axes, self.base)
        if "c" in self.axes and "target.tau" in self.axes:
            raise ConfigError("axes 'c' and 'tau' set the same thing, because c = 1 − τ: remove one of them")
        self._check_contenders()
        self._check_cells()
        self._check_seeds()
        if self.base.seeds != 1 or self.base.arms:
            raise ConfigError("seeds and arms cannot be set in the base of a study: use [seeds] and [axes]")
        _ = self.criteria  # missing criteria are reported before anything is trained
        if self.metric not in METRICS:
            known = list(METRICS)
            raise ConfigError(
                f"metric.primary = {self.metric!r} is not one of {', '.join(known)}{near(self.metric, known)}"
            )
        names = [claim.name for claim in self.claims]
        if len(set(names)) < len(names):
            raise ConfigError(f"claims {names} repeat a name: give every claim a name of its own")
        for claim in self.claims:
            check_claim(claim, self._claim_axes, self.selection)
        total = self.num_agents * self.base.total_steps
        if self.agent_steps is not None and total > self.agent_steps:
            raise ConfigError(
                f"budget.agent_steps = {self.agent_steps:.3g} is too small for the study, which needs {total:.3g}:"
                " raise it, or remove cells or seeds"
            )

    def _check_cells(self) -> None:
        """Raise ConfigError for axes whose values are right alone and wrong together."""
        for name, cell in {} if self.contenders else self.named_cells().items():
            try:
                check_cell(name, cell, self.base)
            except ValueError as error:
                raise ConfigError(f"the axes cannot be combined, {name}: {without_source(error)}") from None

    def _check_contenders(self) -> None:
        if bool(self.contenders) != (self.draw is not None):
            raise ConfigError(
                "candidates and contenders belong together: write both [candidates] and [contenders.NAME]"
            )
        if self.draw is None:
            return
        if self.axes:
            raise ConfigError("a study has either axes (a grid) or contenders: remove [axes] or [contenders]")
        for name, contender in self.contenders.items():
            check_contender(name, contender, self.draw, self.base)

    def _check_seeds(self) -> None:
        if self.contenders and not 0 < self.selection < self.seeds:
            raise ConfigError(
                f"seeds.selection = {self.selection} and seeds.judging = {self.seeds - self.selection} must be at least"
                " 1 each: contenders are selected on seeds of their own"
            )
        if self.seeds < 1:
            raise ConfigError(f"seeds.count = {self.seeds} must be at least 1")
        if not 0 <= self.selection < self.seeds:
            raise ConfigError(
                f"seeds.selection = {self.selection} must be at least 0 and leave seeds to judge: set it below"
                f" {self.seeds}"
            )

    @property
    def criteria(self) -> ReturnCriteria:
        """The margin and floor of the returns."""
        return return_criteria(self.base.env, self.margin, self.floor, where=" in the spec, above its tables")

    @property
    def width(self) -> int:
        """W of every block."""
        return self.base.block_width or STUDY_BLOCK_WIDTH

    @property
    def selection_seeds(self) -> range:
        """Seeds on which cells or candidates are selected."""
        return range(self.base.seed, self.base.seed + self.selection)

    @property
    def judging_seeds(self) -> range:
        """Seeds on which claims are judged."""
        return range(self.base.seed + self.selection, self.base.seed + self.seeds)

    @property
    def num_agents(self) -> int:
        """Number of agents of the whole study."""
        if not self.contenders:
            return len(self.cells()) * self.seeds
        return len(self.cells()) * self.selection + len(self.contenders) * len(self.judging_seeds)

    @property
    def _claim_axes(self) -> Mapping[str, tuple[Value, ...]]:
        return {CONTENDER: tuple(self.contenders)} if self.contenders else self.axes

    def cells(self) -> list[Cell]:
        """Return every combination of the axes' values, the first axis slowest, or every candidate."""
        return list(self.named_cells().values())

    def named_cells(self) -> dict[str, Cell]:
        """Return the cells by name, in order."""
        if not self.contenders:
            return {cell_name(cell): cell for cell in expand_grid(self.axes)}
        return {
            candidate_name(name, number): candidate
            for name, contender in self.contenders.items()
            for number, candidate in enumerate(contender.candidates, 1)
        }

    def side_cells(self, side: Side) -> list[Cell]:
        """Return the cells of a grid that one side of a claim covers."""
        return side_cells(side, self.axes)

    def to_json(self) -> str:
        """Return JSON text that `from_json` reads back equal; a grid's has no fields that only contenders need."""
        return json_text(self.to_fields(), indent=2)

    def to_fields(self) -> dict[str, Any]:
        """Return the spec as JSON-like values."""
        fields: dict[str, Any] = {
            "base": json.loads(self.base.to_json()), "axes": dict(self.axes), "seeds": self.seeds,
            "selection": self.selection, "claims": [claim._asdict() for claim in self.claims],
            "agent_steps": self.agent_steps, "margin": self.margin, "floor": self.floor,
        }  # fmt: skip
        if self.draw is not None:
            contenders = {name: contender.to_fields() for name, contender in self.contenders.items()}
            fields |= {"draw": dataclasses.asdict(self.draw), "contenders": contenders}
        return fields if self.metric == DEFAULT_METRIC else fields | {"metric": self.metric}

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
        if "draw" in fields:
            contenders = fields.pop("contenders")
            fields["contenders"] = {name: Contender.from_fields(contender) for name, contender in contenders.items()}
            fields["draw"] = Draw(**fields["draw"])
        return cls(base, axes, claims=tuple(claims), **fields)

    @classmethod
    def from_toml(cls, text: str, *, source: str) -> Spec:
        """Read a spec file; a ConfigError is one line with the place in the file. `source` names the file."""
        with located_errors(text, source):
            return cls(**spec_fields(text))
