"""What is logged of a record, under which names; and which agents of a large population a tracker follows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from softstep.records.events import Record
from softstep.records.sink import LoggedAgent

TAGS = {
    "train_return": "return/train",
    "eval_return": "return/eval",
    "loss": "loss",
    "q_mean": "q/mean",
    "y_drift": "target/y_drift",
    "target_gap": "target/gap",
    "episodes": "episodes",
    "diverged": "diverged",
}
"""Names of the logged scalars by column of a record."""
MOST_AGENTS = 100
"""Most agents of a run that get a run of their own in a tracker with a server, where each costs requests and a line."""


def scalars(record: Record) -> dict[str, float]:
    """Return the finite scalars of a record by their names."""
    values = {tag: float(getattr(record, column)) for column, tag in TAGS.items()}
    return {tag: value for tag, value in values.items() if math.isfinite(value)}


def followed(agents: Sequence[LoggedAgent], most: int = MOST_AGENTS) -> list[LoggedAgent]:
    """Return at most `most` agents: the first seed of every arm, then the second of every arm, and so on."""
    seen = Counter[str]()
    ranked = []
    for agent in agents:
        ranked.append((seen[agent.arm], agent))
        seen[agent.arm] += 1
    return [agent for _, agent in sorted(ranked, key=lambda pair: pair[0])][:most]
