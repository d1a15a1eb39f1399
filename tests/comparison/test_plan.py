"""Tests of a comparison's plan: its arms, what it rejects before training, and its selection."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import softstep
from softstep.cli.main import main
from softstep.comparison.arms import ARMS, candidate_learning_rates, candidate_taus
from softstep.comparison.folders import selection_folder
from softstep.comparison.plan import ComparisonPlan
from softstep.config import Config
from softstep.errors import ConfigError, StoreError
from softstep.runs import run_folder
from softstep.target import TargetUpdate


def config(**changes: Any) -> Config:
    settings = {"env": "CartPole-v1", "target": TargetUpdate(0.01), "eval_every": 1_000}
    return Config(**(settings | changes))


def test_a_plan_survives_the_round_trip_through_json() -> None:
    plan = ComparisonPlan(config(seeds=3), ("soft", "hard"), 2, 4, 10.0, -5.0)
    assert ComparisonPlan.from_json(plan.to_json()) == plan


def test_every_arm_has_the_settings_its_name_says() -> None:
    plan = ComparisonPlan(config(), ARMS[:5], inner_steps=3)
    soft, smaller, blended, same, hard = plan.judged_config({}).arms
    assert (soft.learning_rate, soft.target) == (1e-3, TargetUpdate(0.01))
    assert (smaller.learning_rate, smaller.target) == (pytest.approx(1e-5), TargetUpdate.none())
    assert (blended.blended, blended.target) == (True, TargetUpdate(0.01, 3))
    assert (same.learning_rate, same.target) == (1e-3, TargetUpdate.none())
    assert hard.target == TargetUpdate.hard(199)  # (1 + c)/(1 − c)


def test_both_tuned_arms_have_equally_many_candidates_and_separate_seeds() -> None:
    plan = ComparisonPlan(config(target=TargetUpdate(0.002), seeds=2), ("soft", "best-alpha", "best-soft"))
    assert (len(candidate_learning_rates(plan.config)), len(candidate_taus(plan.config))) == (6, 6)
    selection = plan.selection_config()
    assert len(selection.arms) == 12
    assert {agent.seed for agent in selection.agents()}.isdisjoint(agent.seed for agent in plan.config.agents())


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"arms": ("soft", "hrad")}, "did you mean 'hard'"),
        ({}, {"arms": ("soft", "soft")}, "no arm twice"),
        ({"target": TargetUpdate.none()}, {}, "is not a soft update"),
        ({"eval_every": 0}, {}, "eval_every = 0"),
        ({"solve_at": 475.0}, {}, "solve_at = 475"),
        ({"env": "Taxi-v3"}, {}, "set margin and floor"),
        ({}, {"margin": -1.0}, "margin = -1"),
        ({}, {"inner_steps": 0}, "inner_steps = 0"),
    ],
)
def test_a_plan_that_cannot_be_judged_is_rejected_before_training(
    changes: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ComparisonPlan(config(**changes), **({"arms": ("soft",)} | options))


def test_a_taken_folder_is_rejected_before_the_selection(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match="exists already"):
        softstep.compare(config(), tmp_path / "run", arms=("soft", "best-alpha"))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


TINY = {"total_steps": 2_000, "learning_starts": 100, "checkpoint_every": 500, "eval_episodes": 1, "hidden": (8,)}


def compare_tiny(out: Path, **options: Any) -> softstep.Run:
    return softstep.compare(config(**TINY), out, arms=("soft", "best-alpha"), selection_seeds=1, workers=1, **options)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> softstep.Run:
    return compare_tiny(tmp_path_factory.mktemp("runs") / "whole")


class Stop:
    """Tells the run to stop at the first checkpoint in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self) -> bool:
        return any(self._folder.glob("checkpoint-*"))


@pytest.mark.parametrize("selecting", [True, False], ids=["in the selection", "in the judged run"])
def test_an_interrupted_comparison_resumes_to_the_same_result(
    selecting: bool, undisturbed: softstep.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    interrupted = selection_folder(out) if selecting else out
    stopped = compare_tiny(out, should_stop=Stop(interrupted))
    assert stopped.path == interrupted
    assert not stopped.summary["finished"]
    assert main(["train", "--resume", str(interrupted)]) == 2
    assert f"softstep compare --resume {out}" in capsys.readouterr().err
    if not selecting:
        shutil.rmtree(selection_folder(out))  # the judged run holds what it selected
    assert main(["compare", "--resume", str(interrupted), "--margin", "20"]) == 2
    assert "leave out --margin" in capsys.readouterr().err
    assert main(["compare", "--resume", str(interrupted), "--log", "none", "--workers", "1"]) == 0
    assert selection_folder(out).exists() is selecting
    assert (out / "verdict.json").is_file()
    run = softstep.Run(run_folder.open_run(out))
    assert run.config == undisturbed.config
    assert run.curves.equals(undisturbed.curves)
    again = softstep.resume_comparison(out)
    assert (again.path, again.summary) == (run.path, run.summary)


def test_a_comparison_cannot_be_mistaken_for_a_selection(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="kept for a comparison's selection"):
        compare_tiny(tmp_path / "my-selection")
    with pytest.raises(StoreError, match="is not a comparison"):
        softstep.resume_comparison(tmp_path / "nothing")
