"""How far a run is: a bar in a terminal, a plain line every few seconds elsewhere, or JSON lines for machines."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Literal, Protocol, cast, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from softstep.report.shared.palette import ACCENT
from softstep.report.terminal.tables import rounded

Mode = Literal["auto", "plain", "json"]

WINDOW = 15.0
"""Seconds over which the speed is measured."""

SECONDS_BETWEEN = {"bar": 0.1, "plain": 5.0, "json": 0.2}
"""Least time from one drawing, line or progress object to the next."""


@runtime_checkable
class Stream(Protocol):
    """Where lines go: a file, `sys.stderr`, a `StringIO`."""

    def write(self, text: str, /) -> Any: ...

    def flush(self) -> Any: ...

    def isatty(self) -> bool: ...


class ProgressView:
    """The progress of a run's blocks, as one number for all agents.

    `total_steps` are environment steps per agent, `blocks` the agents in each block, `begun` the environment steps
    (per agent) at which each block starts: 0, or those of the checkpoint it resumes from. `mode` "auto" draws a bar
    where `stream` is a terminal and prints plain lines where not. A context manager.
    """

    def __init__(
        self,
        total_steps: int,
        blocks: Sequence[int],
        mode: Mode = "auto",
        stream: Stream | None = None,
        *,
        begun: Sequence[int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stderr
        self._agents = list(blocks)
        self._steps = list(begun) if begun is not None else [0] * len(self._agents)
        self._ends = [total_steps] * len(self._agents)
        self._returns = [math.nan] * len(self._agents)
        self._gradient_steps = 0
        self._clock = clock
        self._samples = deque([(clock(), self.agent_steps)])
        self._shown = -math.inf
        self._diverged: set[tuple[str, int]] = set()
        self._kind = "json" if mode == "json" else "bar" if mode == "auto" and _is_terminal(self._stream) else "plain"
        self._progress = self._bar() if self._kind == "bar" else None

    def __enter__(self) -> ProgressView:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._show()
        if self._progress is not None:
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
        """Speed over the last seconds; NaN in the first."""
        (begin, first), (end, last) = self._samples[0], self._samples[-1]
        return (last - first) / (end - begin) if end - begin >= 1 else math.nan

    @property
    def seconds_left(self) -> float:
        """At that speed; NaN before there is one."""
        left, speed = self.total_agent_steps - self.agent_steps, self.agent_steps_per_second
        return 0.0 if left <= 0 else left / speed if speed > 0 else math.nan

    @property
    def train_return(self) -> float:
        """Mean training return over the agents that have one; NaN before the first."""
        known = [(a, r) for a, r in zip(self._agents, self._returns, strict=True) if math.isfinite(r)]
        return sum(a * r for a, r in known) / sum(a for a, _ in known) if known else math.nan

    def update(
        self, block_index: int, env_steps: int, gradient_steps: int, seconds: float, train_return: float
    ) -> None:
        """Block `block_index` stands at `env_steps` per agent, after `seconds` of training."""
        self._steps[block_index] = env_steps
        self._returns[block_index] = train_return
        self._gradient_steps = gradient_steps
        now = self._clock()
        self._samples.append((now, self.agent_steps))
        while len(self._samples) > 2 and self._samples[1][0] < now - WINDOW:
            self._samples.popleft()
        if now - self._shown >= SECONDS_BETWEEN[self._kind]:
            self._shown = now
            self._show(block_index, seconds)

    def finished(self, block_index: int) -> None:
        """The block has ended where it stands, perhaps early because it is solved."""
        self._ends[block_index] = self._steps[block_index]

    def records(self, records: Sequence[Mapping[str, Any]]) -> None:
        """New rows of the curves: printed as JSON, else only searched for agents that diverged."""
        for record in records:
            if self._kind == "json":
                self._json({"kind": "record", **record})
            elif record["diverged"] and (agent := (record["arm"], record["seed"])) not in self._diverged:
                self._diverged.add(agent)
                self.message(f"{agent[0]}, seed {agent[1]}: diverged by environment step {record['env_steps']}")

    def message(self, text: str) -> None:
        """A line of its own, above the bar where there is one."""
        if self._kind == "json":
            self._json({"kind": "message", "text": text})
        elif self._progress is not None:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=self._stream, flush=True)

    def _bar(self) -> Progress:
        progress = Progress(
            BarColumn(bar_width=None, complete_style=ACCENT, finished_style=ACCENT),
            TextColumn("{task.percentage:3.0f}%"),
            TextColumn("{task.fields[words]}"),
            console=Console(file=cast(IO[str], self._stream)),
            auto_refresh=False,
            expand=True,
        )
        progress.add_task("", total=self.total_agent_steps, completed=self.agent_steps, words="starting")
        return progress

    def _show(self, block_index: int | None = None, seconds: float = math.nan) -> None:
        """One drawing, line or object."""
        if self._kind == "json":
            self._json(self._state(block_index, seconds))
        elif self._progress is not None:
            done, total = self.agent_steps, self.total_agent_steps
            self._progress.update(self._progress.task_ids[0], completed=done, total=total, words=self._words())
            self._progress.refresh()
        else:
            share = 100 * self.agent_steps / max(1, self.total_agent_steps)
            print(f"{share:3.0f}%  {self._words()}", file=self._stream, flush=True)

    def _words(self) -> str:
        speed, left = self.agent_steps_per_second, self.seconds_left
        rate = f"{speed:,.0f}".replace(",", " ") if math.isfinite(speed) else "–"
        return f"return {rounded(self.train_return):>5}   {rate} agent-steps/s   {clock_time(left)} left"

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

    def _json(self, values: Mapping[str, Any]) -> None:
        print(json_line(values), file=self._stream, flush=True)


def json_line(values: Mapping[str, Any]) -> str:
    """One line of strict JSON; numbers that are not finite become null."""
    return json.dumps({key: _finite_or_none(value) for key, value in values.items()}, allow_nan=False)


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def clock_time(seconds: float) -> str:
    """4:05 or 1:02:03; –:–– where unknown."""
    if not math.isfinite(seconds):
        return "–:––"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _is_terminal(stream: Stream) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"
