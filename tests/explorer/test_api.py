"""The explorer's answers: equal to the theory or to an independent run, as plain JSON, and reproduced by their code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from softstep import theory
from softstep.explorer.rooms import api, stability, stories
from softstep.explorer.rooms.api import ENDPOINTS, BadParameter, answer
from softstep.target import TargetUpdate
from softstep.theory import one_dimension, problems

ALPHAS = st.floats(0.01, 1.5)
WEIGHTS = st.one_of(st.just(0.0), st.floats(0.01, 0.999))


# ---- one network ----


@pytest.mark.parametrize("loss", ["bowl", "valley", "double-well", "own"])
@pytest.mark.parametrize("dimensions", [1, 2])
@given(alpha=ALPHAS, c=WEIGHTS, x=st.floats(-3, 3), y=st.floats(-3, 3))
@settings(max_examples=20)
def test_one_network_blended_is_descent_at_the_smaller_rate(loss, dimensions, alpha, c, x, y):
    values = {"loss": loss, "dimensions": dimensions, "alpha": alpha, "c": c, "x": x, "y": y}
    found = answer("one-network", values)
    assert found["alpha_prime"] == (1 - c) * alpha
    assert found["step_ulp"] <= 3
    if (1 - c) * alpha <= 0.2:  # where the loss pulls paths together; elsewhere rounding may grow
        assert found["difference"] <= 1e-12


def test_descent_on_the_bowl_in_closed_form():
    found = answer("one-network", {"loss": "bowl", "alpha": 0.5, "c": 0.8, "x": -2.0, "steps": 30})
    t = np.arange(31)
    np.testing.assert_allclose(found["descent"]["x"], -2.0 * 0.5**t, rtol=1e-13)
    np.testing.assert_allclose(found["soft"]["x"], -2.0 * 0.9**t, rtol=1e-13)
    np.testing.assert_allclose(found["loss"]["soft"], 2.0 * 0.81**t, rtol=1e-12)


def test_a_unit_step_reads_one_minus_c():
    assert "α′ = 1 − c = 0.1" in answer("one-network", {"alpha": 1, "c": 0.9})["relation"]


@pytest.mark.parametrize("k", [2, 5])
def test_lookahead_parts_and_moves_at_the_theorys_rate(k):
    values = {"loss": "bowl", "alpha": 0.5, "c": 0.5, "x": 2.0, "steps": 4 * k, "variant": "lookahead", "k": k}
    found = answer("one-network", values)
    slow = found["soft"]["x"][::k]
    rate = theory.lookahead_alpha(0.5, 0.5, k, 1.0)
    np.testing.assert_allclose(slow, 2.0 * (1 - rate) ** (k * np.arange(5)), rtol=1e-12)
    assert found["rates"]["here"] == [pytest.approx(rate)]
    assert found["difference"] > 0.05
    assert answer("one-network", {**values, "k": 1})["difference"] < 1e-14


def test_nesterov_parts_from_the_smaller_rate_and_without_momentum_does_not():
    values = {"loss": "bowl", "alpha": 0.1, "c": 0.5, "variant": "nesterov"}
    assert answer("one-network", {**values, "mu": 0.9})["difference"] > 0.05
    assert answer("one-network", {**values, "mu": 0.0})["difference"] < 1e-14


def test_paths_that_escape_are_cut_and_say_where():
    found = answer("one-network", {"loss": "bowl", "alpha": 9.0, "c": 0.0, "steps": 60})
    cut = found["escaped"]["descent"]
    assert abs(found["descent"]["x"][cut - 1]) < 1e6
    assert set(found["descent"]["x"][cut:]) == {None}


def test_a_formula_out_of_reach_is_refused_by_name():
    with pytest.raises(BadParameter, match="does not know 'y'") as refusal:
        answer("landscape", {"loss": "own", "formula": "x + y"})
    assert refusal.value.parameter == "formula"


# ---- two networks ----


@given(ALPHAS, WEIGHTS, st.floats(-2, 0.95), st.floats(0.1, 2))
def test_the_first_updates_agree_and_the_second_differ_as_the_theory_says(alpha, c, a, b):
    found = answer("two-networks", {"alpha": alpha, "c": c, "a": a, "b": b, "steps": 5})
    scale = max(1.0, *map(abs, found["Q"][:3]))
    assert abs(found["first"]["apart"]) <= 4e-16 * scale
    assert found["second"]["apart"] == pytest.approx(found["second"]["predicted"], abs=1e-14 * scale)


def test_the_second_updates_are_apart():
    found = answer("two-networks", {"alpha": 0.5, "c": 0.9, "a": 0.9, "b": 1.0})
    assert found["T"][1] == found["X"][1] == pytest.approx(0.995, abs=1e-15)
    assert found["T"][2] == pytest.approx(0.987775, abs=1e-15)
    assert found["X"][2] == pytest.approx(0.990025, abs=1e-15)


@given(ALPHAS, WEIGHTS, st.integers(1, 40))
def test_the_ledger_adds_up_to_the_target(alpha, c, at):
    """T_t = Q_0 + α·Σ share_k·s_k, with the shares of one answer and the steps and T of the other."""
    share = np.array(answer("ledger", {"c": c, "at": at})["share"])
    found = answer("two-networks", {"alpha": alpha, "c": c})
    assert found["T"][at] == pytest.approx(1 + alpha * (share @ found["step"][:at]), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("c", [0.5, 0.8, 0.9])
def test_a_hard_copy_holds_all_steps_before_it_and_none_after(c):
    found = answer("ledger", {"c": c, "at": 40})
    copied = 40 // found["hard_period"] * found["hard_period"]
    assert found["hard"] == [1.0] * copied + [0.0] * (40 - copied)


def test_two_networks_by_hand():
    """An independent loop in plain Python."""
    alpha, c, a, b, q, t, x = 0.3, 0.7, 0.8, 1.1, 2.0, 2.0, 2.0
    found = answer("two-networks", {"alpha": alpha, "c": c, "a": a, "b": b, "start": 2.0, "steps": 50})
    for step in range(50):
        q = q + alpha * (a * t - b * q)
        t = c * t + (1 - c) * q
        x = x + (1 - c) * alpha * (a - b) * x
        assert [found[name][step + 1] for name in "QTX"] == pytest.approx([q, t, x], rel=1e-12)


@given(WEIGHTS)
def test_the_filter_is_the_theorys(c):
    found, update = answer("filter", {"c": c}), TargetUpdate.from_c(c)
    gain = np.abs(theory.frequency_response(c, found["omega"]))
    np.testing.assert_allclose(10 ** (np.array(found["gain_db"]) / 20), gain, rtol=1e-12)
    assert found["cutoff"] == update.cutoff
    if update.cutoff:
        assert abs(theory.frequency_response(c, update.cutoff)) ** 2 == pytest.approx(0.5)
    assert found["hard"].index(1.0) + 1 == update.lag_matched_period() if 1.0 in found["hard"] else True


# ---- stability ----


@pytest.mark.parametrize("name", ["only_target", "target_destroys", "resonance", "baird", "both"])
def test_the_boundary_is_where_the_windows_end(name):
    """Every vertex on a vertical edge of the grid is an end of `stable_c`, on a horizontal one of `stable_alpha`."""
    problem = problems.by_name(name)
    found = answer("stability-map", {"problem": name, "resolution": 15})
    vertices = [v for line in found["boundary"] for v in zip(line["alpha"], line["share"], strict=True)]
    assert len(vertices) > 8
    for alpha, share in vertices[::4]:
        on_column = min(abs(np.log(np.array(found["alpha"]) / alpha))) < 1e-12
        windows = problem.stable_c(alpha) if on_column else problem.stable_alpha(1 - share)
        ends = [1 - end if on_column else end for window in windows for end in window]
        assert min(abs(end / (share if on_column else alpha) - 1) for end in ends if end > 0) < 1e-7


def test_a_boundary_in_passing_is_the_boundary_to_its_tolerance():
    question = {"problem": "only_target", "resolution": 33}
    exact, coarse = (answer("stability-map", question | {"tolerance": t})["boundary"] for t in (1e-13, 0.01))
    cell = np.log(1e4) / 32  # both axes span four decades
    for one, other in zip(exact, coarse, strict=True):
        apart = [np.abs(np.log(np.array(one[k]) / np.array(other[k]))) for k in ("alpha", "share")]
        assert 0 < max(map(np.max, apart)) < 0.01 * cell


@pytest.mark.parametrize("name", problems.NAMED)
def test_the_map_is_the_spectral_radius(name):
    found = answer("stability-map", {"problem": name, "resolution": 7})
    rho = problems.by_name(name).spectral_radius(np.array(found["alpha"])[None], 1 - np.array(found["share"])[:, None])
    np.testing.assert_allclose(found["rho"], rho, rtol=1e-12)
    signs = np.sign(np.round(np.log(rho), 6))
    assert (np.sign(found["shade"])[signs != 0] == signs[signs != 0]).all()


@given(st.sampled_from(problems.NAMED), st.floats(1e-3, 2), WEIGHTS)
def test_a_point_is_the_theorys_and_its_windows_agree(name, alpha, c):
    values = {"problem": name, "alpha": alpha, "c": c}
    found, problem = answer("stability-point", values), problems.by_name(name)
    assert found["rho"] == pytest.approx(problem.spectral_radius(alpha, c), rel=1e-13)
    moduli = [math.hypot(*pair) for pair in found["eigenvalues"]]
    assert max(moduli) == pytest.approx(found["rho"], rel=1e-9)
    windows = answer("stability-windows", values)
    assume(abs(found["rho"] - 1) > 1e-9)
    assert any(low < c < high or c == low == 0 for low, high in windows["stable_c"]) == found["stable"]
    assert any(low < alpha < (high or math.inf) for low, high in windows["stable_alpha"]) == found["stable"]


def test_a_trajectory_by_hand():
    problem, q = problems.only_target(), np.ones(2)
    t, sizes = q, []
    for _ in range(21):
        sizes.append(np.linalg.norm(t))
        q = q + 0.1 * (problem.A @ t - problem.B @ q)
        t = 0.9 * t + 0.1 * q
    found = answer("stability-point", {"problem": "only_target", "alpha": 0.1, "c": 0.9, "steps": 20})
    np.testing.assert_allclose(found["T"], sizes, rtol=1e-12)


def test_a_problem_of_ones_own_is_the_named_one_spelled_out():
    spelled = {"problem": "own", "phi": [[1, 0], [2, 1]], "P": [[0, 1], [0, 1]], "d": [0.5, 0.5], "gamma": 0.9}
    own = answer("stability-point", {**spelled, "alpha": 0.1, "c": 0.9})
    assert own["rho"] == pytest.approx(0.999069598709, abs=1e-12)
    given_back = answer("problem", {"problem": "only_target"})
    assert [given_back[name] for name in ("phi", "P", "d")] == [spelled[name] for name in ("phi", "P", "d")]


@pytest.mark.parametrize("story", stories.STORIES, ids=lambda story: story.id)
def test_stories_are_true(story):
    """The numbers in a story's text are ends of the windows it is about, and its pair does what it says."""
    values = {"problem": story.problem, "gamma": story.gamma, "alpha": story.alpha, "c": story.c}
    rho, low_alpha = answer("stability-point", values)["rho"], stability.ALPHA_RANGE[0]
    ends = [end for window in answer("stability-windows", values)["stable_c"] for end in window]
    problem = getattr(problems, story.problem)(story.gamma)
    single = problem.spectral_radius(np.geomspace(low_alpha, 10, 50), 0.0)
    told = {
        "only-target": ["0.862"], "target-destroys": ["0.950"], "resonance": ["0.410", "0.994"], "smaller-alpha": [],
        "baird": ["0.980"],
    }[story.id]  # fmt: skip
    for number in told:
        assert number in story.text
        assert any(f"{end:.3f}" == number for end in ends), (number, ends)
    stable = story.id in ("only-target", "baird")
    assert (rho < 1) == stable
    if story.id == "smaller-alpha":
        assert answer("stability-point", {**values, "alpha": 0.1})["stable"]
    if story.id in ("only-target", "baird", "smaller-alpha"):
        assert (single > 1).all()
    else:
        assert problem.spectral_radius(0.1, 0.0) < 1


