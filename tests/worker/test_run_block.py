"""A block in its run folder: a stop in the last evaluation leaves it unfinished, and the next start finishes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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
