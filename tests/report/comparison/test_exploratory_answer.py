"""The paragraph says what the numbers say, also where they contradict expectation."""

import math

import polars as pl
import pytest

from softstep.report.comparison.exploratory_answer import answer


def three(soft, smaller, same):
    return {"soft": soft, "smaller-alpha": smaller, "same-alpha": same}


def near(level):
    """A return near `level`, different by seed."""
    return lambda seed, step: level + 2.0 * seed * (-1) ** seed


def test_the_exact_part_has_this_runs_numbers(make_curves, demo):
    text = answer(make_curves(three(near(200), near(-150), near(100))), demo)
    for words in (
        "(1−c)α = 5e-06",
        "first update T equals",
        "from the second on it does not",
        "0.005·0.995^j",
        "α = 0.001, not (1−c)α",
        "138 updates",
    ):
        assert words in text
    assert "Exploratory" in text
    assert "\n" not in text


def test_the_expected_outcome(make_curves, demo):
    text = answer(make_curves(three(near(200), near(-150), near(100))), demo)
    assert "soft ended 350 above smaller-alpha, higher in 3 of 3 seeds: the smaller step did not do" in text
    assert "soft ended 100 above same-alpha" in text
    assert "target network helped" in text
    assert "0.01 (soft), 0.2 (same-alpha), 0.2 (smaller-alpha): the steadiness" in text
    assert "expectation" not in text


def test_a_same_alpha_that_does_as_well_is_said(make_curves, demo):
    even = lambda seed, step: 200.0 + (20, -20, 1)[seed]  # noqa: E731
    text = answer(make_curves(three(lambda s, t: 200.0, near(-150), even)), demo)
    assert "that the target network helps the return is not shown here" in text
    assert "target network helped" not in text


def test_a_same_alpha_that_does_better_is_said(make_curves, demo):
    text = answer(make_curves(three(near(200), near(-150), near(240))), demo)
    assert "Against expectation soft ended 40 below same-alpha" in text


def test_a_smaller_alpha_that_does_better_is_said(make_curves, demo):
    text = answer(make_curves(three(near(200), near(230), near(100))), demo)
    assert "Against expectation soft ended 30 below smaller-alpha" in text


def test_a_y_that_moves_more_is_said(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)))
    text = answer(curves.with_columns(y_drift=pl.when(pl.col("arm") == "soft").then(0.5).otherwise(0.1)), demo)
    assert "not steadier under soft, against expectation" in text


def test_one_seed_tells_nothing_from_chance(make_curves, demo):
    text = answer(make_curves(three(near(200), near(-150), near(100)), seeds=1), demo)
    assert "one seed cannot tell that from chance" in text
    assert "Exploratory: one seed per arm is too few" in text


def test_greedy_returns_are_used_where_every_agent_has_one(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)))
    assert "return over the last 100 training episodes" in answer(curves, demo)
    assert "greedy return at the end" in answer(curves.with_columns(eval_return=pl.col("train_return") + 7), demo)


def test_diverged_agents_are_counted(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)))
    curves = curves.with_columns(diverged=(pl.col("arm") == "same-alpha") & (pl.col("seed") < 2))
    assert "2 of 3 same-alpha agents diverged" in answer(curves, demo)


def test_a_step_that_is_not_the_small_one_is_pointed_out(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)))
    rate = pl.when(pl.col("arm") == "smaller-alpha").then(1e-4).otherwise(pl.col("learning_rate"))
    assert "which is not (1−c)α" in answer(curves.with_columns(learning_rate=rate), demo)
    assert "which is not (1−c)α" not in answer(curves, demo)


@pytest.mark.parametrize(
    "missing",
    [("soft",), ("smaller-alpha",), ("same-alpha",), ("soft", "same-alpha"), ("soft", "smaller-alpha", "same-alpha")],
)
def test_missing_arms_are_said_and_the_exact_part_stands(make_curves, demo, missing):
    arms = three(near(200), near(-150), near(100)) | {"hard": near(190)}
    text = answer(make_curves({arm: curve for arm, curve in arms.items() if arm not in missing}), demo)
    assert "from the second on it does not" in text
    assert "Without both" in text or "none of the arms" in text


def test_no_return_at_all_is_said(make_curves, demo):
    nothing = lambda seed, step: math.nan  # noqa: E731
    text = answer(make_curves(three(nothing, nothing, nothing), y_drift=math.nan), demo)
    assert "none finished" in text
    assert "cannot be compared" in text
    assert "nan" not in text