# ---- noise ----


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.98), st.floats(0.05, 0.95))
def test_noise_is_the_theorys(alpha, c, a):
    found = answer("noise", {"alpha": alpha, "c": c, "a": a, "b": 1.0, "steps": 10})
    covariance = theory.LinearTD.scalar(a, 1.0).stationary_covariance(alpha, c)
    assert found["T"] == pytest.approx(covariance.T.item(), rel=1e-7)
    assert found["Q"] == pytest.approx(covariance.Q.item(), rel=1e-7)
    assert found["T_ratio"] < 1 < found["Q_ratio"]
    assert found["T_ratio"] == pytest.approx(found["T"] / found["V1"], rel=1e-7)
    assert found["Q_ratio"] == pytest.approx(found["Q"] / found["V1"], rel=1e-7)
    single = theory.LinearTD.scalar(a, 1.0).stationary_covariance(found["alpha_same_rate"], 0.0).Q.item()
    assert found["V1"] == pytest.approx(single, rel=1e-7)


def test_noise_numbers_of_the_theory():
    found = answer("noise", {"alpha": 0.5, "c": 0.9, "a": 0.9, "b": 1.0})
    assert found["T_ratio"] == pytest.approx(0.989596752633, abs=1e-12)
    assert found["Q_ratio"] == pytest.approx(1.603829219785, abs=1e-12)
    assert found["decay"] == pytest.approx(1 - one_dimension.eigenvalues(0.5, 0.9, 0.9, 1.0)[0].real)


