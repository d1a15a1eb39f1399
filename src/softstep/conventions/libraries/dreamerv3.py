"""DreamerV3: the slow copy of the critic."""

from __future__ import annotations

from softstep.conventions.libraries.pace import weight_of_new
from softstep.conventions.libraries.shared import CALLER_PACE, weight
from softstep.conventions.library import Library, Setting

_read, _write = weight_of_new("slowvalue.rate", "slowvalue.every")

SLOW_VALUE = Library(
    title="DreamerV3, slowvalue",
    version="e3f02248",
    source="danijar/dreamerv3:dreamerv3/configs.yaml:110, dreamerv3/agent.py:142, embodied/jax/utils.py:94-118",
    settings={"slowvalue.rate": weight(0.02), "slowvalue.every": Setting(1), **CALLER_PACE},
    weighs="slowvalue.rate: new",
    clock="gradient steps",
    meaning=_read,
    write=_write,
    remarks=("a rate of 0.5 or more is refused there, except 1", "it also moves at count 0"),
)
