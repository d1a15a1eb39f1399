"""The paragraph agrees with the numbers, even if they contradict expectation."""

import dataclasses
import math
import re

import polars as pl
import pytest

from softstep.comparison.arms import ARMS
from softstep.config import Config
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
    assert "Agents act with Q and are scored with Q" in text


def test_the_expected_outcome(make_curves, demo):
    text = exploratory_answer(make_curves(three(near(200), near(-150), near(100))), demo)
    assert "soft ended 350 above smaller-alpha and was higher in 3 of 3 seeds. Here the smaller step did not" in text
    assert "soft ended 100 above same-alpha" in text
    assert "this run ended higher with the target network" in text
    assert "y moved by, in units of return: 0.01 (soft), 0.2 (smaller-alpha), 0.2 (same-alpha)." in text
    assert "expectation" not in text


def test_the_answer_comes_first_and_what_is_exact_last(make_curves, demo):
    paragraphs = exploratory_answer(make_curves(three(near(200), near(-150), near(100))), demo).split("\n\n")
    starts = ("Soft update, or just a smaller step? No verdict", "Measured on", "Per gradient step", "Exact")
    assert len(paragraphs) == len(starts)
    assert all(paragraph.startswith(start) for paragraph, start in zip(paragraphs, starts, strict=True))


@pytest.mark.parametrize(
    "asked", [ARMS, ("soft", "hard"), ("hard", "best-alpha", "best-soft"), ("blended", "hard"), ("best-soft", "soft")]
)
def test_every_arm_asked_for_is_in_the_answer(make_curves, asked):
    curves = make_curves({arm: near(100 + 20 * number) for number, arm in enumerate(asked)})
    first, measured, *_ = exploratory_answer(curves, Config(seeds=3)).split("\n\n")
    for arm in asked:
        assert re.search(rf"[:,] {arm} {100 + 20 * asked.index(arm) + 1} ±", measured), arm
    if {"soft", "best-soft"} & set(asked):
        reference = "soft" if "soft" in asked else "best-soft"
        for arm in set(asked) - {reference}:
            assert re.search(rf"ended \d+ (above|below) {arm} ", first), arm
    else:
        assert "lacks an arm with a soft update" in first


def test_a_tuned_step_is_compared_with_the_tuned_target(make_curves, demo):
    curves = make_curves({"soft": near(100), "best-alpha": near(150), "best-soft": near(200)})
    text = exploratory_answer(curves, demo)
    assert "best-soft ended 50 above best-alpha" in text
    assert "soft ended 50 below best-alpha" not in text


def test_moves_of_y_are_those_of_the_claims_if_the_run_measured_its_spread(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)), y_sd=4.0)
    drift = pl.when(pl.col("arm") == "smaller-alpha").then(0.002).otherwise("y_drift")
    text = exploratory_answer(curves.with_columns(y_drift=drift), demo)
    assert "in standard deviations of y: 0.0025 (soft), 5.0e-4 (smaller-alpha), 0.05 (same-alpha)" in text
    assert "smaller-alpha moves it 5 times less than soft and ends lower" in text


def test_a_budget_of_steps_too_small_to_matter_is_pointed_out(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)))
    assert "moved by more than about 0.125 in the whole run" in exploratory_answer(curves, demo)  # 5e-6 · 25 000 steps
    for changed in (dataclasses.replace(demo, optimizer="sgd"), demo):
        rate = 1.0 if changed is demo else pl.col("learning_rate")
        assert "Adam" not in exploratory_answer(curves.with_columns(learning_rate=rate), changed)


def test_the_answer_names_the_network_that_is_scored(make_curves, demo):
    curves = make_curves(three(near(200), near(-150), near(100)))
    text = exploratory_answer(curves, dataclasses.replace(demo, eval_network="target"))
    assert "their greedy returns are those of T" in text
    assert "scored with Q" not in text


def test_a_same_alpha_that_does_as_well_is_reported(make_curves, demo):
    even = lambda seed, step: 200.0 + (20, -20, 1)[seed]  # noqa: E731
    text = exploratory_answer(make_curves(three(lambda s, t: 200.0, near(-150), even)), demo)
    assert "does not show that the target network raises the return" in text
    assert "ended higher with the target network" not in text


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
    assert "Against expectation, soft did not move y less" in text


def test_one_seed_cannot_be_distinguished_from_chance(make_curves, demo):
    text = exploratory_answer(make_curves(three(near(200), near(-150), near(100)), seeds=1), demo)
    assert "1 seed cannot distinguish that from chance" in text
    assert "a verdict needs at least 8 seeds per arm and this run has 1: these comparisons are exploratory" in text


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
    assert ("This run lacks" in text) == bool(missing)


def test_missing_returns_are_reported(make_curves, demo):
    nothing = lambda seed, step: math.nan  # noqa: E731
    text = exploratory_answer(make_curves(three(nothing, nothing, nothing), y_drift=math.nan), demo)
    assert "soft none, smaller-alpha none" in text
    assert "cannot be compared" in text
    assert "nan" not in text
