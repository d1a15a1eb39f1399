"""What has happened to a block so far, as a checkpoint keeps it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from softstep.records.events import Finished, Record

RETURN_WINDOW = 100
"""Episodes whose mean is the training return."""

_EPISODE = np.dtype([("agent", "<i4"), ("env_steps", "<i8"), ("ret", "<f4"), ("length", "<i4")])


class Episodes:
    """Finished episodes, as rows of bytes that are only appended to: a checkpoint of 100 000 of them is one copy."""

    def __init__(self, agents: int, rows: np.ndarray | None = None) -> None:
        self._rows, self._count = np.empty(1024, _EPISODE), 0
        self.recent: list[deque[float]] = [deque(maxlen=RETURN_WINDOW) for _ in range(agents)]
        """Each agent's last returns, the oldest first."""
        if rows is not None:
            self.add(Finished(*row) for row in rows.tolist())

    def add(self, finished: Iterable[Finished]) -> None:
        """Append episodes in order of time."""
        for episode in finished:
            if self._count == len(self._rows):
                self._rows = np.resize(self._rows, 2 * self._count)
            self._rows[self._count] = tuple(episode)
            self._count += 1
            self.recent[episode.agent].append(episode.ret)

    @property
    def rows(self) -> np.ndarray:
        """All of them, with the fields of `Finished`."""
        return self._rows[: self._count]

    def train_return(self, agent: int, window: int = RETURN_WINDOW) -> float:
        """Mean of the agent's last `window` ≤ 100 returns; NaN before the first."""
        last = list(self.recent[agent])[-window:]
        return float(np.mean(last)) if last else float("nan")


@dataclass
class History:
    """Part of every checkpoint."""

    records: list[Record]
    episodes: Episodes
    solved: list[bool]
    evaluations: int = 0

    @classmethod
    def empty(cls, agents: int) -> History:
        """Nothing has happened yet."""
        return cls([], Episodes(agents), [False] * agents)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As bytes, for a checkpoint."""
        told = {"records": self.records, "solved": self.solved, "evaluations": self.evaluations}
        return {
            "log": np.frombuffer(json.dumps(told).encode(), np.uint8),
            "episodes": self.episodes.rows.copy().view(np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> History:
        """Read `to_arrays` back."""
        told = json.loads(arrays["log"].tobytes())
        records = [Record(*values) for values in told["records"]]
        episodes = Episodes(len(told["solved"]), arrays["episodes"].view(_EPISODE))
        return cls(records, episodes, told["solved"], told["evaluations"])
