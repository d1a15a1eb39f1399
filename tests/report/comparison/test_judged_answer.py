"""The answer agrees with the verdicts, and says what would settle open claims."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import polars as pl
import pytest

from softstep.comparison.scores import ReturnCriteria
from softstep.config import Config
from softstep.report.comparison.judged_answer import HEADLINE, is_judged, judged_answer
from softstep.stats import paired_difference

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
        ("supported", "None of the smaller steps that were tried reached"),
        ("refuted", "the soft target did not beat the best one"),
        ("equivalent", "reached equivalent returns"),
        ("inconclusive", "remains open"),
    ],
)
def test_the_short_answer_agrees_with_the_verdict(word: str, words: str) -> None:
    text = answer_to(verdict(word))
    assert words in text
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
