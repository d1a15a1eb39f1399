"""Tests of judging a run folder: what is written, and which folders are rejected."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

import softstep
from softstep.comparison.judge import judge_claims, verdicts_to_json
from softstep.comparison.judge_run import judge_run
from softstep.config import Config
from softstep.errors import StoreError
from softstep.target import TargetUpdate

CONFIG = Config(
    env="CartPole-v1", target=TargetUpdate(0.01), total_steps=600, learning_starts=100, eval_every=300,
    eval_episodes=1, hidden=(8,), record_every=300,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> softstep.Run:
    out = tmp_path_factory.mktemp("runs") / "comparison"
    return softstep.compare(CONFIG, out, arms=("soft", "same-alpha"), margin=3.0, workers=1)


def test_the_verdicts_and_first_steps_are_written_as_they_are_returned(run: softstep.Run) -> None:
    judged = judge_run(str(run.path))
    assert (run.path / "verdict.json").read_text() == verdicts_to_json(judged.verdicts)
    assert json.loads((run.path / "first_steps.json").read_text()) == judged.first_steps.to_dicts()
    assert not (run.path / "report.html").exists()


def test_the_plan_decides_the_margin(run: softstep.Run) -> None:
    judged = judge_run(run)
    assert judged.plan.criteria == (3.0, 0.0)
    expected = judge_claims(run.curves, run.config, judged.first_steps.rows, margin=3.0)
    assert verdicts_to_json(judged.verdicts) == verdicts_to_json(expected)


def test_an_unfinished_run_is_rejected(run: softstep.Run, tmp_path: Path) -> None:
    out = shutil.copytree(run.path, tmp_path / "unfinished")
    (out / "summary.json").write_text(json.dumps({"finished": False}))
    with pytest.raises(StoreError, match="is not finished: softstep compare --resume"):
        judge_run(out)


def test_a_run_without_a_plan_is_rejected(tmp_path: Path) -> None:
    single = softstep.train(dataclasses.replace(CONFIG, total_steps=300), tmp_path / "single", workers=1)
    with pytest.raises(StoreError, match="is not a comparison"):
        judge_run(single)
    assert not (single.path / "verdict.json").exists()
