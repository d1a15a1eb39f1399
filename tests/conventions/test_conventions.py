"""The translator against itself: what is written is read back, and what cannot be meant is said."""

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
from softstep.config import Config, ConfigError
from softstep.conventions import LIBRARIES, Meaning
from softstep.conventions.reading import complete
from softstep.target import TargetUpdate
from softstep.theory import LinearTD

NAMES = pytest.mark.parametrize("name", LIBRARIES)
GIVEN = {"sb3": {"tau": 0.005, "target_update_interval": 10_000, "train_freq": 4, "gradient_steps": 1, "n_envs": 8}}


def needed(name: str) -> dict[str, float]:
    return {key: 0.005 for key, setting in LIBRARIES[name].settings.items() if setting.default is None}


@NAMES
def test_a_librarys_defaults_are_written_as_themselves(name: str) -> None:
    meaning = conventions.read(name, needed(name))
    (own,) = [t for t in conventions.translate(meaning) if t.library == name]
    assert own.how == "equal"


@given(
    tau=st.one_of(st.just(1.0), st.floats(1e-4, 0.99)),
    period=st.integers(1, 5000),
    envs=st.sampled_from([1, 2, 8, 64]),
    pace=st.sampled_from([Fraction(1, 4), Fraction(1), Fraction(3), Fraction(2, 3)]),
)
def test_what_is_called_equal_means_the_same(tau: float, period: int, envs: int, pace: Fraction) -> None:
    meaning = Meaning(tau, Fraction(period), envs, pace)
    found = conventions.translate(meaning)
    assert {t.library for t in found} == set(LIBRARIES)
    for told in found:
        if told.settings is None:
            assert told.why
            continue
        back = conventions.read(told.library, told.settings)
        if told.how == "equal":
            assert math.isclose(back.tau, tau, rel_tol=1e-6)
            assert back.period == period
        if told.how in ("equal", "same half-life"):
            assert math.isclose(back.half_life, meaning.half_life, rel_tol=1e-6)
            assert math.isclose(back.env_steps_per_gradient_step, envs / pace, rel_tol=1e-6)
    (ours,) = [t for t in found if t.library == "softstep"]
    assert ours.how == "equal"


def test_our_settings_mean_what_the_configuration_says() -> None:
    for envs, every, steps in ((1, 4, 1), (16, 4, 1), (2, 8, 3), (4, 4, 2)):
        config = Config(num_envs=envs, train_every=every, gradient_steps=steps)
        read = conventions.read("softstep", {"num_envs": envs, "train_every": every, "gradient_steps": steps})
        assert float(read.env_steps_per_gradient_step) == config.env_steps_per_gradient_step


def test_the_thread_of_two_million_steps() -> None:
    meaning = conventions.read("sb3", GIVEN["sb3"])
    assert meaning.period == Fraction(625, 2)
    assert meaning.in_env_steps(meaning.time_constant) == pytest.approx(-10_000 / math.log(0.995))
    told = conventions.cautions("sb3", GIVEN["sb3"])
    assert "2 million environment steps" in told[0]
    assert "soft and hard at once" in told[1]


def test_updates_towards_the_same_network_are_one() -> None:
    """Four blends of one share leave c⁴ of the old target."""
    meaning = conventions.read("sb3", {"tau": 0.1, "target_update_interval": 1, "train_freq": 4})
    assert meaning.update.tau == pytest.approx(1 - 0.9**4)
    assert meaning.update.period == 1
    assert meaning.half_life == pytest.approx(meaning.update.half_life)


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
    ("sb3", {"tau": 0.1, "target_update_interval": 1}, {}, "4 target updates per gradient step"),
    ("rejax", {"num_envs": 64}, {}, "at most once per step of all environments"),
]


