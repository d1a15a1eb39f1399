"""The rooms' numbers: equal to the theory or to an independent computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from softstep import theory
from softstep.explorer.rooms import stability, stories
from softstep.explorer.rooms.endpoints import BadParameter, answer
from softstep.target import TargetUpdate
from softstep.theory import one_dimension, problems

ALPHAS = st.floats(0.01, 1.5)
WEIGHTS = st.one_of(st.just(0.0), st.floats(0.01, 0.999))


# ---- one network ----


@pytest.mark.parametrize("loss", ["bowl", "valley", "double-well", "own"])
@pytest.mark.parametrize("dimensions", [1, 2])
@given(alpha=ALPHAS, c=WEIGHTS, x=st.floats(-3, 3), y=st.floats(-3, 3))
@settings(max_examples=20)
def test_the_soft_update_of_one_network_is_descent_at_the_smaller_rate(loss, dimensions, alpha, c, x, y):
    values = {"loss": loss, "dimensions": dimensions, "alpha": alpha, "c": c, "x": x, "y": y}
    result = answer("one-network", values)
    assert result["alpha_prime"] == (1 - c) * alpha
    assert result["step_ulp"] <= 3
    if (1 - c) * alpha <= 0.2:  # the loss contracts the paths; for larger steps rounding errors may grow
        assert result["difference"] <= 1e-12


def test_descent_on_the_bowl_in_closed_form():
    result = answer("one-network", {"loss": "bowl", "alpha": 0.5, "c": 0.8, "x": -2.0, "steps": 30})
    t = np.arange(31)
    np.testing.assert_allclose(result["descent"]["x"], -2.0 * 0.5**t, rtol=1e-13)
    np.testing.assert_allclose(result["soft"]["x"], -2.0 * 0.9**t, rtol=1e-13)
    np.testing.assert_allclose(result["loss"]["soft"], 2.0 * 0.81**t, rtol=1e-12)


def test_at_alpha_one_the_smaller_rate_is_one_minus_c():
    assert "α′ = 1 − c = 0.1" in answer("one-network", {"alpha": 1, "c": 0.9})["relation"]


@pytest.mark.parametrize("k", [2, 5])
def test_lookahead_differs_and_moves_at_the_predicted_rate(k):
    values = {"loss": "bowl", "alpha": 0.5, "c": 0.5, "x": 2.0, "steps": 4 * k, "variant": "lookahead", "k": k}
    result = answer("one-network", values)
    slow = result["soft"]["x"][::k]
    rate = theory.lookahead_alpha(0.5, 0.5, k, 1.0)
    np.testing.assert_allclose(slow, 2.0 * (1 - rate) ** (k * np.arange(5)), rtol=1e-12)
    assert result["rates"]["here"] == [pytest.approx(rate)]
    assert result["difference"] > 0.05
    assert answer("one-network", {**values, "k": 1})["difference"] < 1e-14


def test_nesterov_differs_from_the_smaller_rate_only_with_momentum():
    values = {"loss": "bowl", "alpha": 0.1, "c": 0.5, "variant": "nesterov"}
    with_momentum, without = (answer("one-network", {**values, "mu": mu}) for mu in (0.9, 0.0))
    assert with_momentum["difference"] > 0.05
    assert "separate" in with_momentum["relation"]
    assert without["difference"] < 1e-14
    assert "the same path" in without["relation"]


def test_diverging_paths_are_cut_and_report_the_step():
    result = answer("one-network", {"loss": "bowl", "alpha": 9.0, "c": 0.0, "steps": 60})
    cut = result["escaped"]["descent"]
    assert abs(result["descent"]["x"][cut - 1]) < 1e6
    assert set(result["descent"]["x"][cut:]) == {None}


def test_an_invalid_formula_is_reported_under_its_parameter():
    with pytest.raises(BadParameter, match="unknown name 'y'") as refusal:
        answer("landscape", {"loss": "own", "formula": "x + y"})
    assert refusal.value.parameter == "formula"


# ---- two networks ----


@given(ALPHAS, WEIGHTS, st.floats(-2, 0.95), st.floats(0.1, 2))
def test_the_first_updates_agree_and_the_second_differ_as_predicted(alpha, c, a, b):
    result = answer("two-networks", {"alpha": alpha, "c": c, "a": a, "b": b, "steps": 5})
    scale = max(1.0, *map(abs, result["Q"][:3]))
    assert abs(result["first"]["apart"]) <= 4e-16 * scale
    assert result["second"]["apart"] == pytest.approx(result["second"]["predicted"], abs=1e-14 * scale)


def test_the_second_updates_differ():
    result = answer("two-networks", {"alpha": 0.5, "c": 0.9, "a": 0.9, "b": 1.0})
    assert result["T"][1] == result["X"][1] == pytest.approx(0.995, abs=1e-15)
    assert result["T"][2] == pytest.approx(0.987775, abs=1e-15)
    assert result["X"][2] == pytest.approx(0.990025, abs=1e-15)


@given(ALPHAS, WEIGHTS, st.integers(1, 40))
def test_the_ledger_adds_up_to_the_target(alpha, c, at):
    """T_t = Q_0 + α·Σ share_k·s_k, with the shares of one answer and the steps and T of the other."""
    share = np.array(answer("ledger", {"c": c, "at": at})["share"])
    result = answer("two-networks", {"alpha": alpha, "c": c})
    assert result["T"][at] == pytest.approx(1 + alpha * (share @ result["step"][:at]), rel=1e-9, abs=1e-9)


@given(st.floats(0, 0.999))
@example(0.995)  # half of a step has arrived after 138 steps
@example(0.999)
def test_the_pictures_of_the_target_span_its_half_life(c):
    half_life = TargetUpdate.from_c(c).half_life
    length = len(answer("two-networks", {"c": c})["Q"]) - 1
    assert length >= max(40, 3 * half_life)
    share = np.array(answer("ledger", {"c": c, "at": length})["share"])
    assert share[0] > 0.87
    assert (share < 0.5).sum() <= half_life + 1  # the steps that the ledger's sentence speaks of are in the picture
    response = answer("filter", {"c": c})
    assert response["age"][-1] >= max(half_life, response["hard_period"])
    assert response["soft"][-1] > 0.5


def test_the_response_to_a_sudden_change_is_that_of_a_slow_target_too():
    response = answer("filter", {"c": 0.9999})
    age = np.array(response["age"])
    np.testing.assert_allclose(response["soft"], 1 - 0.9999**age, rtol=1e-9)
    assert response["hard"] == (age >= response["hard_period"]).tolist()
    assert response["hard_period"] in age


@pytest.mark.parametrize(
    ("alpha", "c", "b", "follows"), [(0.5, 0.9, 1.0, False), (0.5, 0.9, 2.0, True), (0.3, 0, 1.0, True)]
)
def test_the_words_follow_from_whether_the_target_is_a_single_network(alpha, c, b, follows):
    result = answer("two-networks", {"alpha": alpha, "c": c, "b": b})
    assert result["follows"] == follows == (np.abs(result["apart"]).max() < 1e-12)


@pytest.mark.parametrize("c", [0.5, 0.8, 0.9])
def test_a_hard_copy_holds_all_steps_before_it_and_none_after(c):
    result = answer("ledger", {"c": c, "at": 40})
    copied = 40 // result["hard_period"] * result["hard_period"]
    assert result["hard"] == [1.0] * copied + [0.0] * (40 - copied)


def test_two_networks_equal_a_loop_in_plain_python():
    alpha, c, a, b, q, t, x = 0.3, 0.7, 0.8, 1.1, 2.0, 2.0, 2.0
    result = answer("two-networks", {"alpha": alpha, "c": c, "a": a, "b": b, "start": 2.0, "steps": 50})
    for step in range(50):
        q = q + alpha * (a * t - b * q)
        t = c * t + (1 - c) * q
        x = x + (1 - c) * alpha * (a - b) * x
        assert [result[name][step + 1] for name in "QTX"] == pytest.approx([q, t, x], rel=1e-12)


@given(WEIGHTS)
def test_the_filter_has_the_predicted_frequency_response(c):
    result, update = answer("filter", {"c": c}), TargetUpdate.from_c(c)
    gain = np.abs(theory.frequency_response(c, result["omega"]))
    np.testing.assert_allclose(10 ** (np.array(result["gain_db"]) / 20), gain, rtol=1e-12)
    assert result["cutoff"] == update.cutoff
    if update.cutoff:
        assert abs(theory.frequency_response(c, update.cutoff)) ** 2 == pytest.approx(0.5)
    assert result["age"][result["hard"].index(1.0)] == update.lag_matched_period()


# ---- stability ----


@pytest.mark.parametrize("name", ["only_target", "target_destroys", "resonance", "baird", "both"])
def test_the_boundary_lies_at_the_ends_of_the_stable_intervals(name):
    """A vertex on a vertical grid edge is an end of `stable_c`, one on a horizontal edge an end of `stable_alpha`."""
    problem = problems.by_name(name)
    result = answer("stability-map", {"problem": name, "resolution": 15})
    vertices = [v for line in result["boundary"] for v in zip(line["alpha"], line["share"], strict=True)]
    assert len(vertices) > 8
    for alpha, share in vertices[::4]:
        on_column = min(abs(np.log(np.array(result["alpha"]) / alpha))) < 1e-12
        windows = problem.stable_c(alpha) if on_column else problem.stable_alpha(1 - share)
        ends = [1 - end if on_column else end for window in windows for end in window]
        assert min(abs(end / (share if on_column else alpha) - 1) for end in ends if end > 0) < 1e-7


def test_a_coarse_boundary_is_accurate_to_its_tolerance():
    values = {"problem": "only_target", "resolution": 33}
    exact, coarse = (answer("stability-map", values | {"tolerance": t})["boundary"] for t in (1e-13, 0.01))
    cell = np.log(1e4) / 32  # both axes span four decades
    for line, coarse_line in zip(exact, coarse, strict=True):
        errors = [np.abs(np.log(np.array(line[k]) / np.array(coarse_line[k]))) for k in ("alpha", "share")]
        assert 0 < max(map(np.max, errors)) < 0.01 * cell


@pytest.mark.parametrize("name", problems.NAMED)
def test_the_map_is_the_spectral_radius(name):
    result = answer("stability-map", {"problem": name, "resolution": 7})
    rho = problems.by_name(name).spectral_radius(
        np.array(result["alpha"])[None], 1 - np.array(result["share"])[:, None]
    )
    np.testing.assert_allclose(result["rho"], rho, rtol=1e-12)
    signs = np.sign(np.round(np.log(rho), 6))
    assert (np.sign(result["shade"])[signs != 0] == signs[signs != 0]).all()


@given(st.sampled_from(problems.NAMED), st.floats(1e-3, 2), WEIGHTS)
def test_a_point_has_the_predicted_growth_and_agrees_with_the_stable_intervals(name, alpha, c):
    values = {"problem": name, "alpha": alpha, "c": c}
    result, problem = answer("stability-point", values), problems.by_name(name)
    assert result["rho"] == pytest.approx(problem.spectral_radius(alpha, c), rel=1e-13)
    moduli = [math.hypot(*pair) for pair in result["eigenvalues"]]
    assert max(moduli) == pytest.approx(result["rho"], rel=1e-9)
    windows = answer("stability-windows", values)
    assume(abs(result["rho"] - 1) > 1e-9)
    assert any(low < c < high or c == low == 0 for low, high in windows["stable_c"]) == result["stable"]
    assert any(low < alpha < (high or math.inf) for low, high in windows["stable_alpha"]) == result["stable"]


def test_a_trajectory_equals_a_loop_in_plain_python():
    problem, q = problems.only_target(), np.ones(2)
    t, sizes = q, []
    for _ in range(21):
        sizes.append(np.linalg.norm(t))
        q = q + 0.1 * (problem.A @ t - problem.B @ q)
        t = 0.9 * t + 0.1 * q
    result = answer("stability-point", {"problem": "only_target", "alpha": 0.1, "c": 0.9, "steps": 20})
    np.testing.assert_allclose(result["T"], sizes, rtol=1e-12)


@given(st.sampled_from(problems.NAMED), st.sampled_from([0.9, 0.99]), st.floats(-3, 1), st.floats(-4, 0))
@example("only_target", 0.9, -1.0, -1.0)  # halves every 745 steps, after a rise from 1.4 to 3.8
@example("only_target", 0.99, -3.0, -3.5)  # three half-lives end before the slower parts of the error have faded
@example("only_target", 0.99, -1.0, math.log10(0.0316))
def test_the_trajectory_shows_the_growth_or_decay_that_the_words_name(name, gamma, log_alpha, log_share):
    values = {"problem": name, "gamma": gamma, "alpha": 10**log_alpha, "c": 1 - 10**log_share}
    result = answer("stability-point", values)
    time = stability.time_scale(result["rho"])
    assume(time < 1e7)  # slower ones end in rounding
    distance = np.array([value for value in result["Q"] if value is not None])
    assert len(distance) <= 200
    assert result["steps"] >= 3 * time
    if result["stable"]:
        assert distance[-1] <= distance.max() / 2
        assert "half-lives" in result["note"] or time < 1
    else:
        assert distance[-1] >= 2 * distance.min() or len(distance) < len(result["Q"])  # or it left the picture


def test_the_trend_touches_the_trajectory():
    result = answer("stability-point", {"problem": "only_target", "alpha": 0.1, "c": 0.9})
    ratio = np.array(result["Q"]) / np.array(result["trend"])
    assert ratio[100:].max() == pytest.approx(1)
    np.testing.assert_allclose(np.diff(np.log(result["trend"])), math.log(result["rho"]) * result["stride"], rtol=1e-6)


def test_a_named_problem_entered_by_hand_gives_the_same_numbers():
    entered = {"problem": "own", "phi": [[1, 0], [2, 1]], "P": [[0, 1], [0, 1]], "d": [0.5, 0.5], "gamma": 0.9}
    own = answer("stability-point", {**entered, "alpha": 0.1, "c": 0.9})
    assert own["rho"] == pytest.approx(0.999069598709, abs=1e-12)
    named = answer("problem", {"problem": "only_target"})
    assert [named[name] for name in ("phi", "P", "d")] == [entered[name] for name in ("phi", "P", "d")]


@pytest.mark.parametrize("story", stories.STORIES, ids=lambda story: story.id)
def test_stories_are_true(story):
    """The numbers in a story's text are ends of stable intervals, and its pair is as stable as the text says."""
    values = {"problem": story.problem, "gamma": story.gamma, "alpha": story.alpha, "c": story.c}
    rho, low_alpha = answer("stability-point", values)["rho"], stability.ALPHA_RANGE[0]
    ends = [end for window in answer("stability-windows", values)["stable_c"] for end in window]
    problem = getattr(problems, story.problem)(story.gamma)
    single = problem.spectral_radius(np.geomspace(low_alpha, 10, 50), 0.0)
    numbers = {
        "only-target": ["0.862"], "target-destroys": ["0.950"], "resonance": ["0.410", "0.994"], "smaller-alpha": [],
        "baird": ["0.980"],
    }[story.id]  # fmt: skip
    for number in numbers:
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
def test_the_variances_are_the_predicted_ones(alpha, c, a):
    result = answer("noise", {"alpha": alpha, "c": c, "a": a, "b": 1.0, "steps": 10})
    covariance = theory.LinearTD.scalar(a, 1.0).stationary_covariance(alpha, c)
    assert result["T"] == pytest.approx(covariance.T.item(), rel=1e-7)
    assert result["Q"] == pytest.approx(covariance.Q.item(), rel=1e-7)
    assert result["T_ratio"] < 1 < result["Q_ratio"]
    assert result["T_ratio"] == pytest.approx(result["T"] / result["V1"], rel=1e-7)
    assert result["Q_ratio"] == pytest.approx(result["Q"] / result["V1"], rel=1e-7)
    single = theory.LinearTD.scalar(a, 1.0).stationary_covariance(result["alpha_same_rate"], 0.0).Q.item()
    assert result["V1"] == pytest.approx(single, rel=1e-7)


def test_the_ratios_at_one_pair_are_known_numbers():
    result = answer("noise", {"alpha": 0.5, "c": 0.9, "a": 0.9, "b": 1.0})
    assert result["T_ratio"] == pytest.approx(0.989596752633, abs=1e-12)
    assert result["Q_ratio"] == pytest.approx(1.603829219785, abs=1e-12)
    assert result["decay"] == pytest.approx(1 - one_dimension.eigenvalues(0.5, 0.9, 0.9, 1.0)[0].real)


def test_a_run_too_short_for_its_variance_says_so():
    slow, fast = ({"alpha": 0.5, "c": c, "a": 0.5} for c in (0.999, 0.8))
    assert "At this rate they need 2\u202f000 steps" in answer("noise", slow)["run"]["says"]
    assert "At this rate" not in answer("noise", fast)["run"]["says"]


def test_a_missing_variance_is_explained():
    assert "lower it" in answer("noise", {"alpha": 8.0})["says"]
    assert "diverges for every α and c" in answer("noise", {"a": 1.5, "b": 1.0})["says"]
    assert answer("noise", {"a": 1.5, "b": 1.0})["T"] is None
