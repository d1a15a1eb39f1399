"""Killed runs resume exactly: they end with the tensors, curves and episodes of an undisturbed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import softstep
import softstep.runs.api
from softstep.runs import checkpoints, run_folder

BASE = {
    "seeds": 3, "total_steps": 6_000, "checkpoint_every": 500, "record_every": 1_000, "learning_starts": 200,
    "eval_every": 1_500, "eval_episodes": 1,
}  # fmt: skip
CONFIGS = {
    "box2d": BASE | {"env": "LunarLander-v3", "memory_size": 2_000},
    "compiled": BASE | {"env": "gymnax:CartPole-v1", "memory_size": 1_000, "total_steps": 40_000, "eval_every": 4_000},
}
SCRIPT = "import softstep, sys; softstep.train(softstep.Config.from_json(sys.argv[1]), sys.argv[2], workers=1)"


def start(config: softstep.Config, out: Path) -> subprocess.Popen:
    """Start a training run in its own process group."""
    return subprocess.Popen([sys.executable, "-c", SCRIPT, config.to_json(), str(out)], start_new_session=True)


def kill(process: subprocess.Popen) -> None:
    """Kill parent and workers immediately."""
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_in_mid_write(process: subprocess.Popen, out: Path) -> None:
    """Kill parent and workers while a checkpoint is partly written."""
    while True:
        wait_for(lambda: any(out.glob(".checkpoint-*.tmp")), process)
        os.killpg(process.pid, signal.SIGSTOP)
        if any(out.glob(".checkpoint-*.tmp")):  # the file still exists, so the process stopped before the write ended
            kill(process)
            return
        os.killpg(process.pid, signal.SIGCONT)


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    """Wait until the condition holds, while the process runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < deadline
        time.sleep(1e-4)


def final(run: softstep.Run) -> dict[str, np.ndarray]:
    """Return every array of the last checkpoints."""
    arrays = {}
    for block in range(len(run.config.blocks())):
        checkpoint = checkpoints.read_checkpoint(run.folder, block, with_replay=False)
        arrays |= {f"{block}/{name}": array for name, array in checkpoint.arrays.items()}
    return arrays


def assert_same(run: softstep.Run, reference: softstep.Run) -> None:
    """Assert that two runs have equal arrays, curves and episodes."""
    ours, theirs = final(run), final(reference)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)
    assert run.curves.equals(reference.curves)
    assert run.episodes.equals(reference.episodes)


@pytest.fixture(scope="module", params=list(CONFIGS))
def undisturbed(request, tmp_path_factory):
    config = softstep.Config.from_json(json.dumps(CONFIGS[request.param]))
    return softstep.runs.api.train(config, tmp_path_factory.mktemp("runs") / "undisturbed", workers=1)


def test_a_run_killed_three_times_continues_bit_for_bit(undisturbed, tmp_path):
    config, out = undisturbed.config, tmp_path / "run"
    kills = random.Random(0)
    process = start(config, out)
    for attempt in range(3):
        previous = len(list(out.glob("checkpoint-*")))
        if attempt == 1:
            kill_in_mid_write(process, out)
            assert any(out.glob(".checkpoint-*.tmp"))
        else:
            wait_for(
                lambda previous=previous: len({p.name for p in out.glob("checkpoint-*")}) > min(previous, 1), process
            )
            time.sleep(kills.uniform(0, 0.2))
            kill(process)
        if attempt < 2:
            process = subprocess.Popen(
                [sys.executable, "-c", f"import softstep; softstep.resume({str(out)!r}, workers=1)"],
                start_new_session=True,
            )
    assert not run_folder.read_summary(run_folder.open_run(out))
    run = softstep.resume(out, workers=1)
    (block,) = run.summary["blocks"]
    assert block["resumed_from"] > 0
    assert block["executed_steps"] < config.total_steps
    assert_same(run, undisturbed)
    assert not any(out.glob(".*.tmp"))