@pytest.mark.parametrize(("name", "given", "more", "words"), CAUTIONS, ids=[c[3][:30] for c in CAUTIONS])
def test_what_is_probably_not_meant_is_said(
    name: str, given: dict[str, float], more: dict[str, Any], words: str
) -> None:
    told = conventions.cautions(name, given, **more)
    assert any(words in line for line in told), told


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("lab", {}),
        ("sb3-sac", {}),
        ("softstep", {}),
        ("cleanrl", {}),
        ("dopamine", {}),
        ("optax", {"step_size": 0.005}),
    ],
)
def test_sound_settings_get_no_warning(name: str, given: dict[str, float]) -> None:
    assert conventions.cautions(name, given, total_steps=1_000_000) == []


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("sb4", {}, "library 'sb4' is not known; did you mean 'sb3'"),
    ("sb3", {"tua": 1}, "no setting 'tua'; did you mean 'tau'"),
    ("sb3", {"tau": "much"}, "tau = 'much' is no number"),
    ("sb3", {"tau": 1.5}, "must be in [0, 1]"),
    ("sb3", {"tau": 0}, "leaves the target where it is for ever"),
    ("rejax", {"polyak": 1}, "leaves the target where it is for ever"),
    ("sb3", {"n_envs": 2.5}, "must be a whole number"),
    ("sb3", {"train_freq": -2}, "at least 0"),
    ("optax", {}, "optax needs step_size"),
]


@pytest.mark.parametrize(("name", "given", "words"), WRONG, ids=[w[2][:30] for w in WRONG])
def test_settings_that_cannot_be_meant_get_one_line(name: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        conventions.read(name, given)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["target_update_interval", "n_envs", "train_freq"])
def test_zeros_are_no_crash(key: str) -> None:
    assert complete("sb3", {key: 0})[key] == 0
    assert conventions.read("sb3", {key: 0}).period > 0


def test_rescaling_keeps_the_dynamics_per_sample_to_first_order() -> None:
    """THEORY B: b = 1, a = .95, α = .01, c = .99, batch × 8: 2.544e-4 per step → 2.589e-4; with c kept 5.63e-5."""
    problem = LinearTD.scalar(0.95, 1.0)
    before = TargetUpdate(0.01)
    found = conventions.rescale(0.01, before, "batch", 64, 512)

    def rate(alpha: float, c: float, k: float) -> float:
        return float(1 - problem.spectral_radius(alpha, c) ** (1 / k))

    assert rate(0.01, before.c, 1) == pytest.approx(2.54445749e-4, rel=1e-7)
    assert rate(found.learning_rate, found.update.c, found.factor) == pytest.approx(2.58934834e-4, rel=1e-7)
    assert rate(found.learning_rate, before.c, found.factor) == pytest.approx(5.63240695e-5, rel=1e-7)


@pytest.mark.parametrize(
    ("change", "before", "after", "k"), [("batch", 64, 512, 8), ("update-ratio", 0.25, 1, 0.25), ("num-envs", 1, 4, 4)]
)
def test_a_change_is_a_factor_on_what_a_gradient_step_stands_for(
    change: Any, before: float, after: float, k: float
) -> None:
    found = conventions.rescale(1e-3, TargetUpdate(0.005), change, before, after)
    assert (found.factor, found.learning_rate) == (k, k * 1e-3)
    assert found.update.c == pytest.approx(0.995**k)
    assert conventions.rescale(1e-3, TargetUpdate.hard(1000), change, before, after).update.period == round(1000 / k)


def test_the_command_tells_the_meaning_its_equals_and_the_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"{key}={value}" for key, value in GIVEN["sb3"].items()]
    assert main(["convert", "--from", "sb3", *words]) == 0
    told = capsys.readouterr().out
    for part in ("312.5", "cleanrl       tau=0.005 target_network_frequency=10000 train_frequency=32  (equal)",
                 "warning:", "dqn/dqn.py:174-185"):  # fmt: skip
        assert part in told
    assert main(["convert", "--from", "sb3", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["period"] == 312.5
    assert main(["convert", "--from", "list"]) == 0
    assert "target_network_update_freq=500" in capsys.readouterr().out
    assert main(["convert", "rescale", "--learning-rate", "1e-3", "--tau", "0.005", "--batch", "64:512"]) == 0
    assert "0.039307" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
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
def test_wrong_words_get_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith("softstep: ")
    assert told.count("\n") == 1


def test_the_first_line_of_the_help_answers_the_first_question(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    assert "Is c the same as τ? No: c = 1 − τ" in capsys.readouterr().out
