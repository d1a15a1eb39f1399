"""The plan of a comparison: its arms, what it refuses before anything is trained, and what it selects."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import softstep
from softstep.cli.main import main
from softstep.comparison.arms import ARMS, candidates
from softstep.comparison.folders import selection_folder
from softstep.comparison.plan import Plan
from softstep.config import Config
from softstep.errors import ConfigError, StoreError
from softstep.runs import run_folder
from softstep.target import TargetUpdate


def config(**changes: Any) -> Config:
    settings = {"env": "CartPole-v1", "target": TargetUpdate(0.01), "eval_every": 1_000}
    return Config(**(settings | changes))


def test_a_plan_comes_back_from_its_json() -> None:
    plan = Plan(config(seeds=3), ("soft", "hard"), 2, 4, 10.0, -5.0)
    assert Plan.from_json(plan.to_json()) == plan


def test_every_arm_is_what_its_name_says() -> None:
    plan = Plan(config(), ARMS[:5], inner_steps=3)
    soft, smaller, blended, same, hard = plan.judged({}).arms
    assert (soft.learning_rate, soft.target) == (1e-3, TargetUpdate(0.01))
    assert (smaller.learning_rate, smaller.target) == (pytest.approx(1e-5), TargetUpdate.none())
    assert (blended.blended, blended.target) == (True, TargetUpdate(0.01, 3))
    assert (same.learning_rate, same.target) == (1e-3, TargetUpdate.none())
    assert hard.target == TargetUpdate.hard(199)  # (1 + c)/(1 − c)


def test_both_tuned_arms_have_as_many_candidates_and_seeds_of_their_own() -> None:
    plan = Plan(config(target=TargetUpdate(0.002), seeds=2), ("soft", "best-alpha", "best-soft"))
    alphas, taus = candidates(plan.config)
    assert (len(alphas), len(taus)) == (6, 6)
    selecting, judging = plan.selection(), plan.config
    assert {a.seed for a in selecting.agents()}.isdisjoint(a.seed for a in judging.agents())


@pytest.mark.parametrize(
    ("changes", "given", "words"),
    [
        ({}, {"arms": ("soft", "hrad")}, "did you mean 'hard'"),
        ({}, {"arms": ("soft", "soft")}, "each arm once"),
        ({"target": TargetUpdate.none()}, {}, "no soft update"),
        ({"eval_every": 0}, {}, "eval_every = 0"),
        ({"solve_at": 475.0}, {}, "solve_at = 475"),
        ({"env": "Taxi-v3"}, {}, "give --margin and --floor"),
        ({}, {"margin": -1.0}, "--margin -1"),
        ({}, {"inner_steps": 0}, "inner_steps = 0"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_it_is_trained(
    changes: dict[str, Any], given: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        Plan(config(**changes), **({"arms": ("soft",)} | given))


def test_a_taken_folder_is_refused_before_the_selection(tmp_path: Path) -> None:
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
    """Stops the run at the first checkpoint of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self) -> bool:
        return any(self._folder.glob("checkpoint-*"))


@pytest.mark.parametrize("selecting", [True, False], ids=["in the selection", "in the judged run"])
def test_an_interrupted_comparison_goes_on_to_the_same_end(
    selecting: bool, undisturbed: softstep.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    hit = selection_folder(out) if selecting else out
    stopped = compare_tiny(out, should_stop=Stop(hit))
    assert stopped.path == hit
    assert not stopped.summary["finished"]
    assert main(["train", "--resume", str(hit)]) == 2
    assert f"softstep compare --resume {out}" in capsys.readouterr().err
    if not selecting:
        shutil.rmtree(selection_folder(out))  # what it selected stands in the judged run
    assert main(["compare", "--resume", str(hit), "--margin", "20"]) == 2
    assert "leave out --margin 20" in capsys.readouterr().err
    assert main(["compare", "--resume", str(hit), "--no-tensorboard", "--workers", "1"]) == 0
    assert selection_folder(out).exists() is selecting
    assert (out / "verdict.json").is_file()
    run = softstep.Run(run_folder.open_run(out))
    assert run.config == undisturbed.config
    assert run.curves.equals(undisturbed.curves)
    again = softstep.resume_comparison(out)
    assert (again.path, again.summary) == (run.path, run.summary)


def test_no_comparison_is_taken_for_a_selection(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="named as a selection"):
        compare_tiny(tmp_path / "my-selection")
    with pytest.raises(StoreError, match="is no comparison"):
        softstep.resume_comparison(tmp_path / "nothing")
