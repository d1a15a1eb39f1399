"""PyTorch."""

from __future__ import annotations

from softstep.conventions.libraries.shared import PACE, every_step, pace_of, paced, share, weight
from softstep.conventions.library import Library

AVERAGED_MODEL = Library(
    "torch AveragedModel with get_ema_multi_avg_fn", "2.13.0", "torch/optim/swa_utils.py:77-80, 310-368",
    {"decay": share(0.999), **PACE}, "decay: old", "calls of update_parameters()",
    lambda s: paced(weight("decay", 1 - s["decay"]), 1, s),
    lambda m: every_step(m, lambda tau: {"decay": 1 - tau, **pace_of(m)}),
    ("the first call copies, whatever the decay", "buffers are copied at every call (use_buffers=False)"),
)  # fmt: skip
