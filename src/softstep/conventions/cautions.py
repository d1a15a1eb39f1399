"""What is probably not meant: settings that say one thing and do another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from softstep.config import ConfigError
from softstep.conventions.library import Settings
from softstep.conventions.meaning import Meaning
from softstep.conventions.reading import complete, read
from softstep.conventions.registry import library
from softstep.theory import stall_gap

LONG = 1e6
"""Environment steps from which on a time constant is worth a word."""
OFTEN = 10
"""Gradient steps between soft updates from which on they look like hard copies that are meant."""
WORST_STALL = 0.01
"""Relative gap at which a target that stops following is worth a word."""


def cautions(
    name: str, given: Mapping[str, float | str], *, total_steps: int | None = None, dtype: str = "float32"
) -> list[str]:
    """Warnings about settings of the library `name`, the gravest first.

    total_steps: environment steps of the whole run, where they are known. dtype: of the target's parameters.
    ConfigError for an unknown dtype, and where `read` has one.
    """
    settings, meaning = complete(name, given), read(name, given)
    return [
        *_wrong_side(name, settings),
        *_slow(meaning, total_steps),
        *_both(meaning),
        *_stalls(meaning, dtype),
        *(_OF_LIBRARIES[name](settings, total_steps) if name in _OF_LIBRARIES else ()),
        *_crowded(meaning),
    ]


def _wrong_side(name: str, settings: Settings) -> Iterator[str]:
    key, _, side = library(name).weighs.partition(": ")
    value = settings.get(key, 1.0)
    if side == "new" and 0.5 < value < 1:
        yield (
            f"{key} = {value:g} looks like c, the weight of the old target; {key} is the weight of the *new* parameters"
            f" here, so {key} = {1 - value:.6g} would say c = {value:g}"
        )
    if side == "old" and 0 < value < 0.5:
        yield (
            f"{key} = {value:g} looks like τ, the weight of the new parameters; {key} is the weight of the *old* target"
            f" here, so {key} = {1 - value:.6g} would say τ = {value:g}"
        )


def _slow(m: Meaning, total_steps: int | None) -> Iterator[str]:
    half, constant = m.in_env_steps(m.half_life), m.in_env_steps(m.time_constant)
    between = m.in_env_steps(float(m.period))
    if total_steps is not None and max(half, between) > total_steps:
        what = "half-life" if half >= between else "period"
        yield f"slower than the whole run: a {what} of {max(half, between):,.0f} environment steps of {total_steps:,}"
    elif constant >= LONG:
        yield f"a time constant of {constant / 1e6:.2g} million environment steps: the target hardly moves"


def _both(m: Meaning) -> Iterator[str]:
    if m.tau < 1 and m.period >= OFTEN:
        yield (
            f"soft and hard at once: a share τ = {m.tau:g} only at every {_word(float(m.period))}-th gradient step."
            f" Meant is usually one of them: τ = 1 at that period, or τ = {m.tau:g} after every gradient step"
        )


def _stalls(m: Meaning, dtype: str) -> Iterator[str]:
    try:
        gap = stall_gap(m.c, dtype)
    except ValueError as error:
        raise ConfigError(f"dtype: {error}") from None
    if m.tau < 1 and gap > WORST_STALL:
        yield f"in {dtype} the target stops following within a relative gap of {gap:.3g}: keep a float32 copy of it"


def _crowded(m: Meaning) -> Iterator[str]:
    if m.period < 1 and m.tau < 1:
        yield (
            f"{_word(1 / float(m.period))} target updates per gradient step, all towards the same network: together"
            f" they are one with τ = {m.update.tau:.4g}"
        )


def _of_sb3(s: Settings, total_steps: int | None) -> Iterator[str]:
    envs, interval = int(s["n_envs"]), int(s["target_update_interval"])
    real = max(interval // envs, 1) * envs
    if real != interval:
        yield f"target_update_interval = {interval} is {real} environment steps with n_envs = {envs}: it is divided"


def _of_sb3_sac(s: Settings, total_steps: int | None) -> Iterator[str]:
    if s["target_update_interval"] > 1 and s["gradient_steps"] <= s["target_update_interval"]:
        steps = int(s["gradient_steps"])
        yield (
            f"target_update_interval = {int(s['target_update_interval'])} has no effect with gradient_steps = {steps}:"
            " the target moves at every call of train() (#2158)"
        )


def _of_purejaxrl(s: Settings, total_steps: int | None) -> Iterator[str]:
    envs = int(s["NUM_ENVS"])
    for key, what in (("TARGET_UPDATE_INTERVAL", "the target moves"), ("TRAINING_INTERVAL", "gradient steps come")):
        asked = int(s[key])
        real = math.lcm(envs, asked)
        if real == asked:
            continue
        told = f"{what} every {real:,} environment steps, not every {asked}"
        if total_steps is not None and real > total_steps:
            told = f"never in {total_steps:,} steps"
        yield f"{key} = {asked} with NUM_ENVS = {envs}: {told} (the modulus meets only multiples of both)"


def _of_rejax(s: Settings, total_steps: int | None) -> Iterator[str]:
    if s["target_update_freq"] < s["num_envs"]:
        yield (
            f"target_update_freq = {int(s['target_update_freq'])} is {int(s['num_envs'])} environment steps: the target"
            " moves at most once per step of all environments"
        )


def _of_rllib(s: Settings, total_steps: int | None) -> Iterator[str]:
    if s["training_intensity"] and s["num_env_runners"] > 0:
        runners = int(s["num_env_runners"])
        yield (
            f"training_intensity is divided by num_env_runners + 1 = {runners + 1} though {runners} sample: about"
            f" {(runners + 1) / runners:.2g} times as many gradient steps as asked"
        )


def _of_tianshou(s: Settings, total_steps: int | None) -> Iterator[str]:
    if s["target_update_freq"] == 0:
        yield "target_update_freq = 0 means no target network"


def _word(value: float) -> str:
    return f"{value:,.4g}" if value < 10_000 else f"{value:,.0f}"


_OF_LIBRARIES: Mapping[str, Callable[[Settings, int | None], Iterator[str]]] = {
    "sb3": _of_sb3,
    "sb3-sac": _of_sb3_sac,
    "purejaxrl": _of_purejaxrl,
    "rejax": _of_rejax,
    "rllib": _of_rllib,
    "tianshou": _of_tianshou,
}
