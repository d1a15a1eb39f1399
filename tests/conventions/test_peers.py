"""Target updates observed in libraries that need their own virtual environments."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from observing import assert_agrees, moved_fractions

from benchmarks import peers
from softstep import conventions
from softstep.conventions import Meaning

PROGRAMS = Path(__file__).parent / "peers"

pytestmark = pytest.mark.heavy


def observe(peer: str, *arguments: str) -> dict[str, list[np.ndarray]]:
    """Run the program of a library in its environment and return the parameter vectors it prints."""
    command = [str(peers.python(peer)), str(PROGRAMS / f"{peer}_dqn.py"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return {name: [np.array(vector) for vector in vectors] for name, vectors in json.loads(result.stdout).items()}


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
    observed = observe("rejax", json.dumps(settings), "160")
    meaning = conventions.read("rejax", settings)
    # there is one entry per iteration of num_epochs gradient steps
    per_iteration = Meaning(meaning.tau, meaning.period / meaning.gradient_steps)
    assert_agrees(moved_fractions(observed["online"], observed["target"]), per_iteration)


@pytest.mark.parametrize("frequency", [1, 3, 7])
def test_tianshou_copies_on_the_clock_of_gradient_steps_one_step_late(frequency: int) -> None:
    observed = observe("tianshou", str(frequency), "30")
    meaning = conventions.read("tianshou", {"target_update_freq": frequency})
    start = observed["target"][0]
    for k in range(1, 30):
        last_copy = frequency * ((k - 1) // frequency)  # according to its source
        expected = observed["online"][last_copy - 1] if last_copy else start
        np.testing.assert_allclose(observed["used"][k], expected, atol=1e-7)
    assert float(meaning.period) == frequency
