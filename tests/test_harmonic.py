"""The harmonic target: τ_t = min(τ₀, factor/((1−γ)·t)), its settings, and where a configuration takes them from."""

from __future__ import annotations

import dataclasses
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.cli.train import Train
from softstep.comparison.plan import ComparisonPlan
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.settings import Arm, Change, changed
from softstep.target import DEFAULT_TAU, TargetUpdate, adam_tau0

gammas, weights = st.floats(0, 0.999), st.floats(1e-6, 1)
factors = st.floats(1e-3, 100)
HARMONIC = {"schedule": "harmonic"}


def agent_target(config: Config, arm: int = 0) -> TargetUpdate:
    return config.agents()[arm * config.seeds].target


# ---- the formula ----


@given(gammas, weights, factors, st.integers(1, 10**9))
def test_tau_stays_in_its_bounds_and_never_rises(gamma: float, tau0: float, factor: float, step: int) -> None:
    update = TargetUpdate.harmonic(gamma, tau0, factor)
    taus = [update.tau_at(t) for t in (1, step, step + 1, 2 * step)]
    assert all(0 < tau <= tau0 for tau in taus)
    assert taus == sorted(taus, reverse=True)


@given(gammas, weights, factors)
def test_tau_is_constant_until_it_meets_the_harmonic_branch(gamma: float, tau0: float, factor: float) -> None:
    update, meeting = TargetUpdate.harmonic(gamma, tau0, factor), factor / ((1 - gamma) * tau0)
    assert update.tau_at(max(1, math.floor(meeting * (1 - 1e-12)))) == pytest.approx(min(tau0, factor / (1 - gamma)))
    late = math.ceil(meeting) + 1
    assert update.tau_at(late) == pytest.approx(factor / ((1 - gamma) * late), rel=1e-12)


@given(
    st.fractions(0, Fraction(99, 100)), st.fractions(Fraction(1, 1000), 1), st.integers(1, 20), st.integers(1, 10**6)
)
def test_tau_equals_the_formula_in_rationals(gamma: Fraction, tau0: Fraction, factor: int, step: int) -> None:
    exact = min(tau0, factor / ((1 - gamma) * step))
    assert TargetUpdate.harmonic(gamma, tau0, factor).tau_at(step) == pytest.approx(float(exact), rel=1e-12)


def test_a_constant_target_has_one_tau() -> None:
    update = TargetUpdate(0.1, 3)
    assert [update.tau_at(t) for t in (1, 10**6)] == [0.1, 0.1]
    assert update.at(7) == update
    assert update.harmonic_steps == math.inf


def test_at_gives_the_constant_update_of_a_step() -> None:
    update = TargetUpdate.harmonic(0.99, 0.5, 3, period=4)
    assert update.at(599) == TargetUpdate(0.5, 4)
    assert update.at(3000).tau == pytest.approx(0.1)
    assert TargetUpdate.harmonic(0.9, 1.0).kind == "soft"
    assert eval(repr(update)) == update


BAD: list[tuple[dict[str, Any], str]] = [
    ({"gamma": 1.0}, r"gamma = 1.0 is outside \[0, 1\)"),
    ({"gamma": -0.1}, r"gamma = -0.1 is outside \[0, 1\)"),
    ({"gamma": float("nan")}, "gamma = nan"),
    ({"gamma": 0.9, "factor": 0}, "factor = 0 must be finite and above 0"),
    ({"gamma": 0.9, "factor": float("inf")}, "factor = inf"),
    ({"gamma": 0.9, "tau0": 0}, r"tau0 = 0 is outside \(0, 1\]"),
    ({"gamma": 0.9, "tau0": 1.5}, r"tau0 = 1.5 is outside \(0, 1\]"),
    ({"gamma": 0.9, "tau": 0.1, "tau0": 0.2}, "tau = 0.1 is not a setting of a harmonic target: leave it out"),
    ({"schedule": "constant", "tau0": 0.2}, "tau0 = 0.2 is a setting of a harmonic target"),
    ({"schedule": "constant", "gamma": 0.2}, "gamma = 0.2 is a setting of a harmonic target"),
    ({"schedule": "constant", "factor": 2}, "factor = 2 is a setting of a harmonic target"),
    ({"schedule": "cosine"}, "schedule = 'cosine' is unknown"),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=[str(settings) for settings, _ in BAD])
def test_bad_settings_raise_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        TargetUpdate(**HARMONIC | settings)
    assert "\n" not in str(error.value)


def test_what_is_not_constant_is_refused_by_name() -> None:
    update = TargetUpdate.harmonic(0.9)
    for ask in (update.lag_matched_period, lambda: update.at_cadence(2), lambda: update.scaled_batch(2)):
        with pytest.raises(ValueError, match="harmonic target has no constant"):
            ask()
    with pytest.raises(ValueError, match="gamma is missing"):
        _ = TargetUpdate(**HARMONIC).harmonic_steps


# ---- what a configuration leaves open ----


@given(st.floats(1e-6, 1), st.integers(1, 10**8))
def test_the_default_tau0_is_that_of_the_documentation(alpha: float, steps: int) -> None:
    assert adam_tau0(alpha, steps) == pytest.approx(min(0.3, 60 / (alpha**0.5 * steps)))


