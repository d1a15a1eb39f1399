"""Claims that a study declares beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from softstep.studies.grid import Value


class Claim(NamedTuple):
    """One side ends with a higher greedy return than the other."""

    name: str
    first: Mapping[str, Sequence[Value]]
    """The cells of this side: those whose axes have one of these values."""
    second: Mapping[str, Sequence[Value]]
