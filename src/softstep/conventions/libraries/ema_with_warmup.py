"""diffusers and timm: moving averages of weights whose decay starts low."""

from __future__ import annotations

from softstep.conventions.libraries.pace import weight_of_old
from softstep.conventions.libraries.shared import CALLER_PACE, weight
from softstep.conventions.library import Library, Setting, Settings

_SWITCH = {"false": 0.0, "False": 0.0, "true": 1.0, "True": 1.0}
_read, _write = weight_of_old("decay")


def _switch() -> Setting:
    return Setting(0, minimum=0, maximum=1, words=_SWITCH)


def _positive(default: float) -> Setting:
    return Setting(default, is_integer=False, minimum=1e-6)


def calls_until_decay(settings: Settings) -> float:
    """Return the calls after which the decay of the average is the one that was set; 0 if it is so from the start.

    With warm-up the decay at call t is 1 − (1 + t/γ)^−p, without it (1 + t)/(10 + t) in diffusers and constant in timm.
    """
    decay = settings["decay"]
    if settings.get("use_ema_warmup", settings.get("use_warmup")):
        gamma = settings.get("inv_gamma", settings.get("warmup_gamma", 1.0))
        power = settings.get("power", settings.get("warmup_power", 1.0))
        return float(gamma * ((1 - decay) ** (-1 / power) - 1)) if decay < 1 else 0.0
    if "use_ema_warmup" in settings:
        return max(0.0, (10 * decay - 1) / (1 - decay)) if decay < 1 else 0.0
    return 0.0


DIFFUSERS = Library(
    title="diffusers, EMAModel",
    version="58eb52c0",
    source="huggingface/diffusers:src/diffusers/training_utils.py:631-645, 745-785",
    settings={
        "decay": weight(0.9999),
        "use_ema_warmup": _switch(),
        "inv_gamma": _positive(1.0),
        "power": _positive(2 / 3),
        "update_after_step": Setting(0, minimum=0),
        **CALLER_PACE,
    },
    weighs="decay: old",
    clock="calls of step()",
    meaning=_read,
    write=_write,
    remarks=("this is its meaning after the warm-up: without use_ema_warmup the decay is at most (1 + t)/(10 + t)",),
)

TIMM = Library(
    title="timm, ModelEmaV3",
    version="1.0.29.dev0 (aa4b5850)",
    source="huggingface/pytorch-image-models:timm/utils/model_ema.py:135, 188-205",
    settings={
        "decay": weight(0.9999),
        "use_warmup": _switch(),
        "warmup_gamma": _positive(1.0),
        "warmup_power": _positive(2 / 3),
        "update_after_step": Setting(0, minimum=0),
        **CALLER_PACE,
    },
    weighs="decay: old",
    clock="calls of update()",
    meaning=_read,
    write=_write,
    remarks=("buffers are averaged too, unless exclude_buffers", "the warm-up needs update(model, step=…)"),
)
