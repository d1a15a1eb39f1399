"""A run that is lengthened equals, bit for bit, the run that had been so long from the start."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import Tape, small

import softstep
import softstep.runs.api
from softstep.cli.main import main
from softstep.config import Config
from softstep.errors import ConfigError, StoreError
from softstep.runs import checkpoints, run_folder
from softstep.runs.api import Run
from softstep.settings import Arm, Change, Exploration
from softstep.target import TargetUpdate
from softstep.training.program_cache import ProgramCache
from softstep.worker.in_process import run_blocks_here

LONG = 700

ENDS: dict[str, dict[str, Any]] = {
    "neither a record nor an evaluation is due": {"total_steps": 330, "eval_every": 150, "probe": 8},
    "a record is due, an evaluation is not": {"total_steps": 400, "eval_every": 150},
    "the gate is closed": {"total_steps": 300, "eval_every": 150, "eval_gate": 1e6, "record_every": 150},
    "both are due": {"total_steps": 300, "eval_every": 150, "record_every": 150},
    "no evaluation at all": {"total_steps": 331},
    "the last evaluation alone would solve it": {"total_steps": 330, "eval_every": 500, "solve_at": 1.0},
    "in the middle of an iteration": {"total_steps": 333, "train_every": 4, "record_every": 90},
    "schedules are still running": {
        "total_steps": 230, "learning_rate_decay": 0.1, "learning_rate_decay_steps": 600,
        "exploration": Exploration(steps=500),
    },
    "before learning starts": {"total_steps": 110, "learning_starts": 200},
}  # fmt: skip
"""How a run may end: which records and evaluations are made only because it ends there."""


def train(config: Config, out: Path, calls: int | None = None) -> Run:
    """Train to the end, or until the question whether to stop has been asked `calls` times."""
    asked = iter([False] * (10_000 if calls is None else calls))
    return softstep.runs.api.train(config, out, execute=run_blocks_here, should_stop=lambda: next(asked, True))


def lengthen(run: Run, total_steps: int | None, calls: int | None = None) -> Run:
    asked = iter([False] * (10_000 if calls is None else calls))
    return softstep.resume(
        run.path, total_steps=total_steps, execute=run_blocks_here, should_stop=lambda: next(asked, True)
    )


def assert_same(run: Run, reference: Run) -> None:
    assert run.config == reference.config
    for block in range(len(reference.config.blocks())):
        ours, theirs = (checkpoints.read_checkpoint(of.folder, block) for of in (run, reference))
        assert ours is not None
        assert theirs is not None
        assert ours.arrays.keys() == theirs.arrays.keys()
        for name, array in theirs.arrays.items():
            np.testing.assert_array_equal(ours.arrays[name], array, err_msg=name)
        for rows, expected in zip(ours.rows, theirs.rows, strict=True):
            np.testing.assert_array_equal(rows[-run.config.memory_size :], expected[-run.config.memory_size :])
    assert run.curves.equals(reference.curves)
    assert run.episodes.equals(reference.episodes)


@pytest.mark.parametrize(
    ("env", "end"), [("CartPole-v1", end) for end in ENDS] + [("gymnax:CartPole-v1", end) for end in list(ENDS)[:1]]
)
def test_a_block_goes_on_from_its_end_as_if_it_had_not_ended(env: str, end: str) -> None:
    config, cache = small(env=env, eval_episodes=2, **ENDS[end]), ProgramCache()
    short, long = Tape(config), Tape(dataclasses.replace(config, total_steps=LONG))
    short.run(cache=cache)
    long.run(cache=cache)
    resumed = Tape(long.config)
    resumed.run(short.restored(len(short.snapshots) - 1), cache=cache)
    ours, theirs = resumed.snapshots[-1].arrays, long.snapshots[-1].arrays
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


def test_a_finished_run_is_lengthened_exactly(tmp_path: Path) -> None:
    short = small(env="CartPole-v1", eval_episodes=2, total_steps=330, eval_every=150, seeds=2)
    reference = train(dataclasses.replace(short, total_steps=LONG), tmp_path / "long")
    run = train(short, tmp_path / "run")
    assert run.curves["env_steps"].max() == 330
    run = lengthen(run, LONG)
    assert run.summary["finished"]
    assert run.summary["lengthened_from"] == [short.total_steps]
    assert_same(run, reference)


def test_an_interrupted_run_is_lengthened_twice_with_an_interruption_in_between(tmp_path: Path) -> None:
    config = small(env="CartPole-v1", seeds=3, block_width=2, total_steps=230, eval_every=150, eval_episodes=2)
    reference = train(dataclasses.replace(config, total_steps=600), tmp_path / "long")
    run = train(config, tmp_path / "run", calls=2)
    assert not run.summary["finished"]
    run = lengthen(run, 430)
    assert run.summary["finished"]
    assert not lengthen(run, 600, calls=1).summary["finished"]
    run = lengthen(run, None)
    assert run.summary["lengthened_from"] == [230, 430]
    assert_same(run, reference)


def test_a_lengthened_run_that_is_killed_at_once_is_unfinished(tmp_path: Path) -> None:
    run = train(small(total_steps=130), tmp_path / "run")

    def die(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        softstep.resume(run.path, total_steps=300, execute=die)
    run = softstep.resume(run.path, execute=run_blocks_here)
    assert run.summary["finished"]
    assert_same(run, train(small(total_steps=300), tmp_path / "long"))


def test_the_length_it_has_changes_nothing(tmp_path: Path) -> None:
    run = train(small(total_steps=100), tmp_path / "run")
    before = (run.path / "summary.json").read_bytes()
    assert lengthen(run, 100).path == run.path
    assert (run.path / "summary.json").read_bytes() == before


def test_a_run_cannot_be_shortened(tmp_path: Path) -> None:
    run = train(small(total_steps=300), tmp_path / "run", calls=1)
    with pytest.raises(ConfigError, match=r"total_steps = 200 is less than the 300 of .*longer, not shorter"):
        lengthen(run, 200)
    assert json.loads((run.path / "config.json").read_text())["total_steps"] == 300


def test_an_interrupted_run_with_a_tau0_of_its_own_is_lengthened_exactly(tmp_path: Path) -> None:
    rule = TargetUpdate(schedule="harmonic", tau0=0.5, factor=0.2)  # 0.5 until step 40, of 155 and 340 in all
    short = small(env="CartPole-v1", total_steps=330, target=rule)
    reference = train(dataclasses.replace(short, total_steps=LONG), tmp_path / "long")
    run = train(short, tmp_path / "run", calls=2)
    assert not run.summary["finished"]
    run = lengthen(run, LONG)
    assert reference.curves["tau"].max() < 0.5
    assert_same(run, reference)


OPEN = TargetUpdate(schedule="harmonic")


@pytest.mark.parametrize(
    "settings",
    [{"target": OPEN}, {"arms": (Arm("constant"), Arm("harmonic", target=OPEN))}],
    ids=["run", "arm"],
)
def test_a_run_whose_tau0_follows_from_its_length_is_not_lengthened(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At α = 100, τ₀ is 60/(10·G): 6/55 in the run, 6/105 in the longer one."""
    run = train(small(total_steps=130, learning_rate=100.0, **settings), tmp_path / "run")
    assert run.config.agents()[-1].target.tau == pytest.approx(6 / 55)
    before = (run.path / "config.json").read_bytes()
    assert main(["train", "--resume", str(run.path), "--total-steps", "230"]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert "has a harmonic target whose tau0 follows from the length of the run: only a run that was trained" in error
    assert (run.path / "config.json").read_bytes() == before
    assert lengthen(run, None).summary["finished"]


def test_a_tau0_that_is_the_same_at_both_lengths_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """60/(√α·G) is above 0.3 in short runs, and changes during a run do not use it."""
    short = small(total_steps=130, target=OPEN, changes=(Change(50, target=OPEN),))
    reference = train(dataclasses.replace(short, total_steps=230), tmp_path / "long")
    assert_same(lengthen(train(short, tmp_path / "run"), 230), reference)


def test_a_run_without_its_replay_memory_is_not_lengthened(tmp_path: Path) -> None:
    run = train(small(total_steps=100), tmp_path / "run")
    checkpoints.delete_replay(run.folder)
    with pytest.raises(StoreError, match="no longer has its replay memory"):
        lengthen(run, 200)
    assert run_folder.open_run(run.path).config.total_steps == 100
    assert lengthen(run, None).summary["finished"]


def test_a_finished_comparison_keeps_no_replay_memory(tmp_path: Path) -> None:
    config = small(env="CartPole-v1", total_steps=100, eval_every=50, eval_episodes=1)
    run = softstep.compare(config, tmp_path / "run", arms=("soft",), execute=run_blocks_here)
    assert run.summary["finished"]
    assert not list(run.path.glob("replay-*"))
