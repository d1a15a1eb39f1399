"""Networks of transformers and peft, which have a virtual environment of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import softstep
from benchmarks import peers

PROGRAM = Path(__file__).parent / "peers" / "transformers_targets.py"


@pytest.mark.heavy
def test_real_networks_are_followed_as_by_the_plain_loop() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(softstep.__file__).parents[1]), "HF_HUB_OFFLINE": "1"}
    result = subprocess.run(
        [str(peers.python("transformers")), str(PROGRAM)], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 3 * 14
