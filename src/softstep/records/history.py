"""The history of a block: its records, finished episodes and evaluations, as a checkpoint stores them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softstep.records.events import FinishedEpisode, Record

RETURN_WINDOW = 100
"""Number of episodes whose mean is the training return."""

_EPISODE = np.dtype([("agent", "<i4"), ("env_steps", "<i8"), ("episode_return", "<f4"), ("length", "<i4")])

_VERSION_1_FIELDS = (
    "arm", "seed", "learning_rate", "tau", "period", "env_steps", "gradient_steps", "episodes", "train_return",
    "eval_return", "loss", "q_mean", "y_drift", "target_gap", "diverged", "y_rms", "y_p99", "y_sd",
)  # fmt: skip
"""The order of a record's values in checkpoints of version 1, which did not name them."""


class Episodes:
    """Finished episodes in one growing array, so that a checkpoint of 100 000 of them is a single copy."""

    def __init__(self, agents: int, rows: np.ndarray | None = None) -> None:
        self._rows, self._count = np.empty(1024, _EPISODE), 0
        self.recent: list[deque[float]] = [deque(maxlen=RETURN_WINDOW) for _ in range(agents)]
        """Each agent's most recent returns, oldest first."""
        if rows is not None:
            self.add(FinishedEpisode(*row) for row in rows.tolist())

    def add(self, episodes: Iterable[FinishedEpisode]) -> None:
        """Append episodes in chronological order."""
        for episode in episodes:
            if self._count == len(self._rows):
                self._rows = np.resize(self._rows, 2 * self._count)
            self._rows[self._count] = tuple(episode)
            self._count += 1
            self.recent[episode.agent].append(episode.episode_return)

    @property
    def rows(self) -> np.ndarray:
        """All episodes as a structured array with the fields of `FinishedEpisode`."""
        return self._rows[: self._count]

    def train_return(self, agent: int, window: int = RETURN_WINDOW) -> float:
        """Return the mean of the agent's last `window` ≤ 100 returns; NaN before its first episode ends."""
        last = list(self.recent[agent])[-window:]
        return float(np.mean(last)) if last else float("nan")


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
        episodes = Episodes(len(content["solved"]), arrays["episodes"].view(_EPISODE))
        marks = {name: content[name] for name in ("inexact_resumes", "cut_episodes") if name in content}
        return cls(records, episodes, content["solved"], content["evaluations"], **marks)
