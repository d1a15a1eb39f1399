"""Ray RLlib: DQN and SAC on the new API stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from softstep.conventions.libraries.shared import check_tau, tau_and_env_steps, weight
from softstep.conventions.library import Library, Setting, Settings, SettingsOrReason
from softstep.conventions.meaning import Meaning

_AUTO = 0
"""Stands for `rollout_fragment_length="auto"`, which is n_step."""


def _rules(batch: str, size: int) -> tuple[Callable[[Settings], Meaning], Callable[[Meaning], SettingsOrReason]]:
    """Return how settings are read and written if the setting `batch`, by default `size`, holds the batch size."""

    def meaning_of(settings: Settings) -> Meaning:
        runners = max(settings["num_env_runners"], 1)
        sampled = int(_fragment_length(settings) * settings["num_envs_per_env_runner"] * runners)
        sampling_rounds, gradient_steps = _training_step(settings, settings[batch])
        training_steps = -(-int(settings["target_network_update_freq"]) // (sampled * sampling_rounds))
        period = Fraction(training_steps * gradient_steps) if training_steps else Fraction(1)
        return Meaning(check_tau("tau", settings["tau"]), period, sampled, Fraction(gradient_steps, sampling_rounds))

    def settings_of(meaning: Meaning) -> SettingsOrReason:
        gradient_steps = meaning.gradient_steps
        if gradient_steps.denominator > 1 and gradient_steps.numerator > 1:
            return "it needs an integer number of gradient steps per round of sampling, or of rounds per gradient step"
        tau, env_steps = tau_and_env_steps(meaning) if meaning.period > 1 else (meaning.update.tau, Fraction(0))
        return {
            "tau": tau,
            "target_network_update_freq": round(env_steps),
            "num_envs_per_env_runner": meaning.num_envs,
            "training_intensity": 0.0 if gradient_steps == 1 else float(gradient_steps) * size / meaning.num_envs,
            batch: size,
        }

    return meaning_of, settings_of


def _fragment_length(settings: Settings) -> float:
    """Return the steps of one environment per round of sampling.

    Source: algorithms/dqn/dqn.py:137, 513-521, algorithms/sac/sac.py:120, 500-508.
    """
    return settings["n_step"] if settings["rollout_fragment_length"] == _AUTO else settings["rollout_fragment_length"]


def _training_step(settings: Settings, batch_size: float) -> tuple[int, int]:
    """Return the rounds of sampling and the gradient steps in one training step."""
    if not settings["training_intensity"]:
        return 1, 1
    native_intensity = batch_size / (
        _fragment_length(settings) * settings["num_envs_per_env_runner"] * (settings["num_env_runners"] + 1)
    )
    ratio = settings["training_intensity"] / native_intensity
    return (round(1 / ratio), 1) if ratio < 1 else (1, round(ratio))


_LOOP = {
    "num_env_runners": Setting(0, minimum=0),
    "num_envs_per_env_runner": Setting(1),
    "rollout_fragment_length": Setting(_AUTO, minimum=_AUTO, words={"auto": _AUTO}),
    "n_step": Setting(1),
    "training_intensity": Setting(0.0, is_integer=False, minimum=0),
}
_DQN_BATCH, _SAC_BATCH = ("train_batch_size", 32), ("train_batch_size_per_learner", 256)
_read_dqn, _write_dqn = _rules(*_DQN_BATCH)
_read_sac, _write_sac = _rules(*_SAC_BATCH)

DQN = Library(
    title="Ray RLlib, DQN (new stack)",
    version="2.60.0",
    source="algorithms/dqn/dqn_learner.py:87-119, dqn.py:568-592, 648-733",
    settings={
        "tau": weight(1.0),
        "target_network_update_freq": Setting(500, minimum=0),
        **_LOOP,
        _DQN_BATCH[0]: Setting(_DQN_BATCH[1]),
    },
    weighs="tau: new",
    clock="sampled environment steps since the last update, rounded up",
    meaning=_read_dqn,
    write=_write_dqn,
    aliases={"train_batch_size_per_learner": "train_batch_size"},
    remarks=(
        "the target also moves right after the first gradient step",
        "of several gradient steps in one training step only the first can move the target, unless"
        " target_network_update_freq is 0: then each of them does",
    ),
)

SAC = replace(
    DQN,
    title="Ray RLlib, SAC (new stack)",
    source="algorithms/sac/sac.py:87-124, sac_learner.py:31, dqn/dqn_learner.py:87-119, dqn.py:568-592, 648-733",
    settings={
        "tau": weight(0.005),
        "target_network_update_freq": Setting(0, minimum=0),
        **_LOOP,
        _SAC_BATCH[0]: Setting(_SAC_BATCH[1]),
    },
    meaning=_read_sac,
    write=_write_sac,
    aliases={},
    without_effect=("train_batch_size",),
    remarks=(
        *DQN.remarks[1:],
        "train_batch_size has no effect: train_batch_size_per_learner is set to 256 and precedes it",
    ),
)
