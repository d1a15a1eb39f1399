"""A replay that cannot fit is refused before training, with the arithmetic."""

from __future__ import annotations

import re
from pathlib import Path

import counting
import numpy as np
import pytest
from gymnasium.spaces import Box
from support import small

from softstep.config import Config
from softstep.envs import EnvSpec
from softstep.errors import ConfigError
from softstep.runs import memory
from softstep.runs.api import train
from softstep.training.replay_rows import replay_bytes
from softstep.worker.in_process import run_blocks_here


@counting.named("Pixels")
class Pixels(counting.Counting):
    """As large as Atari's pictures."""

    space = Box(0, 255, (210, 160, 3), np.uint8)

    def look(self) -> np.ndarray:
        return np.zeros((210, 160, 3), np.uint8)


def test_pictures_with_the_default_memory_are_refused_and_leave_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 16 * 2**30)
    config = Config(env="Pixels-v0")
    with pytest.raises(ConfigError) as error:
        train(config, tmp_path / "run", execute=run_blocks_here)
    message = str(error.value)
    assert "memory_size = 100000 does not fit: 100,000 transitions × 806,412 bytes × 1 agent" in message
    assert "are 75.1 GiB, and 16.0 GiB are available: lower --memory-size" in message
    assert not (tmp_path / "run").exists()
    named = int(re.findall(r"\d+$", message)[0])
    assert replay_bytes(Config(env="Pixels-v0", memory_size=named), spec_of(210 * 160 * 3)) < 16 * 2**30


def spec_of(observation_size: int) -> EnvSpec:
    return EnvSpec("Pixels-v0", "gymnasium", observation_size, 2, exactly_resumable=True)


@pytest.mark.parametrize("seeds", [1, 3, 9])
def test_the_limit_is_the_size_of_a_block(seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(seeds=seeds)
    size = replay_bytes(config, spec_of(4))
    assert size == config.width * (64 + 2) * 11 * 4
    monkeypatch.setattr(memory, "available_bytes", lambda: size)
    memory.check_replay_fits(config, 44, size)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    memory.check_replay_fits(config, 44, size)
    monkeypatch.setattr(memory, "available_bytes", lambda: size - 1)
    with pytest.raises(ConfigError, match=rf"× {min(seeds, config.width)} agents? trained together"):
        memory.check_replay_fits(config, 44, size)


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    assert memory._of_group(tmp_path) is None
    for name, text in {"max": "max", "current": "700", "stat": "anon 1\ninactive_file 200\nactive_file 3"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory._of_group(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    assert memory._of_group(tmp_path) == 500


def test_this_machine_has_memory() -> None:
    available = memory.available_bytes()
    assert available is None or 2**20 < available < 2**50
