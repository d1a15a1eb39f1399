"""optax."""

from __future__ import annotations

from softstep.conventions.libraries.shared import COUNT, PACE, pace_of, paced, share, weight
from softstep.conventions.library import Library, Settings
from softstep.conventions.meaning import Meaning


def _optax(s: Settings) -> Meaning:
    return paced(weight("step_size", s["step_size"]), max(1, s["update_period"]), s)


UPDATES = Library(
    "optax, incremental_update and periodic_update", "0.2.8", "optax/_src/update.py:50-109",
    {"step_size": share(None), "update_period": COUNT, **PACE}, "step_size: new", "the caller's count",
    _optax, lambda m: {"step_size": m.update.tau, "update_period": m.update.period, **pace_of(m)},
    ("arguments in the order (new, old, step_size); periodic_update fires at count 0 too",),
)  # fmt: skip
