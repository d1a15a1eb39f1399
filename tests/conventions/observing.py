"""Observations of a target network from outside: when it moves, and by which fraction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softstep.conventions import Meaning


def moved_fractions(online_after: Sequence[np.ndarray], target_before: Sequence[np.ndarray]) -> list[float]:
    """Return, for every gradient step k, the fraction by which the target moved towards Q_k before the next step.

    `online_after[k]` holds the parameters after gradient step k, `target_before[k]` the target's before it, each as a
    vector. The fraction is 0 if the target did not move.
    """
    fractions = []
    for q, before, after in zip(online_after, target_before, target_before[1:], strict=False):
        distant = np.abs(q - before) > 1e-4 * np.abs(q - before).max()
        ratios = (after - before)[distant] / (q - before)[distant]
        fractions.append(float(np.median(ratios)) if len(ratios) else 0.0)
    return fractions


def assert_agrees(fractions: Sequence[float], meaning: Meaning) -> None:
    """Assert that the target moved as often, and by as much, as the meaning says."""
    moves = [fraction for fraction in fractions if fraction > 1e-6]
    expected = len(fractions) / float(meaning.period)
    assert abs(len(moves) - expected) <= 1, (len(moves), expected)
    np.testing.assert_allclose(np.median(moves), meaning.tau, rtol=2e-3)
