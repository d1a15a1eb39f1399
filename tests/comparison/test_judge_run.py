"""Tests of judging a run folder: what is written, and which folders are rejected."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import softstep
from softstep.cli.main import main
from softstep.comparison.best_checkpoints import fresh_differences, fresh_scores
from softstep.comparison.judge import judge_claims, verdicts_to_json
from softstep.comparison.judge_run import judge_run
from softstep.config import Config
from softstep.errors import StoreError
from softstep.policies import rejudging
from softstep.report.shared.formatting import format_result
from softstep.runs.best_returns import BestReturn, BestReturns
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


def test_a_finished_comparison_is_given_its_best_checkpoints(
    run: softstep.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, title = shutil.copytree(run.path, tmp_path / "comparison"), "Best checkpoints (secondary, not judged)"
    arguments = ["compare", "--resume", str(out), "--log", "none"]
    assert main([*arguments, "--best-checkpoints", "0"]) == 2
    assert "--best-checkpoints 0 must be at least 1" in capsys.readouterr().err
    assert main(arguments) == 0
    assert title not in (out / "report.html").read_text()
    before = (out / "verdict.json").read_text()
    assert main([*arguments, "--best-checkpoints", "2"]) == 0
    assert (out / "verdict.json").read_text() == before
    page = (out / "report.html").read_text()
    monkeypatch.setattr(rejudging, "play_block", None)  # later reports show them and play nothing
    assert main(arguments) == 0
    assert (out / "report.html").read_text().count(title) == page.count(title) > 0
    scores = fresh_scores(softstep.best_returns(out, 2), 0.0)
    section = page.split(f"<h2>{title}<")[1].split("<h2")[0]
    for arm in ("soft", "same-alpha"):
        assert f"<td>{format_result(np.mean(list(scores[arm].values())))}" in section
    (claim,) = fresh_differences(scores)
    seeds = sorted(scores["soft"])
    assert claim.difference.estimate == np.mean([scores["soft"][s] - scores["same-alpha"][s] for s in seeds])
    (row,) = re.findall(r"<tr><t[hd]>soft-beats-same-alpha<.*?</tr>", section)
    assert f"<td>{format_result(claim.difference.estimate)}" in row


def test_agents_without_a_best_checkpoint_score_the_floor_or_are_left_out() -> None:
    agents = (BestReturn("soft", 0, 100, 5.0, 4.0), BestReturn("soft", 1, 0, math.nan, math.nan))
    best = BestReturns(agents, 10, 1.0)
    assert fresh_scores(best, -7.0) == {"soft": {0: 4.0, 1: -7.0}}
    assert fresh_scores(best, math.nan) == {"soft": {0: 4.0}}
    assert fresh_differences(fresh_scores(best, -7.0)) == []
