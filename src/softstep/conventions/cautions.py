"""Warnings about settings that are probably a mistake: they do something other than they seem to say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from softstep.conventions.libraries.ema_with_warmup import calls_until_decay
from softstep.conventions.libraries.rejax import env_steps_per_iteration
from softstep.conventions.libraries.stable_baselines3 import gradient_steps_per_round
from softstep.conventions.library import Settings
from softstep.conventions.meaning import Meaning
from softstep.conventions.reading import complete, read
from softstep.conventions.registry import get_library
from softstep.errors import ConfigError
from softstep.theory import stall_gap

LONG_TIME_CONSTANT = 1e6
"""Time constant in environment steps from which on a warning is given."""
SUSPICIOUS_PERIOD = 10
"""Gradient steps between soft updates from which on hard copies were probably intended."""
WORST_STALL = 0.01
"""Relative gap of a stalled target above which a warning is given."""


def cautions(
    name: str, given: Mapping[str, Any], *, total_steps: int | None = None, dtype: str = "float32"
) -> list[str]:
    """Return warnings about settings of a library, the most serious first.

    Args:
        name: short name of the library.
        given: its settings; missing ones take the library's defaults.
        total_steps: environment steps of the whole run, if known.
        dtype: dtype of the target's parameters.

    Raises:
        ConfigError: the dtype is unknown, or `read` does not accept the settings.
    """
    settings, meaning = complete(name, given), read(name, given)
    return [
        *_swapped_weight(name, settings),
        *_slow(meaning, total_steps),
        *_soft_and_hard(meaning),
        *_stalling(meaning, dtype),
        *(_LIBRARY_CAUTIONS[name](settings, total_steps) if name in _LIBRARY_CAUTIONS else ()),
        *_several_per_round(meaning),
    ]


def _swapped_weight(name: str, settings: Settings) -> Iterator[str]:
    key, _, side = get_library(name).weighs.partition(": ")
    value = settings.get(key, 1.0)
    if side == "new" and 0.5 < value < 1:
        yield (
            f"{key} = {value:g} looks like c, the weight of the old target; {key} is the weight of the *new* parameters"
            f" here, so {key} = {1 - value:.6g} would mean c = {value:g}"
        )
    if side == "old" and 0 < value < 0.5:
        yield (
            f"{key} = {value:g} looks like τ, the weight of the new parameters; {key} is the weight of the *old* target"
            f" here, so {key} = {1 - value:.6g} would mean τ = {value:g}"
        )


def _slow(meaning: Meaning, total_steps: int | None) -> Iterator[str]:
    half_life, time_constant = meaning.in_env_steps(meaning.half_life), meaning.in_env_steps(meaning.time_constant)
    period = meaning.in_env_steps(float(meaning.period))
    if total_steps is not None and max(half_life, period) > total_steps:
        quantity = "half-life" if half_life >= period else "period"
        yield (
            f"slower than the whole run: a {quantity} of {max(half_life, period):,.0f} environment steps,"
            f" out of {total_steps:,}"
        )
    elif time_constant >= LONG_TIME_CONSTANT:
        yield f"a time constant of {time_constant / 1e6:.2g} million environment steps: the target hardly moves"


def _soft_and_hard(meaning: Meaning) -> Iterator[str]:
    if meaning.tau < 1 and meaning.period >= SUSPICIOUS_PERIOD:
        yield (
            f"soft and hard at once: a fraction τ = {meaning.tau:g} only at every"
            f" {_format(float(meaning.period))}-th gradient step. Usually one of the two is intended: τ = 1 at that"
            f" period, or τ = {meaning.tau:g} after every gradient step"
        )


def _stalling(meaning: Meaning, dtype: str) -> Iterator[str]:
    try:
        gap = stall_gap(meaning.c, dtype)
    except ValueError as error:
        raise ConfigError(f"dtype: {error}") from None
    if meaning.tau < 1 and gap > WORST_STALL:
        yield f"in {dtype} the target stops following within a relative gap of {gap:.3g}: keep a float32 copy of it"


def _several_per_round(meaning: Meaning) -> Iterator[str]:
    if meaning.blends_per_update > 1 and meaning.tau < 1:
        nth = f"{_format(float(meaning.period))}-th " if meaning.period > 1 else ""
        yield (
            f"{_format(float(meaning.blends_per_update))} target updates in a row, all towards the same network:"
            f" together they are one update with τ = {meaning.tau:.4g} at every {nth}gradient step"
        )


def _sb3_dqn(settings: Settings, total_steps: int | None) -> Iterator[str]:
    num_envs, interval = int(settings["n_envs"]), int(settings["target_update_interval"])
    actual = max(interval // num_envs, 1) * num_envs
    if actual != interval:
        yield (
            f"target_update_interval = {interval} is {actual} environment steps with n_envs = {num_envs}:"
            " it is divided by n_envs and rounded down"
        )


def _sb3_sac(settings: Settings, total_steps: int | None) -> Iterator[str]:
    interval, gradient_steps = int(settings["target_update_interval"]), gradient_steps_per_round(settings)
    if interval > 1 and gradient_steps == 1:
        yield (
            f"target_update_interval = {interval} has no effect with gradient_steps = 1: the target moves at every call"
            " of train() (#2158)"
        )
    elif interval > gradient_steps:
        yield (
            f"target_update_interval = {interval} acts as {gradient_steps}: it counts within one call of train(), whose"
            " first gradient step always moves the target (#2158)"
        )


def _cleanrl(settings: Settings, total_steps: int | None) -> Iterator[str]:
    if settings["tau"] < 1 and settings["target_network_frequency"] < settings["train_frequency"]:
        yield (
            f"a gradient step only at every {int(settings['train_frequency'])}-th step (train_frequency of dqn.py): if"
            " these are settings of sac_continuous_action.py, use --from cleanrl-sac"
        )


def _purejaxrl(settings: Settings, total_steps: int | None) -> Iterator[str]:
    num_envs = int(settings["NUM_ENVS"])
    events = {"TARGET_UPDATE_INTERVAL": "the target moves", "TRAINING_INTERVAL": "gradient steps are made"}
    for key, event in events.items():
        interval = int(settings[key])
        actual = math.lcm(num_envs, interval)
        if actual == interval:
            continue
        effect = f"{event} every {actual:,} environment steps, not every {interval}"
        if total_steps is not None and actual > total_steps:
            effect = f"never in {total_steps:,} steps"
        yield f"{key} = {interval} with NUM_ENVS = {num_envs}: {effect} (only at common multiples of both)"


def _rejax(settings: Settings, total_steps: int | None) -> Iterator[str]:
    frequency, actual = int(settings["target_update_freq"]), env_steps_per_iteration(settings)
    is_td3 = "policy_delay" in settings
    is_chosen = frequency > 1 or settings["num_envs"] > 1  # else TD3's defaults, whose clock is its policy_delay
    if frequency < actual and is_chosen:
        once = f"once per {int(settings['policy_delay'])} steps" if is_td3 else "once per step"
        yield (
            f"target_update_freq = {frequency} is {actual} environment steps: the target moves at most {once} of all"
            " environments"
        )


def _rllib(settings: Settings, total_steps: int | None) -> Iterator[str]:
    if settings["training_intensity"] and settings["num_env_runners"] > 0:
        runners = int(settings["num_env_runners"])
        yield (
            f"training_intensity is divided by num_env_runners + 1 = {runners + 1}, although only {runners} of them"
            f" sample: about {(runners + 1) / runners:.2g} times as many gradient steps as requested"
        )


def _warmup(settings: Settings, total_steps: int | None) -> Iterator[str]:
    calls = calls_until_decay(settings) + settings["update_after_step"]
    if calls >= 1:
        yield f"the decay starts low and is {settings['decay']:g} only after {calls:,.0f} calls"


def _tianshou(settings: Settings, total_steps: int | None) -> Iterator[str]:
    if settings["target_update_freq"] == 0:
        yield "target_update_freq = 0 means no target network"


def _pfrl(settings: Settings, total_steps: int | None) -> Iterator[str]:
    library = get_library("pfrl")
    is_hard = settings["target_update_method"] == library.settings["target_update_method"].words["hard"]
    if is_hard and settings["soft_update_tau"] != library.settings["soft_update_tau"].default:
        yield (
            f"soft_update_tau = {settings['soft_update_tau']:g} has no effect with target_update_method = hard,"
            " the default: set target_update_method=soft"
        )


def _format(value: float) -> str:
    return f"{value:,.4g}" if value < 10_000 else f"{value:,.0f}"


_LIBRARY_CAUTIONS: Mapping[str, Callable[[Settings, int | None], Iterator[str]]] = {
    "sb3": _sb3_dqn,
    "sb3-sac": _sb3_sac,
    "cleanrl": _cleanrl,
    "purejaxrl": _purejaxrl,
    "rejax": _rejax,
    "rejax-sac": _rejax,
    "rejax-td3": _rejax,
    "rllib": _rllib,
    "rllib-sac": _rllib,
    "tianshou": _tianshou,
    "diffusers": _warmup,
    "timm": _warmup,
    "sb3-qrdqn": _sb3_dqn,
    "sb3-tqc": _sb3_sac,
    "pfrl": _pfrl,
}
