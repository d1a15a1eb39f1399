"""A block in its run folder: a stop in the last evaluation leaves it unfinished, and the next start finishes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import small

from softstep.errors import Abandoned
from softstep.records.events import Hooks
from softstep.records.history import History
from softstep.runs import checkpoints, run_folder
from softstep.training import loop
from softstep.worker.run_block import execute_block

LAST_EVALUATION = 5
"""After the description, the checkpoint, the trainer and the first iteration, the fifth thing that can be abandoned."""


def test_a_stop_in_the_last_evaluation_leaves_the_block_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 1e6)
    config = small(env="CartPole-v1", total_steps=100, eval_every=100, eval_episodes=1)
    run, whole = (run_folder.create(tmp_path / name, config) for name in ("run", "whole"))
    entered = 0

    @contextlib.contextmanager
    def abandonable() -> Iterator[None]:
        nonlocal entered
        entered += 1
        if entered == LAST_EVALUATION:
            raise Abandoned
        yield

    stopped = execute_block(run, 0, Hooks(abandonable=abandonable))
    assert (stopped.stopped, stopped.env_steps) == (True, 100)
    assert checkpoints.steps_reached(run) == [100]
    assert checkpoints.finished_blocks(run) == [False]
    resumed = execute_block(run, 0, Hooks())
    assert (resumed.stopped, resumed.executed_steps) == (False, 0)
    assert checkpoints.finished_blocks(run) == [True]
    execute_block(whole, 0, Hooks())
    ours, theirs = (checkpoints.read_checkpoint(folder, 0) for folder in (run, whole))
    assert ours is not None
    assert theirs is not None
    assert all((ours.arrays[name] == array).all() for name, array in theirs.arrays.items())
    assert History.from_arrays(ours.arrays).records[-1].eval_return > 0


@pytest.mark.parametrize(("eval_every", "solved"), [(100, True), (150, False)])
def test_a_block_that_has_solved_its_environment_is_finished(eval_every: int, solved: bool, tmp_path: Path) -> None:
    """Unless the evaluation was made only because a shorter run ended there, and this run is longer."""
    short = small(env="CartPole-v1", total_steps=100, eval_every=eval_every, eval_episodes=1, solve_at=1.0)
    run = run_folder.create(tmp_path / "run", short)
    assert execute_block(run, 0, Hooks()).solved == (True,)
    assert checkpoints.finished_blocks(run) == [True]
    longer = replace(run, config=replace(short, total_steps=400))
    assert checkpoints.finished_blocks(longer) == [solved]
    assert execute_block(longer, 0, Hooks()).executed_steps == (0 if solved else 50)
