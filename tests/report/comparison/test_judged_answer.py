"""The answer agrees with the verdicts, and says what would settle open claims."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from softstep.comparison.arms import ACTOR_TARGET_ARMS, ARMS
from softstep.comparison.scores import ReturnCriteria, scores_by_seed
from softstep.config import Config
from softstep.report.comparison.judged_answer import HEADLINE, is_judged, judged_answer
from softstep.settings import Arm
from softstep.stats import paired_difference
from softstep.target import TargetUpdate

RESULTS = Path(__file__).parents[3] / "docs" / "results"

SCORES = {"best-soft": {s: 200.0 + s for s in range(20)}, "best-alpha": dict.fromkeys(range(20), 100.0)}


def verdict(word: str, interval: tuple[float, float] = (90.0, 129.0), **changes: Any) -> dict[str, Any]:
    row = {"claim": HEADLINE, "estimand": "mean, best-soft − best-alpha; margin 20", "estimate": np.mean(interval),
            "interval": list(interval), "verdict": word, "arms": ["best-soft", "best-alpha"], "n": 20}  # fmt: skip
    return row | changes


def answer_to(*verdicts: dict[str, Any]) -> str:
    return judged_answer(verdicts, SCORES, _curves(), Config(), ReturnCriteria(20.0, -200.0))


def _curves() -> pl.DataFrame:
    row = {"arm": "best-soft", "seed": 0, "learning_rate": 1e-3, "tau": 1e-3, "period": 1, "env_steps": 100,
           "gradient_steps": 10, "episodes": 1, "train_return": 1.0, "eval_return": 1.0, "loss": 1.0, "q_mean": 1.0,
           "y_drift": 1.0, "target_gap": 1.0, "diverged": False, "y_rms": 1.0, "y_p99": 1.0, "y_sd": 1.0}  # fmt: skip
    return pl.DataFrame([row, row | {"arm": "best-alpha", "tau": 1.0}])


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("supported", "ended lower than best-soft by more than the margin"),
        ("refuted", "best-soft did not end above one network at the best α tried by the margin"),
        ("equivalent", "ended with equivalent returns"),
        ("inconclusive", "remains open"),
    ],
)
def test_the_short_answer_agrees_with_the_verdict(word: str, words: str) -> None:
    text = answer_to(verdict(word))
    assert words in text.split("\n\n")[0]
    assert f"{HEADLINE}: {word} (best-soft − best-alpha: 110 [90, 129])" in text
    assert "best-soft 210 ± 5.92, best-alpha 100 ± 0" in text
    assert text.count("settle") == (word == "inconclusive")


def test_the_estimated_number_of_seeds_settles_the_claim() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(40, 60, 20)
    found = paired_difference(first, np.zeros(20))
    text = answer_to(verdict("inconclusive", (found.low, found.high), estimate=found.estimate))
    (needed,) = map(int, re.findall(r"About (\d+) seeds", text))
    many = np.resize(first, needed)
    assert paired_difference(many, np.zeros(len(many))).low == pytest.approx(20, abs=6)  # the margin


def test_an_estimate_on_the_margin_is_unlikely_to_be_settled() -> None:
    assert "unlikely to settle" in answer_to(verdict("inconclusive", (-30.0, 70.2)))


def test_verdicts_from_few_seeds_are_not_judged() -> None:
    exact = verdict("supported") | {"claim": "first-update-equal", "interval": [None, None]}
    assert is_judged([exact, verdict("inconclusive")])
    assert not is_judged([exact, verdict("exploratory")])
    assert not is_judged([exact])


@pytest.fixture(scope="module")
def lander() -> str:
    """The answer to the committed comparison on Lunar Lander."""
    curves = pl.read_parquet(RESULTS / "lander-curves.parquet")
    verdicts = json.loads((RESULTS / "lander-verdict.json").read_text())
    arms = tuple(
        Arm(row["arm"], row["learning_rate"], TargetUpdate(row["tau"], row["period"]), blended=row["arm"] == "blended")
        for row in curves.unique("arm", keep="first", maintain_order=True).iter_rows(named=True)
    )
    config, fixed = Config(env="LunarLander-v3", arms=arms, seeds=20), ReturnCriteria(20.0, -500.0)
    return judged_answer(verdicts, scores_by_seed(curves, fixed.floor), curves, config, fixed)


def test_the_measured_answer_is_told_as_it_is(lander: str) -> None:
    first, measured, claims, moves, exact = lander.split("\n\n")
    assert "(best-soft − best-alpha: 200 [132, 268], margin 20)" in first
    assert "did no better on these seeds than α itself" in first
    assert "best-soft − same-alpha is 160 [78.3, 241]" in first
    assert "By each seed's best evaluation soft − same-alpha is 30.4 [8.58, 52.3]" in measured
    assert "smaller-alpha − blended is 37.4 [1.19, 73.7], although the two differ in rounding alone" in measured
    assert "no weight of smaller-alpha moved by more than about 0.125 in the whole run" in measured
    assert "y-moves-less: supported (moves of y in its standard deviations, soft / same-alpha: × 0.00958" in claims
    assert "in standard deviations of y: 3.3e-5 (soft)" in moves
    assert "smaller-alpha moves it 6.6 times less than soft and ends lower" in moves
    assert "Agents act with Q and are scored with Q" in exact


def test_every_arm_is_in_the_answer(lander: str) -> None:
    for arm in set(ARMS) - set(ACTOR_TARGET_ARMS):  # the lander's agents are deep Q-learners
        assert re.search(rf"[:,] {arm} −?\d", lander), arm


def test_a_tuned_step_that_did_better_needs_no_caution() -> None:
    scores = SCORES | {"same-alpha": dict.fromkeys(range(20), 50.0)}
    text = judged_answer([verdict("supported")], scores, _curves(), Config(), ReturnCriteria(20.0, -200.0))
    assert "cautious" not in text


def test_blends_every_few_steps_are_not_called_the_same_mathematics() -> None:
    scores = {"blended": dict.fromkeys(range(8), 1.0), "smaller-alpha": dict.fromkeys(range(8), 2.0)}
    for period in (1, 5):
        arms = (Arm("blended", 1e-3, TargetUpdate(0.1, period), blended=True), Arm("smaller-alpha", 1e-4))
        text = judged_answer([], scores, _curves(), Config(arms=arms), ReturnCriteria(20.0, -200.0))
        assert ("rounding alone" in text) == (period == 1)


def test_a_run_without_the_tuned_arms_says_what_it_does_not_ask() -> None:
    other = verdict("supported") | {"claim": "soft-beats-same-alpha"}
    assert "it does not ask whether some smaller α" in answer_to(other)
