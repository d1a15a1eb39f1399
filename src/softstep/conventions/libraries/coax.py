"""coax: value functions whose `soft_update` the user's own loop calls."""

from __future__ import annotations

from softstep.conventions.libraries.pace import weight_of_new
from softstep.conventions.libraries.shared import CALLER_PACE, weight
from softstep.conventions.library import Library

_read, _write = weight_of_new("tau")

SOFT_UPDATE = Library(
    title="coax, soft_update",
    version="cf855957",
    source="coax-dev/coax:coax/_core/base_func.py:88-117",
    settings={"tau": weight(None), **CALLER_PACE},
    weighs="tau: new",
    clock="calls of soft_update()",
    meaning=_read,
    write=_write,
    remarks=("the state of the function, BatchNorm's statistics among it, is averaged too",),
)
