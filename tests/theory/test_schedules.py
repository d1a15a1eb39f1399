"""The theory under schedules, against plain loops in rationals, and the numbers of docs/harmonic.md."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from softstep import theory
from softstep.target import TargetUpdate

PAGE = (Path(__file__).parents[2] / "docs" / "harmonic.md").read_text(encoding="utf-8")


def matched_factor(gamma: float) -> float:
    return 2 * (1 - gamma) / (gamma ** (-2 / 3) - 1)


@pytest.mark.parametrize("period", [1, 3])
def test_the_ledger_takes_a_schedule_as_update_sequence_or_function(period: int) -> None:
    steps = [Fraction(n * n % 7 - 3, 5) for n in range(40)]
    q = t = Fraction(1)
    exact = [t]
    for n, s in enumerate(steps, 1):
        q += Fraction(1, 4) * s
        if n % period == 0:
            t += min(Fraction(1, 2), Fraction(4, n)) * (q - t)
        exact.append(t)
    update = TargetUpdate.harmonic(0.5, 0.5, 2, period)
    weights = theory.schedule(update, len(steps))
    floats, expected = [float(s) for s in steps], [float(x) for x in exact]
    for c in (weights, weights.tolist(), lambda n: 1.0 if n % period else 1 - min(0.5, 4 / n)):
        np.testing.assert_allclose(theory.ledger(floats, 0.25, c, 1.0).T, expected, rtol=1e-12)
        np.testing.assert_allclose(theory.momentum_form(floats, 0.25, c, 1.0).T, expected, rtol=1e-12)


def test_a_function_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"schedule c contains 2, outside \[0, 1\]"):
        theory.ledger_weights(lambda n: float(n), 3)


def test_the_page_has_the_factors_of_lag_matching() -> None:
    gammas = [float(x) for x in re.search(r"\| γ \|(.*)\|\n", PAGE)[1].split("|")]
    factors = [float(x) for x in re.search(r"\| factor \|(.*)\|\n", PAGE)[1].split("|")]
    assert len(gammas) == len(factors) == 5
    assert factors == [pytest.approx(matched_factor(gamma), abs=5e-4) for gamma in gammas]
    growth = float(re.search(r"g = ([0-9.]+);", PAGE)[1])
    assert growth == pytest.approx(0.99 ** (-2 / 3) - 1, abs=5e-7)
    assert matched_factor(1 - 1e-6) == pytest.approx(3, abs=1e-4)


def test_a_harmonic_target_lags_like_copies_of_geometrically_growing_periods() -> None:
    """At γ = 0.9, over the copies' last cycle of a long run, the mean lags agree once the start is forgotten."""
    gamma, period, copies = 0.9, 20.0, [0]
    while len(copies) < 75:
        copies.append(copies[-1] + round(period))
        period *= gamma ** (-2 / 3)
    first, end = copies[-2:]
    hard = np.mean(np.arange(end - first))
    update, lag, lags = TargetUpdate.harmonic(gamma, 1.0, matched_factor(gamma)), 0.0, []
    for t in range(1, end):
        lag = (1 - update.tau_at(t)) * (lag + 1)
        if t >= first:
            lags.append(lag)
    assert np.mean(lags) == pytest.approx(hard, rel=0.02)
