"""The callback in sb3-contrib, which has a virtual environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import softstep
from benchmarks import peers

PROGRAM = Path(__file__).parent / "peers" / "sb3_contrib_target.py"

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("algorithm", ["QRDQN", "TQC"])
def test_the_target_follows_and_the_period_continues_after_loading(algorithm: str) -> None:
    tau, period = 0.1, 7
    command = [str(peers.python("sb3_contrib")), str(PROGRAM), algorithm, str(tau), str(period)]
    environment = os.environ | {"PYTHONPATH": str(Path(softstep.__file__).parents[1])}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    observed = json.loads(result.stdout)
    expected = np.array(observed["first"])
    for online in np.array(observed["online"])[period - 1 :: period]:
        expected += tau * (online - expected)
    assert observed["gradient_steps"] == len(observed["online"]) == 30  # 10 before it was saved, 20 afterwards
    assert observed["tau"] == [0.3, 0.3]
    np.testing.assert_allclose(observed["last"], expected, rtol=1e-5, atol=1e-6)
