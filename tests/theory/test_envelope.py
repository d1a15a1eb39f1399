"""The envelope of an iteration equals the largest lengths of its simulated steps, whatever the stretches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep import theory
from softstep.theory.envelope import SAMPLES


def simulated(problem, alpha, c, steps):
    """Return the lengths of θ and w at every step, shape (2, steps + 1)."""
    run = problem.simulate(alpha, c, steps)
    return np.array([np.linalg.norm(path, axis=1) for path in run])


@given(st.integers(0, 700), st.integers(1, 90), st.floats(0.02, 0.6), st.sampled_from([0.5, 0.9, 0.99]))
def test_every_stretch_has_its_largest_length(steps, points, alpha, c):
    problem = theory.problems.resonance()
    lengths = simulated(problem, alpha, c, 2 * steps + points)
    found = theory.envelope(problem.iteration_matrix(alpha, c), steps, parts=2, points=points)
    assert len(found.start) <= points
    assert found.start[-1] <= steps < found.start[-1] + found.stride
    if found.stride > SAMPLES:
        return
    for part in range(2):
        expected = [lengths[part, start : start + found.stride].max() for start in found.start]
        np.testing.assert_allclose(found.size[part], expected, rtol=1e-9)


def test_an_oscillation_far_faster_than_the_points_keeps_its_height():
    turn = 2 * np.pi * np.sqrt(0.03)
    rotation = 0.999999 * np.array([[np.cos(turn), 3 * np.sin(turn)], [-np.sin(turn) / 3, np.cos(turn)]])
    found = theory.envelope(rotation, 1_000_000, points=100)
    height = np.sqrt(1 + 9)  # of the ellipse through (1, 1), where it is longest
    np.testing.assert_allclose(found.size[0], height * 0.999999**found.start, rtol=0.02)


def test_one_point_per_step_is_the_iteration_itself():
    found = theory.envelope([[0.5]], 3)
    assert found.stride == 1
    assert found.size.tolist() == [[1.0, 0.5, 0.25, 0.125]]


@pytest.mark.parametrize(
    ("matrix", "options"), [([[1.0, 2.0]], {}), (np.eye(3), {"parts": 2}), ([[1.0]], {"points": 0})]
)
def test_what_has_no_envelope_is_refused(matrix, options):
    with pytest.raises(ValueError, match=r"matrix|points"):
        theory.envelope(matrix, 5, **options)
