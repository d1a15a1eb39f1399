"""torchrl: SoftUpdate and HardUpdate."""

from __future__ import annotations

from softstep.conventions.libraries.shared import PACE, copies_only, every_step, pace_of, paced, share, weight
from softstep.conventions.library import Library, Setting, Written
from softstep.conventions.meaning import Meaning


def _to_torchrl_hard(m: Meaning) -> Written:
    if m.update.tau < 1:
        return copies_only(m)
    return {"value_network_update_interval": m.update.period - 1, **pace_of(m)}


SOFT_UPDATE = Library(
    "torchrl, SoftUpdate(tau=…)", "0.14", "torchrl/objectives/utils.py:563-588",
    {"tau": share(None), **PACE}, "tau: new", "calls of step()",
    lambda s: paced(weight("tau", s["tau"]), 1, s),
    lambda m: every_step(m, lambda tau: {"tau": tau, **pace_of(m)}),
    ("its other argument, eps = 1 − tau, weighs the old target", "buffers do not move"),
)  # fmt: skip

HARD_UPDATE = Library(
    "torchrl, HardUpdate", "0.14", "torchrl/objectives/utils.py:605-624",
    {"value_network_update_interval": Setting(1000), **PACE}, "", "calls of step(), plus one",
    lambda s: paced(1.0, s["value_network_update_interval"] + 1, s), _to_torchrl_hard,
    ("HardUpdate(N) fires at every (N + 1)-th call", "buffers do not move"),
)  # fmt: skip
