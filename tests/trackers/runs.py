"""Records and runs to log, without training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from softstep.records import LoggedAgent, LoggedRun, Record


def record(step: int, arm: str = "soft", seed: int = 0, **values: float) -> Record:
    """Return a record whose numbers are not finite unless `values` has them."""
    nothing = dict.fromkeys(
        ("eval_return", "loss", "q_mean", "y_drift", "target_gap", "y_rms", "y_p99", "y_sd"), math.nan
    )
    counts = {"learning_rate": 1e-3, "tau": 0.1, "period": 1, "gradient_steps": step, "episodes": 3, "diverged": False}
    return Record(arm=arm, seed=seed, env_steps=step, **{**nothing, **counts, "train_return": 1.5 * step, **values})


def logged_agent(arm: str = "soft", seed: int = 0, env_steps: int = 0) -> LoggedAgent:
    """Return an agent that has reached `env_steps`."""
    return LoggedAgent(arm, seed, 1e-3, 0.1, 1, env_steps)


def logged_run(path: Path, identity: str = "0123abcd", agents: Sequence[LoggedAgent] | None = None) -> LoggedRun:
    """Return a run of one agent, or of `agents`."""
    settings = {"env": "CartPole-v1", "total_steps": 300, "target": {"tau": 0.1, "period": 1}}
    return LoggedRun(path, identity, settings, tuple(agents or [logged_agent()]))
