"""What a run says while it goes on, and what it leaves behind: the words between training and those who watch it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Record(NamedTuple):
    """One row of the curves: one agent at one moment."""

    arm: str
    seed: int
    learning_rate: float
    tau: float
    period: int
    env_steps: int
    gradient_steps: int
    episodes: int
    train_return: float
    """Mean of the last 100 finished episodes' returns (of all, while fewer); NaN before the first."""
    eval_return: float
    """Mean greedy return of the evaluation made at this moment; NaN where none was."""
    loss: float
    """Mean over the gradient steps since the last record; NaN before the first."""
    q_mean: float
    y_drift: float
    """Mean |Δy|: of every gradient step since the last record where the run has a probe, else of one more step."""
    target_gap: float
    diverged: bool
    y_rms: float
    """√ mean Δy², over the same."""
    y_p99: float
    """99th percentile of |Δy|, over the same."""
    y_sd: float
    """Standard deviation of y over the same transitions."""


class Finished(NamedTuple):
    """One finished episode."""

    agent: int
    env_steps: int
    """The agent's environment steps when it ended."""
    ret: float
    length: int


class Snapshot(NamedTuple):
    """Everything a run needs to go on exactly from here."""

    env_steps: int
    arrays: dict[str, np.ndarray]
    new_rows: list[np.ndarray]
    """Replay rows of each agent since the snapshot before, the oldest first."""
    written: np.ndarray
    """Rows each agent ever wrote."""


class Restored(NamedTuple):
    """A snapshot read back, with each agent's remembered replay rows in full."""

    arrays: dict[str, np.ndarray]
    rows: list[np.ndarray]


class Progress(NamedTuple):
    """Where a block stands."""

    env_steps: int
    gradient_steps: int
    seconds: float
    """Wall time of training so far in this process, evaluations not counted."""
    train_return: float
    """Mean over the block's agents."""


class Outcome(NamedTuple):
    """How a block ended."""

    env_steps: int
    executed_steps: int
    """Environment steps per agent in this process: fewer than `env_steps` after a resume."""
    solved: tuple[bool, ...]
    stopped: bool
    train_seconds: float
    eval_seconds: float


@dataclass(frozen=True)
class Hooks:
    """What the caller wants to hear of, and when to stop."""

    on_records: Callable[[list[Record]], None] = lambda records: None
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_checkpoint: Callable[[Snapshot], None] = lambda snapshot: None
    should_stop: Callable[[], bool] = lambda: False
