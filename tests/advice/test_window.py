"""The window of τ: how its ends scale, what its sentences say, and the theorem behind the lower end."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.advice import atlas, speed
from softstep.advice.window import (
    LARGEST_TAU,
    OPTIMIZERS,
    SPEED_LIMIT,
    Place,
    remaining_error,
    two_digits,
    window,
)
from softstep.errors import ConfigError
from softstep.theory import LinearTD, one_dimension

gammas = st.floats(0, 0.9999)
alphas = st.floats(1e-6, 1.0)
lengths = st.integers(1, 10**8)
optimizers = st.sampled_from(sorted(OPTIMIZERS))


@given(gammas, lengths, alphas, optimizers, st.integers(2, 1000))
def test_the_lower_end_falls_as_one_over_the_length_and_the_upper_end_stays(gamma, updates, alpha, optimizer, factor):
    short, long = (window(gamma, n, alpha, optimizer) for n in (updates, updates * factor))
    assert long.low == pytest.approx(short.low / factor)
    assert long.certainly_slow == pytest.approx(short.certainly_slow / factor)
    assert long.high == short.high


@given(gammas, gammas, lengths, alphas)
def test_a_longer_horizon_never_lowers_the_lower_end(first, second, updates, alpha):
    below, above = (window(gamma, updates, alpha).low for gamma in sorted((first, second)))
    assert below <= above


@given(gammas, lengths, alphas, alphas, optimizers)
def test_a_larger_step_never_raises_the_upper_end(gamma, updates, first, second, optimizer):
    small, large = (window(gamma, updates, alpha, optimizer).high for alpha in sorted((first, second)))
    assert large <= small <= LARGEST_TAU


@given(gammas, lengths, alphas, st.integers(1, 10**6), st.floats(1e-9, 1))
def test_a_window_and_its_places_agree_per_step_and_per_update(gamma, updates, alpha, period, tau):
    own = window(gamma, updates, alpha, period=period)
    low, high = own.per_update
    assert own.exists == (own.low < own.high and own.low * period <= 1)
    assert 0 < own.certainly_slow < own.low
    place = own.place(tau)
    if tau == 1 and period == 1:
        assert place is Place.NO_TARGET
    elif own.exists and low * (1 + 1e-9) < tau < high * (1 - 1e-9):
        assert place is Place.INSIDE
    elif tau / period < own.low * (1 - 1e-9):
        assert place in (Place.CERTAINLY_SLOW, Place.PROBABLY_SLOW)
    if own.exists:
        assert low <= high


def test_the_places_in_order():
    own = window(0.99, 100_000, 1e-3)
    places = [own.place(tau) for tau in (0.0009, 0.002, 0.02, 0.25, 1.0)]
    assert places == [Place.CERTAINLY_SLOW, Place.PROBABLY_SLOW, Place.INSIDE, Place.FAST, Place.NO_TARGET]


@given(st.floats(1e-6, 1), st.floats(1e-4, 0.9999), st.floats(1e-3, 1))
def test_no_step_size_forgets_faster_than_a_perfect_fit(tau, gamma, alpha):
    """With b = 1 and a = γ, αb = 1 is the perfect fit; its rate is 1 − τ(1−γ), and a smaller α is not faster."""
    c = 1 - tau
    perfect = abs(one_dimension.eigenvalues(1.0, c, gamma, 1.0)[0])
    assert perfect == pytest.approx(remaining_error(tau, gamma, 1), abs=1e-12)
    assert abs(one_dimension.eigenvalues(alpha, c, gamma, 1.0)[0]) >= perfect - 1e-9


def test_the_level_of_the_values_is_the_slowest_mode_of_a_task_that_goes_on():
    """Two states that lead to each other, one feature each: T's error in the constant direction is what is left."""
    gamma, tau, steps = 0.9, 0.05, 40
    chain = LinearTD.from_mdp(phi=[[1, 0], [0, 1]], P=[[0, 1], [1, 0]], d=[1, 1], gamma=gamma)
    path = chain.simulate(1 / chain.B[0, 0], 1 - tau, steps, q0=[1.0, 1.0], t0=[1.0, 1.0])
    assert path.T[-1] == pytest.approx([remaining_error(tau, gamma, steps)] * 2)


@given(gammas, st.integers(1, 10**7), alphas, optimizers)
def test_every_number_in_a_sentence_is_computed(gamma, updates, alpha, optimizer):
    own = window(gamma, updates, alpha, optimizer)
    law = speed.shipped_law()
    known = {
        two_digits(own.low), two_digits(own.high), two_digits(own.certainly_slow), f"{updates:,}", "1", "2", "0.3",
        f"{1 - gamma:.2g}", f"{SPEED_LIMIT:g}", f"{law.cells}", f"{law.environments}", f"{law.scatter:.1f}",
        f"{law.speed(alpha, own.high):.1g}", f"{alpha:g}", f"{law.slowest:g}", f"{law.fastest:g}",
        *(f"{remaining_error(tau, gamma, updates):.0%}" for tau in (own.certainly_slow, own.low, 1.0) if tau <= 1),
    }  # fmt: skip
    for sentence in [*(reason.text for reason in own.reasons), *own.warnings]:
        numbers = re.findall(r"\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?%?", sentence)
        assert {number.rstrip(",") for number in numbers} <= known, sentence


def test_the_upper_end_is_where_y_moves_as_fast_as_allowed():
    law = speed.shipped_law()
    own = window(0.99, 60_000, 3e-3)
    assert own.high < LARGEST_TAU
    assert law.speed(3e-3, own.high) == pytest.approx(SPEED_LIMIT)
    assert window(0.99, 60_000, 3e-3, "sgd").high == LARGEST_TAU


def test_the_law_recovers_a_planted_one():
    def cell(alpha: float, tau: float) -> atlas.Cell:
        return atlas.Cell(alpha, tau, 3, 0.0, 0.0, 0.05 * alpha**0.4 * math.sqrt(tau / (2 - tau)))

    cells = tuple(cell(alpha, tau) for alpha in (1e-4, 1e-3, 1e-2) for tau in (0.01, 0.1, 0.3))
    broken = (atlas.Cell(1e-3, 1.0, 3, 0.0, 0.0, 9.0), atlas.Cell(1e-3, 1e-5, 3, 0.0, 0.0, 9.0))  # are left out
    law = speed.fit([table("A", (*cells, *broken))])
    assert (law.factor, law.exponent, law.scatter) == pytest.approx((0.05, 0.4, 1.0))
    assert (law.cells, law.environments) == (9, 1)
    assert law.speed(2e-3, law.tau_at(1e-3, 2e-3)) == pytest.approx(1e-3)


def table(name: str, cells: tuple[atlas.Cell, ...]) -> atlas.Table:
    return atlas.Table("planted", "map", name, "dqn", 0.9, 2000, "adam", 0.0, 100.0, cells)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 100, 1e-3), "gamma = 1 must be in [0, 1)"), ((-0.1, 100, 1e-3), "gamma"),
        ((math.nan, 100, 1e-3), "gamma"), ((0.9, -5, 1e-3), "updates = -5 must be at least 1"),
        ((0.9, math.inf, 1e-3), "updates"), ((0.9, 100, 0.0), "learning_rate = 0 must be a finite number above 0"),
        ((0.9, 100, 1e-3, "adma"), "did you mean 'ada"), ((0.9, 100, 1e-3, "adam", 0.5), "period = 0.5"),
    ],
)  # fmt: skip
def test_bad_numbers_are_refused_in_one_line(arguments, message):
    with pytest.raises(ConfigError) as caught:
        window(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
