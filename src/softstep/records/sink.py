"""Where a run's records may go beside its own tables: the protocol of TensorBoard, experiment trackers and your own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from softstep.records.events import Record

Ending = Literal["finished", "stopped", "failed"]
"""How a run ended: at its last step, before it so that it can be resumed, or by an error."""


class LoggedAgent(NamedTuple):
    """One agent of a run that is logged."""

    arm: str
    seed: int
    learning_rate: float
    tau: float
    period: int
    env_steps: int
    """Environment steps of the checkpoint from which it continues; 0 at the start of a run."""

    @property
    def name(self) -> str:
        """Arm and seed, as one name."""
        return f"{self.arm}/seed-{self.seed}"


class LoggedRun(NamedTuple):
    """A run that is logged, when its training starts or continues."""

    path: Path
    """Its folder, absolute."""
    id: str
    """Eight hexadecimal digits, chosen when the run was first logged: they stay the same when it is resumed."""
    settings: Mapping[str, Any]
    """The configuration as JSON has it."""
    agents: tuple[LoggedAgent, ...]
    """In the order of the configuration, arm by arm."""

    @property
    def name(self) -> str:
        """The folder's name with the id: runs of one name in several folders are several runs."""
        return f"{self.path.name}-{self.id}"


@runtime_checkable
class Sink(Protocol):
    """Receives the records of one run while it trains, in a thread of its own: `start`, `write`s, `finish`.

    What it raises, and what does not return, ends the logging with a warning, and never the run.
    """

    def start(self, run: LoggedRun) -> None:
        """Prepare for the records of `run`, which may be a run that continues."""
        ...

    def write(self, records: Sequence[Record]) -> None:
        """Receive new rows of the curves: those of one agent come in order, those of several are mixed."""
        ...

    def finish(self, ending: Ending) -> None:
        """Note how the run ended, and that no record follows until it is resumed."""
        ...
