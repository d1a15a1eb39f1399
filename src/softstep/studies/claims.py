"""Claims that a study declares before anything is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from softstep.errors import ConfigError, near
from softstep.studies.grid import Cell, Value, expand_grid, same_value

Side = Mapping[str, Sequence[Value]]
"""One side of a claim: values by axis. It covers the cells that have one of the values on each of these axes.

A study with contenders has the single axis `CONTENDER`, with their names.
"""

CONTENDER = "contender"


class StudyClaim(NamedTuple):
    """The claim that one side ends with a higher greedy return than the other."""

    name: str
    first: Side
    second: Side


def side_cells(side: Side, axes: Mapping[str, Sequence[Value]]) -> list[Cell]:
    """Return the cells that a side covers, in the order of the grid."""
    return [
        cell
        for cell in expand_grid(axes)
        if all(any(same_value(cell[axis], value) for value in values) for axis, values in side.items())
    ]


def check_claim(claim: StudyClaim, axes: Mapping[str, Sequence[Value]], selection: int) -> None:
    """Raise ConfigError if a claim names what is not in the grid, or needs selection seeds that are not there.

    `selection` is the number of selection seeds.
    """
    for name, side in (("first", claim.first), ("second", claim.second)):
        for axis, values in side.items():
            if axis not in axes:
                raise ConfigError(f"claim {claim.name!r}: {name} has the unknown axis {axis!r}{near(axis, list(axes))}")
            for value in values:
                if not any(same_value(value, known) for known in axes[axis]):
                    choices = ", ".join(map(str, axes[axis]))
                    raise ConfigError(
                        f"claim {claim.name!r}: {name} has {axis} = {value}, which is not in the study: choose"
                        f" from {choices}"
                    )
        if len(side_cells(side, axes)) > 1 and not selection:
            raise ConfigError(
                f"claim {claim.name!r}: {name} covers several cells, of which one must be selected:"
                " set seeds.selection, or name a single cell"
            )
