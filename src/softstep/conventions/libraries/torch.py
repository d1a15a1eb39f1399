"""PyTorch: AveragedModel with an exponential moving average."""

from __future__ import annotations

from softstep.conventions.libraries.shared import (
    CALLER_PACE,
    caller_pace,
    check_tau,
    meaning_at_caller_pace,
    update_every_step,
    weight,
)
from softstep.conventions.library import Library, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning


def _averaged_model_meaning(settings: Settings) -> Meaning:
    return meaning_at_caller_pace(check_tau("decay", 1 - settings["decay"]), 1, settings)


def _averaged_model_settings(meaning: Meaning) -> SettingsOrReason:
    return update_every_step(meaning, lambda tau: {"decay": 1 - tau, **caller_pace(meaning)})


AVERAGED_MODEL = Library(
    title="torch AveragedModel with get_ema_multi_avg_fn",
    version="2.13.0",
    source="torch/optim/swa_utils.py:77-80, 310-368",
    settings={"decay": weight(0.999), **CALLER_PACE},
    weighs="decay: old",
    clock="calls of update_parameters()",
    meaning=_averaged_model_meaning,
    write=_averaged_model_settings,
    remarks=("the first call copies, whatever the decay", "buffers are copied at every call (use_buffers=False)"),
)