def test_where_there_is_no_variance_it_says_so():
    assert "lower it" in answer("noise", {"alpha": 8.0})["says"]
    assert "every pair diverges" in answer("noise", {"a": 1.5, "b": 1.0})["says"]
    assert answer("noise", {"a": 1.5, "b": 1.0})["T"] is None


# ---- plain values ----


def test_what_is_not_finite_becomes_null():
    mixed = {"a": np.array([1.0, np.nan]), "b": math.inf, "c": np.array([1 + 2j]), "d": (np.int64(3), np.True_)}
    assert api.plain(mixed) == {"a": [1.0, None], "b": None, "c": [[1.0, 2.0]], "d": [3, True]}


# ---- copy as Python ----

STATES: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in ENDPOINTS if name != "stories"],
    ("landscape", {"loss": "valley", "dimensions": 2}),
    ("landscape", {"loss": "own", "formula": "3", "dimensions": 1}),
    ("one-network", {"loss": "own", "dimensions": 2, "formula": "x^2 + sin(3y)*x/2", "alpha": 0.1}),
    ("one-network", {"loss": "own", "formula": "*".join(["sin(x+x*x)"] * 10), "alpha": 0.1}),
    ("one-network", {"loss": "double-well", "variant": "lookahead", "k": 3, "alpha": 0.2}),
    ("one-network", {"loss": "valley", "variant": "nesterov", "mu": 0.7, "alpha": 0.05}),
    ("two-networks", {"alpha": 0.123, "c": 0.77, "a": -0.3, "b": 0.9, "start": -2, "steps": 33}),
    ("ledger", {"c": 0.77, "at": 12}),
    ("filter", {"c": 0.0}),
    ("filter", {"c": 0.995}),
    ("stability-point", {"problem": "baird", "gamma": 0.99, "alpha": 0.01, "c": 0.995}),
    ("stability-point", {"problem": "own", "phi": [[1], [2]], "P": [[0, 1], [0, 1]], "d": [1, 0], "gamma": 0.3}),
    ("stability-windows", {"problem": "resonance", "alpha": 0.1}),
    ("noise", {"alpha": 8.0}),
    ("noise", {"alpha": 1.2, "c": 0.5, "a": 0.1}),
]


def agrees(mine: Any, theirs: Any) -> None:
    """Numbers of a snippet against those of the answer, which are JSON."""
    if isinstance(mine, dict):
        for key, value in mine.items():
            agrees(value, theirs[key])
        return
    if isinstance(theirs, dict):  # a path by its coordinates
        mine, theirs = list(mine), [theirs[key] for key in sorted(theirs)]
    left = np.array(api.plain(mine if not isinstance(mine, list) else np.array(mine)), dtype=float)
    right = np.array(theirs, dtype=float)
    kept = ~np.isnan(right)
    np.testing.assert_allclose(left[kept], right[kept], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(("name", "values"), STATES)
def test_copied_lines_give_the_numbers(name, values):
    found = answer(name, values)
    space: dict[str, Any] = {}
    with np.errstate(all="ignore"):
        exec(found["python"], space)
    assert space["numbers"]
    agrees(space["numbers"], found)