def test_gamma_and_tau0_left_open_are_the_agents() -> None:
    arms = (Arm("a"), Arm("b", learning_rate=4e-3, gamma=0.9), Arm("c", target=TargetUpdate(0.1)))
    config = Config(
        target=TargetUpdate(**HARMONIC), learning_rate=1e-3, learning_starts=0, total_steps=400_000, arms=arms
    )
    steps = config.total_gradient_steps
    assert steps == 400_000 // 4 - 1
    assert agent_target(config, 0) == TargetUpdate.harmonic(0.99, 60 / (1e-3**0.5 * steps))
    assert agent_target(config, 1) == TargetUpdate.harmonic(0.9, 60 / (4e-3**0.5 * steps))
    assert agent_target(config, 2) == TargetUpdate(0.1)
    assert agent_target(dataclasses.replace(config, optimizer="sgd")).tau == 0.3


def test_the_actor_follows_the_critics_schedule_unless_it_has_a_tau() -> None:
    config = Config(algorithm="td3", target=TargetUpdate.harmonic(0.9, 0.2), arms=(Arm("a"), Arm("b", actor_tau=0.1)))
    first, second = config.agents()
    assert (first.actor_tau, first.actor_harmonic_steps) == (0.2, pytest.approx(30))
    assert (second.actor_tau, second.actor_harmonic_steps) == (0.1, math.inf)


def test_a_change_to_a_harmonic_target_takes_the_agents_gamma() -> None:
    config = Config(gamma=0.9, changes=(Change(100, target=TargetUpdate(**HARMONIC)),))
    assert changed(config.agents()[0], config.changes).target == TargetUpdate.harmonic(0.9, 0.3)


def test_a_gamma_of_one_needs_a_gamma_for_the_schedule() -> None:
    for settings in ({"target": HARMONIC}, {"changes": [{"env_steps": 1, "target": HARMONIC}]}):
        with pytest.raises(ConfigError, match=r"gamma = 1.* is outside \[0, 1\)"):
            Config.from_mapping({"gamma": 1.0, **settings}, source="x")
    assert Config(gamma=1.0, target=TargetUpdate(**HARMONIC, gamma=0.9)).agents()[0].target.gamma == 0.9


@given(st.none() | weights, factors, st.none() | gammas)
def test_json_and_hash_keep_harmonic_targets_apart(tau0: float | None, factor: float, gamma: float | None) -> None:
    config = Config(target=TargetUpdate(**HARMONIC, tau0=tau0, factor=factor, gamma=gamma))
    restored = Config.from_json(config.to_json())
    assert restored == config
    assert restored.content_hash() == config.content_hash() != Config().content_hash()


def test_a_harmonic_target_over_a_base_drops_the_bases_tau() -> None:
    base = Config(target=TargetUpdate(0.01, 2))
    config = Config.from_mapping({"target": HARMONIC}, base, source="x")
    assert config.target == TargetUpdate(period=2, **HARMONIC)
    assert Config.from_mapping({"target": {"period": 3}}, base, source="x").target == TargetUpdate(0.01, 3)
    smaller = Config.from_mapping({"target": {"tau0": 0.1}}, config, source="x")
    assert smaller.target == TargetUpdate(period=2, tau0=0.1, **HARMONIC)
    assert Config.from_mapping({"target": {"tau0": 0.2}}, smaller, source="x").target.tau == 0.2


@pytest.mark.parametrize("tau", [DEFAULT_TAU, 0.1])
def test_a_file_with_a_tau_for_a_harmonic_target_is_refused_even_if_it_is_the_default(tau: float) -> None:
    harmonic = Config(target=TargetUpdate(**HARMONIC))
    for target, base in (
        (HARMONIC | {"tau": tau}, None),
        ({"tau": tau}, harmonic),
        ({"tau0": 0.2, "tau": 0.3}, harmonic),
    ):
        with pytest.raises(ConfigError, match=r"x: target: tau = .* is not a setting of a harmonic target: leave it"):
            Config.from_mapping({"target": target}, base, source="x")
    constant = Config.from_mapping({"target": {"schedule": "constant", "tau": tau}}, harmonic, source="x")
    assert constant.target == TargetUpdate(tau)


# ---- flags, files, comparisons ----


def parsed(flags: str) -> Config:
    return Train.parse("softstep train", f"CartPole-v1 {flags}".split()).configuration()


def test_flags_make_a_target_harmonic_over_a_preset_and_over_a_file(tmp_path: Any) -> None:
    assert parsed("--preset fast --target.schedule harmonic").target == TargetUpdate(**HARMONIC)
    flags = "--target.schedule harmonic --target.tau0 .1 --target.factor 2 --target.gamma .9 --target.period 3"
    assert parsed(flags).target == TargetUpdate.harmonic(0.9, 0.1, 2, 3)
    (file := tmp_path / "c.json").write_text(json.dumps({"target": HARMONIC | {"tau0": 0.2}}))
    assert parsed(f"--config {file} --target.tau0 .1").target.tau == 0.1
    assert parsed(f"--config {file} --target.schedule constant").target == TargetUpdate()
    with pytest.raises(ConfigError, match=r"--target.tau is not a setting of a harmonic target"):
        parsed("--target.schedule harmonic --target.tau .005")


def test_a_comparison_refuses_a_harmonic_target() -> None:
    with pytest.raises(ConfigError, match=r"target.schedule = 'harmonic': the arms of a comparison"):
        ComparisonPlan(Config(env="CartPole-v1", target=TargetUpdate(**HARMONIC), eval_every=100), ("soft",))


@given(st.integers(1, 300), st.integers(1, 7))
def test_a_period_takes_tau_of_the_gradient_step_of_its_update(steps: int, period: int) -> None:
    from softstep.theory import schedule

    update, expected = TargetUpdate.harmonic(0.9, 0.5, 3, period), np.ones(steps)
    for t in range(1, steps + 1):
        if t % period == 0:
            expected[t - 1] = 1 - min(0.5, 3 / ((1 - 0.9) * t))
    np.testing.assert_allclose(schedule(update, steps), expected, rtol=1e-12)
