"""Short runs of DDPG, TD3 and SAC for the tests of their exports."""

from __future__ import annotations

from typing import Any

from softstep.config import Config
from softstep.target import TargetUpdate

ALGORITHMS = ("sac", "td3", "ddpg")


def settings(algorithm: Any, **changes: Any) -> Config:
    """Return the settings of a short run, all of which stable-baselines3 can express."""
    small: dict[str, Any] = {
        "env": "Pendulum-v1", "algorithm": algorithm, "total_steps": 200, "learning_starts": 60, "hidden": (12, 8),
        "batch_size": 16, "memory_size": 5_000, "train_every": 1, "record_every": 100, "learning_rate": 1e-3,
        "seeds": 2, "block_width": 2, "target": TargetUpdate(0.05, 2 if algorithm == "td3" else 1), "gamma": 0.9,
    }  # fmt: skip
    return Config(**(small | changes))
