"""Tests of studies that go on from the table of another folder: what is adopted, what is refused, what is said."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from softstep.cli.main import main
from softstep.errors import StoreError
from softstep.policies.rejudging import study_best_returns
from softstep.runs import versions
from softstep.studies import study_folder
from softstep.studies.agents import StudyAgent, study_agents
from softstep.studies.declaration import declare, spec_content
from softstep.studies.declared_study import Carried, carry, read_carried
from softstep.studies.run_study import Study, study
from softstep.studies.spec import Spec

BASE = """
env = "gymnax:CartPole-v1"
margin = 5.0
floor = 0.0
[base]
total_steps = 600
learning_starts = 100
record_every = 200
eval_every = 300
eval_episodes = 2
eval_max_steps = 50
hidden = [8]
block_width = 1
"""
GRID = f"""{BASE}
[axes]
learning_rate = [1e-3, 1e-2]
c = [0.0, 0.9]
[seeds]
count = 2
"""
CONTEST = f"""{BASE}
[candidates]
count = 2
[contenders.soft]
learning_rate = {{ low = 1e-3, high = 1e-1 }}
tau = {{ low = 1e-3, high = 0.3 }}
[contenders.none]
learning_rate = {{ low = 1e-3, high = 1e-1 }}
c = 0.0
gamma = [0.9, 0.95]
[seeds]
selection = 1
judging = 2
"""
SPEC = Spec.from_toml(CONTEST, source="test")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(SPEC, tmp_path_factory.mktemp("adoption") / "whole", workers=1)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(Spec.from_toml(GRID, source="test"), tmp_path_factory.mktemp("adoption") / "grid", workers=1)


def publish(source: Study, folder: Path, agents: list[StudyAgent] | None = None, spec: Spec | None = None) -> Path:
    """Copy what is small of a study into `folder`: of its table the rows of these agents, or all."""
    folder.mkdir(parents=True)
    for name in ("study.json", "declaration.json", "origins.json"):
        if (source.path / name).exists():
            shutil.copy(source.path / name, folder)
    if spec is not None:
        (folder / "study.json").write_text(spec.to_json())
    wanted = set(agents_of(source.frame) if agents is None else agents)
    kept = [(cell, seed) in wanted for cell, seed in source.frame.select("cell", "seed").rows()]
    source.frame.filter(pl.Series(kept)).write_parquet(folder / "study.parquet")
    return folder


def agents_of(frame: pl.DataFrame) -> list[StudyAgent]:
    return [StudyAgent(*row) for row in frame.select("cell", "seed").unique(maintain_order=True).rows()]


def trained_here(result: Study) -> set[StudyAgent]:
    runs = study_folder.study_runs(result.path)
    return {StudyAgent(agent.arm, agent.seed) for run in runs for agent in run.config.agents()}


def same_winners(one: Study, other: Study) -> bool:
    return (one.path / "winners.json").read_text() == (other.path / "winners.json").read_text()


# ---- what is adopted ----


def test_agents_of_either_stage_are_adopted_and_only_the_others_are_trained(whole: Study, tmp_path: Path) -> None:
    agents = agents_of(whole.frame)
    given = [agents[0], *agents[2:5], agents[-1]]
    assert {agent.seed for agent in given} > {0}  # a winner on a judging seed is among them
    result = study(SPEC, tmp_path / "out", workers=1, adopt=publish(whole, tmp_path / "table", given))
    assert result.finished
    assert trained_here(result) == set(agents) - set(given)
    assert set(result.progress.adopted) == set(given)
    assert result.frame.equals(whole.frame)
    assert same_winners(result, whole)


def test_the_folder_is_needed_once_and_a_second_one_may_be_added(whole: Study, tmp_path: Path) -> None:
    agents = agents_of(whole.frame)
    first, second = (publish(whole, tmp_path / name, agents[part]) for name, part in
                     (("a", slice(0, 3)), ("b", slice(2, None))))  # fmt: skip
    stopped = study(SPEC, tmp_path / "out", workers=1, adopt=str(first), should_stop=lambda: True)
    known = {agent for agent in agents[:3] if agent.seed == 0}  # without winners no judging seed is asked for
    assert set(stopped.progress.finished) == known
    shutil.rmtree(first)
    shutil.rmtree(tmp_path / "out" / "parts")  # nothing is begun
    result = study(SPEC, tmp_path / "out", workers=1, resume=True, adopt=second)
    shutil.rmtree(second)
    assert trained_here(result) == set()
    assert result.frame.equals(whole.frame)
    assert study(SPEC, tmp_path / "out", workers=1, resume=True).frame.equals(whole.frame)


def test_what_is_begun_in_the_folder_stays_its_own(whole: Study, tmp_path: Path) -> None:
    stopped = study(SPEC, tmp_path / "out", workers=1, should_stop=lambda: True)
    begun = trained_here(stopped)
    assert begun
    result = study(SPEC, tmp_path / "out", workers=1, resume=True, adopt=publish(whole, tmp_path / "table"))
    assert trained_here(result) == begun
    assert set(result.progress.adopted) == set(agents_of(whole.frame)) - begun
    assert result.frame.equals(whole.frame)


def test_a_smaller_study_is_adopted_by_a_larger_one(whole: Study, tmp_path: Path) -> None:
    smaller = Spec.from_toml(
        CONTEST.replace("count = 2", "count = 1").replace("judging = 2", "judging = 1"), source="s"
    )
    names = smaller.named_cells()
    given = [agent for agent in agents_of(whole.frame) if agent.cell in names and agent.seed < 2]
    result = study(SPEC, tmp_path / "out", workers=1, adopt=publish(whole, tmp_path / "table", given, smaller))
    assert not trained_here(result) & set(given)
    assert result.frame.equals(whole.frame)
    assert same_winners(result, whole)


def test_a_curve_that_was_cut_off_is_trained_again(whole: Study, tmp_path: Path) -> None:
    folder = publish(whole, tmp_path / "table")
    table, agent = whole.frame, agents_of(whole.frame)[1]
    cut = (pl.col("cell") == agent.cell) & (pl.col("seed") == agent.seed) & (pl.col("env_steps") == 600)
    table.filter(~cut).write_parquet(folder / "study.parquet")
    result = study(SPEC, tmp_path / "out", workers=1, adopt=folder)
    assert trained_here(result) == {agent}
    assert result.frame.equals(whole.frame)


def test_stopped_by_a_signal_and_published_a_study_goes_on_elsewhere(tmp_path: Path) -> None:
    file, out = tmp_path / "map.toml", tmp_path / "stopped"
    file.write_text(GRID)
    reference = study(Spec.from_toml(GRID, source="s"), tmp_path / "undisturbed", workers=1)
    command = [sys.executable, "-m", "softstep", "study", "run", str(file), "--out", str(out), "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("parts/*/checkpoint-0001-*")):  # the second block of a single population
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    finished = agents_of(Study(out).frame)
    assert 1 <= len(finished) < 8
    published = publish(Study(out), tmp_path / "published")
    assert main(["study", "run", str(file), "--out", str(tmp_path / "new"), "--adopt", str(published)]) == 0
    result = Study(tmp_path / "new")
    assert set(result.progress.adopted) == set(finished)
    assert not trained_here(result) & set(finished)
    assert result.frame.equals(reference.frame)


# ---- what is said ----


def test_the_report_and_the_status_say_how_many_agents_were_trained_elsewhere(
    whole: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "s.toml", tmp_path / "out"
    file.write_text(CONTEST)
    agents = agents_of(whole.frame)
    folder = publish(whole, tmp_path / "table", agents[:-1])
    origins = json.loads((folder / "origins.json").read_text())
    origins["origins"][0]["versions"]["cpu"] = "Ferranti <Mark 1>"
    (folder / "origins.json").write_text(json.dumps(origins))
    assert main(["study", "run", str(file), "--out", str(out), "--adopt", str(folder), "--workers", "1"]) == 0
    capsys.readouterr()
    assert main(["study", "status", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["agents"], facts["finished"], facts["adopted"]) == (8, 8, 7)
    page = (out / "report.html").read_text()
    section = page.split("<h2>Agents that were trained elsewhere<")[1].split("<h2")[0]
    assert "7 of 8 agents trained elsewhere: their curves were adopted" in section
    elsewhere, here = [re.findall("<td>(.*?)</td>", row) for row in section.split("<tr>")[2:]]
    assert elsewhere[:3] == ["another folder", "7", "Ferranti &lt;Mark 1&gt;"]
    assert here[:3] == ["this folder", "1", versions.cpu_model()]
    assert elsewhere[3:] == here[3:]
    assert importlib.metadata.version("jaxlib") in here
    assert page.count("7 of 8 agents trained elsewhere") == 2  # also at its head
    assert main(["study", "report", str(whole.path), "--out", str(tmp_path / "plain.html")]) == 0
    assert "elsewhere" not in (tmp_path / "plain.html").read_text()


def test_adopted_twice_an_agent_keeps_the_machine_that_trained_it(whole: Study, tmp_path: Path) -> None:
    folder = publish(whole, tmp_path / "table", agents_of(whole.frame)[:4])
    (folder / "origins.json").unlink()
    second = study(SPEC, tmp_path / "second", workers=1, adopt=folder)
    third = study(SPEC, tmp_path / "third", workers=1, adopt=publish(second, tmp_path / "again"))
    unknown, known = third.origins
    assert (unknown.adopted, unknown.versions, known.adopted) == (True, None, True)
    assert set(unknown.agents) == set(agents_of(whole.frame)[:4])
    assert known.versions == whole.origins[0].versions
    assert {*unknown.agents, *known.agents} == set(study_agents(SPEC, [winner.cell for winner in whole.winners]))


def test_best_checkpoints_of_adopted_agents_are_not_judged_and_a_line_says_so(whole: Study, tmp_path: Path) -> None:
    agents = agents_of(whole.frame)
    result = study(SPEC, tmp_path / "out", workers=1, adopt=publish(whole, tmp_path / "table", agents[:-1]))
    judged = study_best_returns(whole, 2)
    with pytest.warns(RuntimeWarning, match="3 of 4 agents were adopted without their weights") as warned:
        best = study_best_returns(result, 2)
    assert len(warned) == 1
    assert best.equals(judged.filter(cell=agents[-1].cell, seed=agents[-1].seed))


# ---- declarations ----

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def declared_folder(folder: Path, began: datetime | None, *, spec: Spec = SPEC) -> Path:
    """Write what a study's folder says of a declaration made at `MOMENT`."""
    declaration = dataclasses.replace(declare(spec, [], softstep="1", commit=None, reason=None), date=MOMENT)
    content = spec_content(spec)
    runs = [(began or MOMENT, content)]
    carry(folder, spec, [], {folder / "other": Carried([declaration], began, runs)})
    return folder


