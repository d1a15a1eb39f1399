"""The paragraph agrees with the numbers, even if they contradict expectation."""

import math

import polars as pl
import pytest

from softstep.report.comparison.exploratory_answer import exploratory_answer


def three(soft, smaller, same):
    return {"soft": soft, "smaller-alpha": smaller, "same-alpha": same}


def near(level):
    """Return a curve near `level` that differs by seed."""
    return lambda seed, step: level + 2.0 * seed * (-1) ** seed


def test_the_exact_part_has_the_numbers_of_the_run(make_curves, demo):
    text = exploratory_answer(make_curves(three(near(200), near(-150), near(100))), demo)
    for words in (
        "(1−c)α = 5e-06",
        "first update T therefore equals",
        "from the second update on it does not",
        "0.005·0.995^j",
        "α = 0.001, not (1−c)α",
        "138 updates",
    ):
        assert words in text
    assert "exploratory" in text
    assert "\n" not in text


def test_the_expected_outcome(make_curves, demo):
    text = exploratory_answer(make_curves(three(near(200), near(-150), near(100))), demo)
    assert "soft ended 350 above smaller-alpha and was higher in 3 of 3 seeds. Here the smaller step did not" in text
    assert "soft ended 100 above same-alpha" in text
    assert "target network helped" in text
    assert "0.01 (soft), 0.2 (same-alpha), 0.2 (smaller-alpha). This steadiness" in text
    assert "expectation" not in text


def test_a_same_alpha_that_does_as_well_is_reported(make_curves, demo):
    even = lambda seed, step: 200.0 + (20, -20, 1)[seed]  # noqa: E731
    text = exploratory_answer(make_curves(three(lambda s, t: 200.0, near(-150), even)), demo)
    assert "does not show that the target network raises the return" in text
    assert "target network helped" not in text


def test_a_same_alpha_that_does_better_is_reported(make_curves, demo):
    text = exploratory_answer(make_curves(three(near(200), near(-150), near(240))), demo)
    assert "Against expectation, soft ended 40 below same-alpha" in text


def test_a_smaller_alpha_that_does_better_is_reported(make_curves, demo):
    text = exploratory_answer(make_curves(three(near(200), near(230), near(100))), demo)
    assert "Against expectation, soft ended 30 below smaller-alpha" in text


def test_a_y_that_moves_more_is_reported(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)))
    text = exploratory_answer(
        curves.with_columns(y_drift=pl.when(pl.col("arm") == "soft").then(0.5).otherwise(0.1)), demo
    )
    assert "Against expectation, soft was not steadier" in text


def test_one_seed_cannot_be_distinguished_from_chance(make_curves, demo):
    text = exploratory_answer(make_curves(three(near(200), near(-150), near(100)), seeds=1), demo)
    assert "1 seed cannot distinguish that from chance" in text
    assert "exploratory: they have 1 seed per arm, and a verdict needs at least 8" in text


def test_greedy_returns_are_used_if_every_agent_has_one(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)))
    assert "return over the last 100 training episodes" in exploratory_answer(curves, demo)
    assert "greedy return at the end" in exploratory_answer(
        curves.with_columns(eval_return=pl.col("train_return") + 7), demo
    )


def test_diverged_agents_are_counted(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)))
    curves = curves.with_columns(diverged=(pl.col("arm") == "same-alpha") & (pl.col("seed") < 2))
    assert "2 of 3 same-alpha agents diverged" in exploratory_answer(curves, demo)


def test_a_smaller_alpha_that_is_not_one_minus_c_times_alpha_is_pointed_out(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)))
    rate = pl.when(pl.col("arm") == "smaller-alpha").then(1e-4).otherwise(pl.col("learning_rate"))
    assert "which is not (1−c)α" in exploratory_answer(curves.with_columns(learning_rate=rate), demo)
    assert "which is not (1−c)α" not in exploratory_answer(curves, demo)


@pytest.mark.parametrize(
    "missing",
    [("soft",), ("smaller-alpha",), ("same-alpha",), ("soft", "same-alpha"), ("soft", "smaller-alpha", "same-alpha")],
)
def test_missing_arms_are_reported_and_the_exact_part_remains(make_curves, demo, missing):
    arms = three(near(200), near(-150), near(100)) | {"hard": near(190)}
    text = exploratory_answer(make_curves({arm: curve for arm, curve in arms.items() if arm not in missing}), demo)
    assert "from the second update on it does not" in text
    assert "This run lacks" in text or "none of the arms" in text


def test_missing_returns_are_reported(make_curves, demo):
    nothing = lambda seed, step: math.nan  # noqa: E731
    text = exploratory_answer(make_curves(three(nothing, nothing, nothing), y_drift=math.nan), demo)
    assert "soft none, smaller-alpha none" in text
    assert "cannot be compared" in text
    assert "nan" not in text
