"""Libraries that live in environments of their own, watched in the same way."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from observing import check, shares

from benchmarks import peers
from softstep import conventions
from softstep.conventions import Meaning

PROGRAMS = Path(__file__).parent / "peers"

pytestmark = pytest.mark.heavy


def watch(peer: str, *arguments: str) -> dict[str, list[np.ndarray]]:
    command = [str(peers.python(peer)), str(PROGRAMS / f"{peer}_dqn.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: [np.array(each) for each in found] for name, found in json.loads(done.stdout).items()}


@pytest.mark.parametrize(
    "settings",
    [
        {"polyak": 0.9},
        {"polyak": 0.0, "target_update_freq": 30},
        {"polyak": 0.5, "num_envs": 4},
        {"polyak": 0.5, "num_envs": 4, "target_update_freq": 10},
        {"polyak": 0.8, "num_epochs": 3, "target_update_freq": 2},
    ],
    ids=str,
)
def test_rejax_weighs_the_old_and_counts_environment_steps(settings: dict[str, Any]) -> None:
    seen = watch("rejax", json.dumps(settings), "160")
    meaning = conventions.read("rejax", settings)
    # one entry per iteration, of num_epochs gradient steps each
    per_iteration = Meaning(meaning.tau, meaning.period / meaning.gradient_steps)
    check(shares(seen["online"], seen["target"]), per_iteration)


@pytest.mark.parametrize("frequency", [1, 3, 7])
def test_tianshou_copies_on_the_clock_of_gradient_steps_one_step_late(frequency: int) -> None:
    seen = watch("tianshou", str(frequency), "30")
    meaning = conventions.read("tianshou", {"target_update_freq": frequency})
    start = seen["target"][0]
    for k in range(1, 30):
        copied = frequency * ((k - 1) // frequency)  # what was read from its code
        wanted = seen["online"][copied - 1] if copied else start
        np.testing.assert_allclose(seen["used"][k], wanted, atol=1e-7)
    assert float(meaning.period) == frequency
