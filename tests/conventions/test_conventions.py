"""Translations read back, cautions, errors, rescaling, and `softstep convert`."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep import conventions
from softstep.cli.main import main
from softstep.config import Config
from softstep.conventions import LIBRARIES, Meaning
from softstep.conventions.reading import complete
from softstep.errors import ConfigError
from softstep.target import TargetUpdate
from softstep.theory import LinearTD

NAMES = pytest.mark.parametrize("name", LIBRARIES)
SETTINGS = {"sb3": {"tau": 0.005, "target_update_interval": 10_000, "train_freq": 4, "gradient_steps": 1, "n_envs": 8}}


def required_settings(name: str) -> dict[str, float]:
    required = {key: setting for key, setting in LIBRARIES[name].settings.items() if setting.default is None}
    return {key: 1000 if setting.is_integer else 0.005 for key, setting in required.items()}


@NAMES
def test_a_librarys_defaults_translate_to_themselves(name: str) -> None:
    meaning = conventions.read(name, required_settings(name))
    (own,) = [t for t in conventions.translate(meaning) if t.library == name]
    assert own.how == "equal"


@given(
    tau=st.one_of(st.just(1.0), st.floats(1e-4, 0.99)),
    period=st.integers(1, 5000),
    num_envs=st.sampled_from([1, 2, 8, 64]),
    gradient_steps=st.sampled_from([Fraction(1, 4), Fraction(1), Fraction(3), Fraction(2, 3)]),
)
def test_equal_translations_have_the_same_meaning(
    tau: float, period: int, num_envs: int, gradient_steps: Fraction
) -> None:
    meaning = Meaning(tau, Fraction(period), num_envs, gradient_steps)
    translations = conventions.translate(meaning)
    assert {t.library for t in translations} == set(LIBRARIES)
    for translation in translations:
        if translation.settings is None:
            assert translation.why
            continue
        reread = conventions.read(translation.library, translation.settings)
        if translation.how == "equal":
            assert math.isclose(reread.tau, tau, rel_tol=1e-6)
            assert reread.period == period
        if translation.how in ("equal", "same half-life"):
            assert math.isclose(reread.half_life, meaning.half_life, rel_tol=1e-6)
            assert math.isclose(reread.env_steps_per_gradient_step, num_envs / gradient_steps, rel_tol=1e-6)
    (own,) = [t for t in translations if t.library == "softstep"]
    assert own.how == "equal"


def test_softstep_settings_agree_with_the_configuration() -> None:
    for num_envs, train_every, gradient_steps in ((1, 4, 1), (16, 4, 1), (2, 8, 3), (4, 4, 2)):
        settings = {"num_envs": num_envs, "train_every": train_every, "gradient_steps": gradient_steps}
        meaning = conventions.read("softstep", settings)
        assert float(meaning.env_steps_per_gradient_step) == Config(**settings).env_steps_per_gradient_step


def test_the_forum_threads_time_constant_of_two_million_steps() -> None:
    meaning = conventions.read("sb3", SETTINGS["sb3"])
    assert meaning.period == Fraction(625, 2)
    assert meaning.in_env_steps(meaning.time_constant) == pytest.approx(-10_000 / math.log(0.995))
    warnings = conventions.cautions("sb3", SETTINGS["sb3"])
    assert "2 million environment steps" in warnings[0]
    assert "soft and hard at once" in warnings[1]


def test_updates_towards_the_same_network_combine_into_one() -> None:
    """Four blends towards the same Q leave c⁴ of the old target."""
    for name, interval, round_length in (
        ("sb3", "target_update_interval", "train_freq"),
        ("cleanrl", "target_network_frequency", "train_frequency"),
        ("purejaxrl", "TARGET_UPDATE_INTERVAL", "TRAINING_INTERVAL"),
    ):
        key = "TAU" if name == "purejaxrl" else "tau"
        more = {"NUM_ENVS": 1} if name == "purejaxrl" else {}
        meaning = conventions.read(name, {key: 0.1, interval: 1, round_length: 4, **more})
        assert meaning.tau == pytest.approx(1 - 0.9**4)
        assert meaning.period == 1
        assert meaning.env_steps_per_gradient_step == 4


CAUTIONS: list[tuple[str, dict[str, float], dict[str, Any], str]] = [
    ("sb3", {"tau": 0.995, "target_update_interval": 1}, {}, "tau = 0.995 looks like c"),
    ("rejax", {"polyak": 0.005}, {}, "polyak = 0.005 looks like τ"),
    ("torch-ema", {"decay": 0.005}, {}, "decay = 0.005 looks like τ"),
    ("purejaxrl", {"NUM_ENVS": 16}, {}, "the target moves every 2,000 environment steps, not every 500"),
    ("purejaxrl", {"NUM_ENVS": 1009}, {"total_steps": 500_000}, "never in 500,000 steps"),
    ("lab", {"TAU": 1e-6}, {"total_steps": 300_000}, "slower than the whole run: a half-life of 2,772,587"),
    ("cleanrl", {"target_network_frequency": 10_000}, {"total_steps": 5_000}, "a period of 10,000 environment steps"),
    ("lab", {}, {"dtype": "bfloat16"}, "stops following within a relative gap of 3.91"),
    ("lab", {}, {"dtype": "float16"}, "relative gap of 0.488"),
    ("sb3", {"target_update_interval": 500, "n_envs": 8}, {}, "is 496 environment steps with n_envs = 8"),
    ("sb3-sac", {"target_update_interval": 1000}, {}, "has no effect with gradient_steps = 1"),
    ("rllib", {"training_intensity": 32, "num_env_runners": 1}, {}, "about 2 times as many gradient steps"),
    ("tianshou", {}, {}, "no target network"),
    ("sb3", {"tau": 0.1, "target_update_interval": 1}, {}, "4 target updates in a row, all towards the same network"),
    ("rejax", {"num_envs": 64}, {}, "at most once per step of all environments"),
    ("rejax-sac", {"num_envs": 64}, {}, "target_update_freq = 1 is 64 environment steps: the target moves at"),
    ("rejax-td3", {"target_update_freq": 3, "policy_delay": 5}, {}, "= 3 is 5 environment steps: the target moves at"),
    ("rllib-sac", {"training_intensity": 512, "num_env_runners": 1}, {}, "about 2 times as many gradient steps"),
]


@pytest.mark.parametrize(("name", "settings", "options", "message"), CAUTIONS, ids=[c[3][:30] for c in CAUTIONS])
def test_a_probable_mistake_gets_a_warning(
    name: str, settings: dict[str, float], options: dict[str, Any], message: str
) -> None:
    warnings = conventions.cautions(name, settings, **options)
    assert any(message in line for line in warnings), warnings


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lab", {}),
        ("sb3-sac", {}),
        ("softstep", {}),
        ("cleanrl", {}),
        ("rejax-td3", {}),
        ("sbx-td3", {}),
        ("rllib-sac", {}),
        ("dopamine", {}),
        ("optax", {"step_size": 0.005}),
    ],
)
def test_sound_settings_get_no_warning(name: str, settings: dict[str, float]) -> None:
    assert conventions.cautions(name, settings, total_steps=1_000_000) == []


INVALID: list[tuple[str, dict[str, Any], str]] = [
    ("sb4", {}, "library 'sb4' is unknown; did you mean 'sb3'"),
    ("sb3", {"tua": 1}, "no setting 'tua'; did you mean 'tau'"),
    ("sb3", {"tau": "much"}, "tau = 'much' is not a number"),
    ("sb3", {"tau": 1.5}, "must be in [0, 1]"),
    ("sb3", {"tau": 0}, "never moves the target"),
    ("rejax", {"polyak": 1}, "never moves the target"),
    ("rejax", {"target_update_freq": 0}, "at least 1"),
    ("cleanrl-ddpg", {"num_envs": 4}, "no setting 'num_envs'"),
    ("sb3", {"n_envs": 2.5}, "must be an integer"),
    ("sb3", {"train_freq": -2}, "at least 1"),
    ("sb3", {"train_freq": 0}, "at least 1"),
    ("sb3", {"n_envs": 0}, "at least 1"),
    ("sb3", {"gradient_steps": 0}, "gradient_steps = 0 never trains"),
    ("sb3-sac", {"gradient_steps": 0}, "gradient_steps = 0 never trains"),
    ("sb3-sac", {"target_update_interval": 0}, "at least 1"),
    ("optax", {"step_size": 0.1, "env_steps_per_gradient_step": 0}, "at least 1e-06"),
    ("tianshou", {"update_step_num_gradient_steps_per_sample": 0}, "at least 1e-06"),
    ("optax", {}, "optax needs step_size"),
]


@pytest.mark.parametrize(("name", "settings", "message"), INVALID, ids=[i[2][:30] for i in INVALID])
def test_invalid_settings_raise_one_line(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        conventions.read(name, settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_interval_of_zero_moves_the_target_at_every_step_of_the_environments() -> None:
    """Source: stable_baselines3/dqn/dqn.py:182, `max(interval // n_envs, 1)`."""
    settings = {"train_freq": 1, "target_update_interval": 0}
    assert complete("sb3", settings)["target_update_interval"] == 0
    assert conventions.read("sb3", settings).period == 1


@given(data=st.data(), name=st.sampled_from(list(LIBRARIES)))
def test_any_settings_have_a_meaning_or_are_refused(data: st.DataObject, name: str) -> None:
    """No setting ends in another exception, and nothing is refused silently."""
    settings = LIBRARIES[name].settings
    numbers = st.one_of(st.integers(-2, 300), st.floats(-1, 2), st.sampled_from([0, 1, 1e-9, 1e300]))
    chosen = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(settings, numbers)))
    try:
        meaning = conventions.read(name, chosen)
    except ConfigError:
        return
    assert 0 < meaning.tau <= 1
    assert meaning.period >= 1
    assert meaning.env_steps_per_gradient_step > 0
    conventions.cautions(name, chosen, total_steps=1000)
    conventions.translate(meaning)


def test_four_gradient_steps_per_environment_step_translate_to_the_same_half_life() -> None:
    meaning = Meaning(0.005, Fraction(1), 1, Fraction(4))
    (own,) = [t for t in conventions.translate(meaning) if t.library == "sb3"]
    assert own.how == "same half-life"
    assert own.settings is not None
    assert own.settings["tau"] == pytest.approx(1 - 0.995**4)
    assert own.settings["target_update_interval"] == 1
    assert own.settings["gradient_steps"] == 4


def test_rescaling_keeps_the_dynamics_per_sample_to_first_order() -> None:
    """For b = 1, a = .95, α = .01, c = .99 and a batch × 8: 2.544e-4 per step → 2.589e-4; with c kept 5.63e-5.

    The numbers are those of docs/theory.md, section 5.
    """
    problem = LinearTD.scalar(0.95, 1.0)
    before = TargetUpdate(0.01)
    rescaled = conventions.rescale(0.01, before, "batch", 64, 512)

    def rate(alpha: float, c: float, k: float) -> float:
        return float(1 - problem.spectral_radius(alpha, c) ** (1 / k))

    assert rate(0.01, before.c, 1) == pytest.approx(2.54445749e-4, rel=1e-7)
    assert rate(rescaled.learning_rate, rescaled.update.c, rescaled.factor) == pytest.approx(2.58934834e-4, rel=1e-7)
    assert rate(rescaled.learning_rate, before.c, rescaled.factor) == pytest.approx(5.63240695e-5, rel=1e-7)


@pytest.mark.parametrize(
    ("change", "before", "after", "k"), [("batch", 64, 512, 8), ("update-ratio", 0.25, 1, 0.25), ("num-envs", 1, 4, 4)]
)
def test_a_change_is_a_factor_on_the_data_per_gradient_step(change: Any, before: float, after: float, k: float) -> None:
    rescaled = conventions.rescale(1e-3, TargetUpdate(0.005), change, before, after)
    assert (rescaled.factor, rescaled.learning_rate) == (k, k * 1e-3)
    assert rescaled.update.c == pytest.approx(0.995**k)
    assert conventions.rescale(1e-3, TargetUpdate.hard(1000), change, before, after).update.period == round(1000 / k)


def test_the_command_prints_meaning_translations_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [f"{key}={value}" for key, value in SETTINGS["sb3"].items()]
    assert main(["convert", "--from", "sb3", *arguments]) == 0
    output = capsys.readouterr().out
    for part in ("312.5", "cleanrl           tau=0.005 target_network_frequency=10000 train_frequency=32  (equal)",
                 "warning:", "dqn/dqn.py:174-185"):  # fmt: skip
        assert part in output
    assert main(["convert", "--from", "sb3", *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["period"] == 312.5
    assert main(["convert", "--from", "list"]) == 0
    assert "target_network_update_freq=500" in capsys.readouterr().out
    assert main(["convert", "rescale", "--learning-rate", "1e-3", "--tau", "0.005", "--batch", "64:512"]) == 0
    assert "0.039307" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from", "sb3", "tau"],
        ["--from", "sb3", "tau=x"],
        ["--from", "nothing"],
        ["--from", "sb3", "--dtype", "float8"],
        ["rescale", "--learning-rate", "1", "--tau", "0.1"],
        ["rescale", "--learning-rate", "1", "--tau", "0.1", "--batch", "64"],
        ["rescale", "--learning-rate", "1", "--tau", "2", "--batch", "1:2"],
        ["rescale", "--learning-rate", "1", "--tau", "0.1", "--batch", "0:2"],
    ],
)
def test_invalid_arguments_print_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("softstep: ")
    assert error.count("\n") == 1


def test_the_help_says_that_c_is_not_tau(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    assert "Is c the same as τ? No: c = 1 − τ" in capsys.readouterr().out
