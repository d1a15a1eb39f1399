"""Tests of running a study with contenders: its two stages, interruptions in either, and what may be added."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from softstep.cli.main import main
from softstep.errors import StoreError
from softstep.policies import rejudging
from softstep.policies.rejudging import study_best_returns
from softstep.report.shared.formatting import format_result
from softstep.stats import paired_difference
from softstep.studies import study_folder
from softstep.studies.agents import study_agents
from softstep.studies.run_study import Study, study
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents
from softstep.studies.winners import select_winners

TEXT = """
env = "CartPole-v1"
[base]
total_steps = 1_500
learning_starts = 100
checkpoint_every = 300
record_every = 500
eval_every = 500
eval_episodes = 2
hidden = [8]
block_width = 2
[candidates]
count = 2
[contenders.soft]
learning_rate = { low = 1e-3, high = 1e-1 }
tau = { low = 1e-3, high = 0.3 }
[contenders.none]
learning_rate = { low = 1e-3, high = 1e-1 }
c = 0.0
max_grad_norm = "none"
[seeds]
selection = 1
judging = 2
[[claims]]
name = "soft-beats-none"
first = "soft"
second = "none"
"""
SPEC = Spec.from_toml(TEXT, source="test")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(SPEC, tmp_path_factory.mktemp("studies") / "whole", workers=2)


def winners_text(result: Study) -> str:
    return (result.path / "winners.json").read_text()


def test_candidates_have_the_selection_seeds_and_winners_alone_the_judging_seeds(whole: Study) -> None:
    frame = whole.frame
    assert whole.finished
    agents = frame.select("cell", "seed").unique(maintain_order=True).rows()
    winners = [winner.cell for winner in whole.winners]
    assert agents == study_agents(SPEC, winners)
    assert len(agents) == SPEC.num_agents == 8
    assert frame.columns[:5] == ["cell", "contender", "candidate", "max_grad_norm", "c"]
    assert set(frame.filter(contender="soft")["cell"]) == {"soft/1", "soft/2"}
    for name, contender in SPEC.contenders.items():
        for number, candidate in enumerate(contender.candidates, 1):
            rows = frame.filter(contender=name, candidate=number)
            assert set(rows["learning_rate"]) == {candidate["learning_rate"]}
            assert rows["c"].to_list() == pytest.approx([1 - candidate.get("target.tau", 1.0)] * rows.height)


def test_the_winners_are_those_of_the_selection_seeds_in_the_table(whole: Study) -> None:
    selection = whole.frame.filter(pl.col("seed") == 0)
    assert whole.winners == select_winners(summarize_agents(selection, SPEC), SPEC)
    stored = json.loads(winners_text(whole))
    assert stored["metric"] == "final_return"
    assert stored["selection_seeds"] == [0]
    for fields, winner in zip(stored["winners"], whole.winners, strict=True):
        assert fields["settings"] == SPEC.contenders[winner.contender].candidates[winner.candidate - 1]
        assert fields["score"] == max(fields["scores"]) == winner.score


def judging_runs(path: Path) -> list[Path]:
    return [run.path for run in study_folder.study_runs(path) if run.config.seed in SPEC.judging_seeds]


def test_a_study_stopped_in_its_second_stage_goes_on_to_the_same_table(whole: Study, tmp_path: Path) -> None:
    out = shutil.copytree(whole.path, tmp_path / "stopped")
    for part in judging_runs(out):
        shutil.rmtree(part)
    (out / "winners.json").unlink()
    (out / "study.parquet").unlink()
    assert not Study(out).finished
    stopped = study(
        SPEC, out, resume=True, workers=1, should_stop=lambda: any(p.glob("checkpoint-*") for p in judging_runs(out))
    )
    assert not stopped.finished
    assert winners_text(stopped) == winners_text(whole)
    again = study(SPEC, out, resume=True, workers=2)
    assert again.finished
    assert again.frame.equals(whole.frame)


def test_a_stop_in_the_first_stage_chooses_no_winner(tmp_path: Path) -> None:
    stopped = study(SPEC, tmp_path / "stopped", workers=1, should_stop=lambda: True)
    assert not stopped.finished
    assert stopped.winners == []
    assert not judging_runs(stopped.path)


def test_candidates_contenders_and_judging_seeds_may_be_added(whole: Study, tmp_path: Path) -> None:
    smaller = TEXT.replace("count = 2", "count = 1").replace("judging = 2", "judging = 1")
    first = study(Spec.from_toml(smaller, source="s"), tmp_path / "grown", workers=2)
    assert first.frame.height < whole.frame.height
    grown = study(SPEC, tmp_path / "grown", resume=True, workers=2)
    assert grown.frame.equals(whole.frame)
    assert winners_text(grown) == winners_text(whole)
    for changed, difference in (
        (
            TEXT.replace("high = 0.3", "high = 0.4"),
            r"candidate soft/1: .*target.tau.* → .*judging seeds, candidates and",
        ),
        (TEXT.replace("selection = 1", "selection = 2"), "selection: 1 → 2"),
        (TEXT.replace("[seeds]", '[metric]\nprimary = "best_return"\n[seeds]'), "metric: None → best_return"),
        (TEXT.replace("soft-beats-none", "another"), "claims: "),
    ):
        with pytest.raises(StoreError, match=difference):
            study(Spec.from_toml(changed, source="s"), whole.path, resume=True)
    lost = dataclasses.replace(SPEC, contenders={"soft": SPEC.contenders["soft"]}, claims=())
    with pytest.raises(StoreError, match="claims"):
        study(lost, whole.path, resume=True)


def test_a_damaged_list_of_winners_is_one_line(whole: Study, tmp_path: Path) -> None:
    out = shutil.copytree(whole.path, tmp_path / "damaged")
    (out / "winners.json").write_text("{}")
    with pytest.raises(StoreError, match=r"winners.json is damaged .* delete it"):
        _ = Study(out).winners


def test_the_commands_report_a_study_with_contenders(whole: Study, tmp_path: Path, capsys) -> None:
    assert main(["study", "status", str(whole.path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["agents"], facts["finished"], facts["cells"]) == (8, 8, 4)
    assert main(["study", "report", str(whole.path), "--out", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    for words in ("The contenders", "soft-beats-none", "returns-figure", "2 candidates each", "1 seed to select"):
        assert words in page


def test_the_report_judges_best_checkpoints_once_if_asked(
    whole: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, title = shutil.copytree(whole.path, tmp_path / "study"), "Best checkpoints (secondary, not judged)"
    assert main(["study", "report", str(out)]) == 0
    assert title not in (out / "report.html").read_text()
    assert main(["study", "report", str(out), "--best-checkpoints", "0"]) == 2
    assert "episodes = 0 must be at least 1" in capsys.readouterr().err
    assert main(["study", "report", str(out), "--best-checkpoints", "3"]) == 0
    page = (out / "report.html").read_text()
    monkeypatch.setattr(rejudging, "play_block", None)  # nothing is played any more
    assert main(["study", "report", str(out)]) == 0
    assert (out / "report.html").read_text() == page
    best = study_best_returns(out, 3)
    section = page.split(f"<h2>{title}<")[1].split("<h2")[0]
    assert "3 fresh episodes" in section
    assert f"measured for {best.height} agents" in section
    assert best.height == 4
    soft, none = (best.filter(pl.col("cell") == winner.cell)["fresh_return"] for winner in whole.winners)
    difference = paired_difference(soft.to_numpy(), none.to_numpy())
    (row,) = re.findall(r"<tr><t[hd]>soft-beats-none<.*?</tr>", section)
    words = [format_result(value) for value in difference[:3]]
    assert f"<td>{words[0]} [{words[1]}, {words[2]}]</td>" in row
    (contender,) = re.findall(r"<tr><t[hd]>soft<.*?</tr>", page.split("best checkpoint, fresh episodes")[1])[:1]
    assert f"<td>{format_result(soft.mean())} [" in contender


def checkpoints_of(path: Path) -> set[Path]:
    return set(path.glob("parts/*/checkpoint-*"))


@pytest.mark.heavy
def test_killed_at_any_moment_of_either_stage_the_table_is_the_same(whole: Study, tmp_path: Path) -> None:
    file, out = tmp_path / "s.toml", tmp_path / "out"
    longer = TEXT.replace("1_500", "6_000")
    file.write_text(longer)
    reference = study(Spec.from_toml(longer, source="s"), tmp_path / "undisturbed", workers=2)
    command = [sys.executable, "-m", "softstep", "study", "run", str(file), "--out", str(out)]
    stages = set()
    for number in range(5):
        resume, before = (["--resume"] if (out / "study.json").exists() else []), checkpoints_of(out)
        process = subprocess.Popen([*command, *resume], start_new_session=True, stderr=subprocess.DEVNULL)
        while process.poll() is None and checkpoints_of(out) <= before:
            time.sleep(0.02)
        time.sleep(0.2 * number)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            stages.add((out / "winners.json").exists())
        process.wait()
    assert stages
    last = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    assert Study(out).frame.equals(reference.frame)
    assert (out / "winners.json").read_text() == (reference.path / "winners.json").read_text()
