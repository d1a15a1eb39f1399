"""The history of a block: its records, finished episodes and evaluations, as a checkpoint stores them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softstep.records.events import FINISHED_EPISODE, Record

RETURN_WINDOW = 100
"""Number of episodes whose mean is the training return."""

_VERSION_1_FIELDS = (
    "arm", "seed", "learning_rate", "tau", "period", "env_steps", "gradient_steps", "episodes", "train_return",
    "eval_return", "loss", "q_mean", "y_drift", "target_gap", "diverged", "y_rms", "y_p99", "y_sd",
)  # fmt: skip
"""The order of a record's values in checkpoints of version 1, which did not name them."""


class Episodes:
    """Finished episodes in one growing array, so that a checkpoint of 100 000 of them is a single copy.

    Nothing loops over episodes or agents: a GPU finishes thousands of episodes per second.
    """

    def __init__(self, agents: int, rows: np.ndarray | None = None) -> None:
        self._rows, self._size = np.empty(1024, FINISHED_EPISODE), 0
        self._recent = np.zeros((agents, RETURN_WINDOW))
        """Each agent's most recent returns; number n is stored at n % 100."""
        self._counts = np.zeros(agents, np.int64)
        """Number of each agent's finished episodes."""
        if rows is not None:
            self.add(rows)

    def add(self, episodes: np.ndarray) -> None:
        """Append episodes (`FINISHED_EPISODE`) in chronological order."""
        if not len(episodes):
            return
        size = self._size + len(episodes)
        if size > len(self._rows):
            self._rows = np.resize(self._rows, 2 ** math.ceil(math.log2(size)))
        self._rows[self._size : size], self._size = episodes, size
        self._remember(episodes["agent"], episodes["episode_return"])

    def _remember(self, agents: np.ndarray, returns: np.ndarray) -> None:
        order = np.argsort(agents, kind="stable")
        agents, returns = agents[order], returns[order]
        new = np.bincount(agents, minlength=len(self._counts))
        number = np.arange(len(agents)) - (np.cumsum(new) - new)[agents]  # within this batch, of each agent from 0
        last = number >= new[agents] - RETURN_WINDOW
        agents, slots = agents[last], (self._counts[agents] + number)[last] % RETURN_WINDOW
        self._recent[agents, slots] = returns[last]
        self._counts += new

    @property
    def rows(self) -> np.ndarray:
        """All episodes (`FINISHED_EPISODE`)."""
        return self._rows[: self._size]

    def train_returns(self, window: int = RETURN_WINDOW) -> np.ndarray:
        """Return the mean of each agent's last `window` ≤ 100 returns; NaN before its first episode ends."""
        means, lengths = np.full(len(self._counts), math.nan), np.minimum(self._counts, window)
        for length in np.unique(lengths[lengths > 0]):
            agents = np.flatnonzero(lengths == length)
            slots = (self._counts[agents, None] - length + np.arange(length)) % RETURN_WINDOW
            means[agents] = self._recent[agents[:, None], slots].mean(1)
        return means


@dataclass
class History:
    """What has happened to a block so far."""

    records: list[Record]
    episodes: Episodes
    solved: list[bool]
    """Whether each agent has passed `solve_at` twice in a row."""
    evaluations: int = 0
    inexact_resumes: list[int] = field(default_factory=list)
    """Environment steps at which the block was resumed with new episodes: from there on it differs from an undisturbed
    one."""
    cut_episodes: int = 0
    """Number of evaluation episodes that were cut at `eval_max_steps`."""

    @classmethod
    def empty(cls, agents: int) -> History:
        """Return the history of a block that has not started."""
        return cls([], Episodes(agents), [False] * agents)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the history as byte arrays for a checkpoint."""
        content = {
            "record_fields": Record._fields,
            "records": self.records,
            "solved": self.solved,
            "evaluations": self.evaluations,
            "inexact_resumes": self.inexact_resumes,
            "cut_episodes": self.cut_episodes,
        }
        return {
            "history": np.frombuffer(json.dumps(content).encode(), np.uint8),
            "episodes": self.episodes.rows.copy().view(np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> History:
        """Read the result of `to_arrays`, or that of version 1, which stored records by position."""
        content: dict[str, Any] = json.loads(arrays["history" if "history" in arrays else "log"].tobytes())
        fields = content.get("record_fields", _VERSION_1_FIELDS)
        records = [Record(**dict(zip(fields, values, strict=True))) for values in content["records"]]
        episodes = Episodes(len(content["solved"]), arrays["episodes"].view(FINISHED_EPISODE))
        marks = {name: content[name] for name in ("inexact_resumes", "cut_episodes") if name in content}
        return cls(records, episodes, content["solved"], content["evaluations"], **marks)