@pytest.mark.parametrize("days", [1, -1, None])
def test_the_data_of_a_study_began_where_they_began_first(days: int | None, tmp_path: Path) -> None:
    began = None if days is None else MOMENT + timedelta(days=days)
    carried = read_carried(declared_folder(tmp_path, began))
    assert carried is not None
    assert carried.began == began
    assert carried.passes(spec_content(SPEC)) == (days == 1)
    assert len(carried.specs) == 1


def test_agents_of_an_undeclared_study_end_the_proof_of_a_declared_one(whole: Study, tmp_path: Path) -> None:
    file, out = tmp_path / "s.toml", tmp_path / "out"
    file.write_text(CONTEST)
    assert main(["study", "declare", str(file)]) == 0
    folder = publish(whole, tmp_path / "table")
    assert main(["study", "run", str(file), "--out", str(out), "--adopt", str(folder), "--workers", "1"]) == 0
    carried = Study(out).declaration
    assert carried is not None
    assert carried.began is None
    assert "not declared before the data" in (out / "report.html").read_text()


def test_a_declaration_is_carried_along_with_the_first_data_and_every_spec(whole: Study, tmp_path: Path) -> None:
    folder = declared_folder(publish(whole, tmp_path / "table"), MOMENT + timedelta(days=1))
    larger = Spec.from_toml(CONTEST.replace("judging = 2", "judging = 3"), source="s")
    result = study(larger, tmp_path / "out", workers=1, adopt=folder, should_stop=lambda: True)
    carried = result.declaration
    assert carried is not None
    assert carried.in_force is not None
    assert carried.in_force.date == MOMENT
    assert carried.specs[0][0] == MOMENT + timedelta(days=1)
    (deviation,) = carried.deviations(spec_content(larger))
    assert (deviation.difference.field, deviation.date) == ("seeds", carried.specs[1][0])


