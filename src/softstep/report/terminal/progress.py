"""Progress of a run: a bar in a terminal or notebook, plain lines elsewhere, or JSON lines for machines."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Literal, Protocol, cast, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from softstep.files import json_text
from softstep.records.events import Progress as BlockProgress
from softstep.report.shared.formatting import MISSING, format_result
from softstep.report.shared.palette import ACCENT
from softstep.report.terminal.notebook_bar import NotebookBar

Mode = Literal["auto", "plain", "json", "notebook"]

SECONDS_BETWEEN = {"bar": 0.1, "plain": 5.0, "json": 0.2, "notebook": 0.2}
"""Shortest time between two drawings, lines or progress objects."""


@runtime_checkable
class Stream(Protocol):
    """Anything that lines can be written to: a file, `sys.stderr`, a `StringIO`."""

    def write(self, text: str, /) -> Any: ...

    def flush(self) -> Any: ...

    def isatty(self) -> bool: ...


class ProgressView:
    """The progress of a run's blocks, as one number for all agents: an observer of the run, and a context manager.

    Args:
        total_steps: Environment steps per agent at the end of the run.
        blocks: Number of agents in each block.
        mode: "auto" draws a bar if `stream` is a terminal, and prints plain lines if it is not; "notebook" shows one
            in the output of a cell.
        stream: Where to write; standard error by default.
        start_steps: Environment steps per agent at which each block starts: 0, or those of its checkpoint.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        total_steps: int,
        blocks: Sequence[int],
        mode: Mode = "auto",
        stream: Stream | None = None,
        *,
        start_steps: Sequence[int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stderr
        self._kind = _kind(mode, self._stream)
        self._bar = NotebookBar() if self._kind == "notebook" else None
        self._agents = list(blocks)
        self._steps = list(start_steps) if start_steps is not None else [0] * len(self._agents)
        self._ends = [total_steps] * len(self._agents)
        self._returns = [math.nan] * len(self._agents)
        self._gradient_steps = 0
        self._diverged: set[tuple[str, int]] = set()
        self._clock = clock
        self._last_shown = -math.inf
        self._progress = Progress(
            BarColumn(bar_width=None, complete_style=ACCENT, finished_style=ACCENT),
            TaskProgressColumn(),
            TextColumn("return {task.fields[train_return]:>5}"),
            _SpeedColumn(Column(no_wrap=True)),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=Console(file=cast(IO[str], self._stream)),
            auto_refresh=False,
            get_time=clock,
            disable=self._kind != "bar",
            expand=True,
        )
        self._progress.add_task("", total=self.total_agent_steps, completed=self.agent_steps, train_return=MISSING)
        self._advance()  # the speed counts from here

    def __enter__(self) -> ProgressView:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._show()
        if self._kind == "bar":
            self._progress.stop()

    @property
    def agent_steps(self) -> int:
        """Environment steps of all agents together so far."""
        return sum(agents * steps for agents, steps in zip(self._agents, self._steps, strict=True))

    @property
    def total_agent_steps(self) -> int:
        """Environment steps of all agents together at the end."""
        return sum(agents * end for agents, end in zip(self._agents, self._ends, strict=True))

    @property
    def agent_steps_per_second(self) -> float:
        """Speed over the last 30 seconds; NaN in the first second, when it says little."""
        speed, elapsed = self._task.speed, self._task.elapsed
        return math.nan if speed is None or elapsed is None or elapsed < 1 else speed

    @property
    def seconds_left(self) -> float:
        """Time to the end at that speed; NaN if there is no speed yet."""
        remaining, speed = self.total_agent_steps - self.agent_steps, self.agent_steps_per_second
        return 0.0 if remaining <= 0 else remaining / speed if speed > 0 else math.nan

    @property
    def train_return(self) -> float:
        """Mean training return over the agents that have one; NaN if none has."""
        known = [(a, r) for a, r in zip(self._agents, self._returns, strict=True) if math.isfinite(r)]
        return sum(a * r for a, r in known) / sum(a for a, _ in known) if known else math.nan

    @property
    def _task(self) -> Task:
        return self._progress.tasks[0]

    def update(self, block: int, progress: BlockProgress) -> None:
        """Record how far a block is, and show it unless something was shown a moment ago."""
        self._steps[block] = progress.env_steps
        self._returns[block] = progress.train_return
        self._gradient_steps = progress.gradient_steps
        self._advance()
        now = self._clock()
        if now - self._last_shown >= SECONDS_BETWEEN[self._kind]:
            self._last_shown = now
            self._show(block, progress.seconds)

    def finished(self, block: int) -> None:
        """Record that a block has ended where it is, possibly early because it solved its environment."""
        self._ends[block] = self._steps[block]
        self._task.total = self.total_agent_steps  # `Progress.update` would forget the speed

    def records(self, block: int, records: Sequence[Mapping[str, Any]]) -> None:
        """Print a block's new rows of the curves as JSON; in other modes only report agents that diverged.

        Rows say how far the block is, too: the last of them leave its end, and progress may come more seldom.
        """
        if records:
            self._steps[block] = max(self._steps[block], records[-1]["env_steps"])
            self._gradient_steps = records[-1]["gradient_steps"]
            self._advance()
        for record in records:
            if self._kind == "json":
                self._print_json({"kind": "record", **record})
            elif record["diverged"] and (agent := (record["arm"], record["seed"])) not in self._diverged:
                self._diverged.add(agent)
                self.message(f"{agent[0]}, seed {agent[1]}: diverged by environment step {record['env_steps']}")

    def message(self, text: str) -> None:
        """Print a separate line, above the bar if there is one."""
        if self._kind == "json":
            self._print_json({"kind": "message", "text": text})
        elif self._kind == "bar":
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            self._print(text)

    def _advance(self) -> None:
        """Give rich the steps since the last call, from which it estimates the speed."""
        self._progress.advance(self._task.id, self.agent_steps - self._task.completed)

    def _show(self, block_index: int | None = None, seconds: float = math.nan) -> None:
        """Draw the bar, or print a line or an object."""
        if self._kind == "json":
            self._print_json(self._state(block_index, seconds))
        elif self._kind == "bar":
            self._progress.update(self._task.id, train_return=format_result(self.train_return), refresh=True)
        elif self._bar is not None:
            self._bar.show(self._task.percentage, self._line())
        else:
            self._print(self._line())

    def _line(self) -> str:
        return (
            f"{self._task.percentage:3.0f}%  return {format_result(self.train_return):>5}"
            f"   {_speed_text(self.agent_steps_per_second)}   {clock_time(self.seconds_left)} left"
        )

    def _state(self, block_index: int | None, seconds: float) -> dict[str, Any]:
        return {
            "kind": "progress",
            "block": block_index,
            "env_steps": None if block_index is None else self._steps[block_index],
            "gradient_steps": self._gradient_steps,
            "seconds": seconds,
            "train_return": self.train_return,
            "agent_steps": self.agent_steps,
            "total_agent_steps": self.total_agent_steps,
            "agent_steps_per_second": self.agent_steps_per_second,
            "seconds_left": self.seconds_left,
        }

    def _print_json(self, values: Mapping[str, Any]) -> None:
        self._print(json_text(values))

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class _SpeedColumn(ProgressColumn):
    """A bar's column for the speed."""

    def render(self, task: Task) -> Text:
        return Text(_speed_text(math.nan if task.speed is None else task.speed))


def _speed_text(speed: float) -> str:
    rate = f"{speed:,.0f}".replace(",", " ") if math.isfinite(speed) else MISSING
    return f"{rate} agent-steps/s"


def clock_time(seconds: float) -> str:
    """Return a duration as 4:05 or 1:02:03; –:–– if it is unknown."""
    if not math.isfinite(seconds):
        return "–:––"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _kind(mode: Mode, stream: Stream) -> Literal["bar", "plain", "json", "notebook"]:
    """Return how progress is shown."""
    if mode == "auto":
        return "bar" if _is_terminal(stream) else "plain"
    return mode


def _is_terminal(stream: Stream) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"
