"""Tests against planted truth: theory predicts which arm diverges, and learner and verdict must agree."""

from __future__ import annotations

from pathlib import Path

import pytest

import softstep
from softstep.comparison.judge import judge_claims
from softstep.config import Config
from softstep.target import TargetUpdate
from softstep.theory import problems

ALPHA, TAU = 0.15, 0.05


def config(problem: str) -> Config:
    return Config(
        env=f"planted/{problem}-v0", env_modules=("planted",), network="planted:linear", optimizer="sgd",
        gamma=0.9, seeds=8, block_width=8, learning_rate=ALPHA, target=TargetUpdate(TAU), learning_starts=2_000,
        train_every=4, gradient_steps=64, total_steps=4_000, record_every=1_000, eval_every=4_000, eval_episodes=2,
        checkpoint_every=4_000,
    )  # fmt: skip


@pytest.mark.parametrize(("problem", "word"), [("only_target", "supported"), ("target_destroys", "refuted")])
def test_the_verdict_depends_on_the_problem(
    problem: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = problems.by_name(problem)
    rate = 2 * ALPHA  # the squared error's gradient has a factor of two
    soft_is_stable, same_is_stable = (truth.spectral_radius(rate, c) < 1 for c in (1 - TAU, 0.0))
    assert soft_is_stable is not same_is_stable
    assert soft_is_stable is (word == "supported")

    monkeypatch.chdir(Path(__file__).parents[1])  # the workers import the environments from here
    criteria = {"margin": 0.1, "floor": -1.0}
    run = softstep.compare(config(problem), tmp_path / "run", arms=("soft", "same-alpha"), **criteria)
    verdicts = judge_claims(run.curves, run.config, None, **criteria)
    (verdict,) = (v for v in verdicts if v.claim == "soft-beats-same-alpha")
    assert (verdict.verdict, verdict.n) == (word, 8)
    assert verdict.estimate == (1 if soft_is_stable else -1)  # every agent of one arm diverged, none of the other