def test_two_declarations_that_do_not_belong_together_are_refused(whole: Study, tmp_path: Path) -> None:
    folder = declared_folder(publish(whole, tmp_path / "table"), MOMENT)
    other = declare(SPEC, [], softstep="1", commit=None, reason=None)
    with pytest.raises(StoreError, match=r"does not continue the one that .*table began with"):
        study(SPEC, tmp_path / "out", adopt=folder, declarations=[other])
    assert not (tmp_path / "out").exists()


# ---- what is refused ----


def only_evaluations(table: pl.DataFrame) -> pl.DataFrame:
    return table.select("cell", "seed", "env_steps", "eval_return")


def without_ends(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("env_steps") < 600)


@pytest.mark.parametrize(("damage", "message"), [
    ("text", r"the spec has changed since \S+ was created \(base.batch_size: 32 → 64\): leave out --adopt"),
    ("seeds", "no longer asks for 'learning_rate=0.001 c=0', seed 2, and 3 more agents of the study in"),
    ("study.json", "is not a study"),
    ("study.parquet", "has no study.parquet yet"),
    ("bytes", "cannot read"),
    (only_evaluations, "lacks learning_rate, tau"),
    (without_ends, "no agent in the table of .* is trained to its end"),
])  # fmt: skip
def test_a_folder_that_cannot_be_adopted_is_one_line_and_leaves_nothing(
    damage, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], grid: Study
) -> None:
    file, folder, out = tmp_path / "s.toml", publish(grid, tmp_path / "table"), tmp_path / "out"
    file.write_text(GRID)
    stored = json.loads((folder / "study.json").read_text())
    if damage == "text":
        stored["base"]["batch_size"] = 32
    elif damage == "seeds":
        stored["seeds"] = 3
    elif damage == "bytes":
        (folder / "study.parquet").write_bytes(b"PAR1")
    elif callable(damage):
        damage(grid.frame).write_parquet(folder / "study.parquet")
    (folder / "study.json").write_text(json.dumps(stored))
    if damage in ("study.json", "study.parquet"):
        (folder / damage).unlink()
    assert main(["study", "run", str(file), "--out", str(out), "--adopt", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert not out.exists()


def test_a_forecast_takes_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.toml"
    file.write_text(GRID)
    assert main(["study", "run", str(file), "--dry-run", "--adopt", str(tmp_path)]) == 2
    assert "leave out --adopt" in capsys.readouterr().err
