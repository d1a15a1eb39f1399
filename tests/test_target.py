"""The target update's units and conversions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep import theory
from softstep.target import TargetUpdate

taus = st.floats(1e-6, 0.999)
periods = st.integers(1, 1000)


@given(taus, periods)
def test_conversions_are_inverse_to_each_other(tau, period):
    update = TargetUpdate(tau, period)
    for other in (
        TargetUpdate.from_c(update.c, period),
        TargetUpdate.from_half_life(update.half_life, period),
        TargetUpdate.from_lag(update.mean_lag, period),
        update.at_cadence(2 * period).at_cadence(period) if tau < 0.9 else update,
        update.scaled_batch(8).scaled_batch(1 / 8) if tau < 0.9 else update,
    ):
        assert other.tau == pytest.approx(tau, rel=1e-7)
        assert other.period == period


@given(st.floats(1e-3, 0.999), st.integers(1, 5))
def test_mean_lag_is_the_lag_behind_a_moving_network(tau, period):
    update, steps = TargetUpdate(tau, period), math.ceil(40 / tau) * period
    online = np.arange(steps + 1, dtype=float)
    target, lags = 0.0, []
    for t, c in enumerate(theory.schedule(update, steps), start=1):
        target = c * target + (1 - c) * online[t]
        lags.append(online[t] - target)
    assert np.mean(lags[-period:]) == pytest.approx(update.mean_lag, rel=1e-6, abs=1e-9)


@given(st.floats(1e-3, 0.8))
def test_cutoff_halves_the_power(tau):
    update = TargetUpdate(tau)
    assert update.cutoff is not None
    assert abs(theory.frequency_response(update.c, update.cutoff)) ** 2 == pytest.approx(0.5)
    assert TargetUpdate(tau, 3).cutoff == pytest.approx(update.cutoff / 3)


def test_no_cutoff_below_3_minus_2_sqrt_2():
    threshold = 3 - 2 * math.sqrt(2)
    assert TargetUpdate.from_c(threshold - 1e-9).cutoff is None
    assert TargetUpdate.from_c(threshold + 1e-9).cutoff == pytest.approx(math.pi, abs=1e-3)
    assert TargetUpdate.none().cutoff is None
    assert (abs(theory.frequency_response(threshold - 1e-9, np.linspace(0, np.pi, 50))) ** 2 > 0.5 - 1e-9).all()


@given(taus)
def test_noise_gain_and_half_life_and_time_constant(tau):
    update = TargetUpdate(tau)
    assert update.noise_gain == pytest.approx((1 - update.c) / (1 + update.c), rel=1e-9)
    assert update.c**update.half_life == pytest.approx(0.5, rel=1e-6)
    assert update.c**update.time_constant == pytest.approx(math.exp(-1), rel=1e-6)


def test_noise_gain_is_the_energy_of_the_impulse_response():
    assert (theory.impulse_response(0.9, 500) ** 2).sum() == pytest.approx(TargetUpdate(0.1).noise_gain)


def test_hard_and_none():
    hard = TargetUpdate.hard(10)
    assert (hard.half_life, hard.mean_lag, hard.time_constant, hard.noise_gain) == (0, 4.5, 0, 1)
    assert hard.lag_matched_period() == 10
    assert hard.at_cadence(3) == TargetUpdate.hard(3)
    assert hard.scaled_batch(5) == TargetUpdate.hard(2)
    assert TargetUpdate.none().mean_lag == 0
    assert TargetUpdate.from_half_life(0) == TargetUpdate.none()
    assert TargetUpdate.from_lag(4.5, period=10) == hard


def test_lag_matched_copies_agree_to_second_order_in_alpha():
    """The growth rates of soft and lag-matched hard targets differ by O(α³): halving α divides it by 8."""
    problem, update = theory.problems.random_mdp(3), TargetUpdate.from_c(0.6)
    period = update.lag_matched_period()
    assert period == 4

    def difference(alpha: float) -> float:
        return problem.spectral_radius(alpha, update.c) - problem.hard_copy_radius(alpha, period)

    assert difference(2e-3) / difference(1e-3) == pytest.approx(8, rel=0.1)


def test_saturated_c_is_as_fast_as_hard_copies():
    """At αb = 1 Q solves its regression at once, so the equivalent soft target contracts as fast as the copies."""
    problem = theory.LinearTD.scalar(0.9, 1.0)
    c = theory.one_dimension.saturated_c(25, 0.9)
    assert problem.spectral_radius(1.0, c) == pytest.approx(problem.hard_copy_radius(1.0, 25), rel=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TargetUpdate(0.0),
        lambda: TargetUpdate(1.5),
        lambda: TargetUpdate(float("nan")),
        lambda: TargetUpdate(0.5, 0),
        lambda: TargetUpdate(np.float32(1.5)),
        lambda: TargetUpdate(0.5, np.int64(0)),
        lambda: TargetUpdate.from_c(1.0),
        lambda: TargetUpdate.from_c(-0.1),
        lambda: TargetUpdate.from_c(float("nan")),
        lambda: TargetUpdate.from_half_life(-1),
        lambda: TargetUpdate.from_half_life(float("inf")),
        lambda: TargetUpdate.from_lag(0.4, period=2),
        lambda: TargetUpdate.from_lag(float("nan")),
        lambda: TargetUpdate().at_cadence(0),
        lambda: TargetUpdate().scaled_batch(0),
        lambda: TargetUpdate().scaled_batch(float("nan")),
    ],
)
def test_bad_input_raises_one_line(make):
    with pytest.raises(ValueError, match=r"\S") as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", [np.float16, np.float32, np.float64, np.longdouble, Fraction])
def test_real_numbers_of_any_library_become_python_numbers(number):
    update = TargetUpdate(number(0.25), 3)
    assert update == TargetUpdate(0.25, 3)
    assert repr(update) == "TargetUpdate(tau=0.25, period=3)"
    assert TargetUpdate.from_c(number(0.75)) == TargetUpdate(0.25)
    assert TargetUpdate(np.float32(0.005)).tau == float(np.float32(0.005))
    assert TargetUpdate(number(1)).kind == "none"


@pytest.mark.parametrize("number", [np.int8, np.int64, np.uint32])
def test_integers_of_any_library_become_python_integers(number):
    update = TargetUpdate(0.5, number(100))
    assert update == TargetUpdate(0.5, 100)
    assert type(update.period) is int
    assert TargetUpdate.hard(number(7)).lag_matched_period() == 7
    assert TargetUpdate(0.5).at_cadence(number(3)) == TargetUpdate(0.5).at_cadence(3)
    assert TargetUpdate.from_half_life(number(100), number(127)) == TargetUpdate.from_half_life(100, 127)
    assert TargetUpdate.from_lag(number(100), number(127)) == TargetUpdate.from_lag(100, 127)
    assert TargetUpdate(0.5).scaled_batch(number(3)) == TargetUpdate(0.5).scaled_batch(3)
    assert TargetUpdate(number(1), 5) == TargetUpdate(1.0, 5)


@pytest.mark.parametrize("value", [True, np.bool_(True), "0.5", None, np.array(0.5), 1j])
def test_anything_else_is_reported_as_not_a_python_number(value):
    with pytest.raises(ValueError, match=rf"tau = .* must be a Python number, not {type(value).__name__}"):
        TargetUpdate(value)


@pytest.mark.parametrize("value", [True, 2.0, np.float64(2), np.array(2), "2"])
def test_a_period_that_is_not_an_integer_is_reported_as_not_a_python_number(value):
    with pytest.raises(ValueError, match=rf"period = .* must be a Python integer, not {type(value).__name__}"):
        TargetUpdate(0.5, value)
