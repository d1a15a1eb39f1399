"""What training reports while it runs and what it leaves behind: the types between the loop and its observers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from softstep.config import Config


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
    """Mean return of the last 100 finished episodes (of all of them while there are fewer); NaN before the first."""
    eval_return: float
    """Mean greedy return of the evaluation made at this moment; NaN if none was made."""
    loss: float
    """Mean over the gradient steps since the last record; NaN before the first gradient step."""
    q_mean: float
    """Mean over a minibatch of max_a Q(s, a)."""
    y_drift: float
    """Mean |Δy|: over every gradient step since the last record if the run has a probe, else over one more step."""
    target_gap: float
    """‖Q − T‖₂ over all parameters."""
    diverged: bool
    y_rms: float
    """√ mean Δy², over the same steps as `y_drift`."""
    y_p99: float
    """99th percentile of |Δy|, over the same steps."""
    y_sd: float
    """Standard deviation of y over the same transitions."""


FINISHED_EPISODE = np.dtype([("agent", "<i4"), ("env_steps", "<i8"), ("episode_return", "<f4"), ("length", "<i4")])
"""One finished episode: its agent, the agent's environment steps at its end, its return and its length."""


class Snapshot(NamedTuple):
    """Everything a run needs to continue exactly from here."""

    env_steps: int
    arrays: dict[str, np.ndarray]
    new_rows: list[np.ndarray]
    """Replay rows of each agent since the previous snapshot, oldest first."""
    written: np.ndarray
    """Number of rows each agent has ever written."""


class Restored(NamedTuple):
    """A snapshot read back, with all replay rows that each agent still remembers."""

    arrays: dict[str, np.ndarray]
    rows: list[np.ndarray]


class Progress(NamedTuple):
    """How far a block has come."""

    env_steps: int
    gradient_steps: int
    seconds: float
    """Wall time of training in this process so far, without evaluations."""
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
    cut_episodes: int = 0
    """Evaluation episodes that had not ended within `eval_max_steps` steps, since the start of the run."""


@dataclass(frozen=True)
class Hooks:
    """Callbacks of a block's run, and the question whether to stop."""

    on_records: Callable[[list[Record]], None] = lambda records: None
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_checkpoint: Callable[[Snapshot], None] = lambda snapshot: None
    should_stop: Callable[[], bool] = lambda: False
    abandonable: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    """Surrounds work that a resumed run repeats exactly, so that a stop need not wait for its end."""


def is_due(config: Config, every: int, env_steps: int) -> bool:
    """Return whether the iteration that ended at `env_steps` passed a multiple of `every`; never if that is 0."""
    return every > 0 and env_steps // every > (env_steps - config.steps_per_iteration) // every
