"""The server's side of live agents: one subprocess per live run, its events, and the pages that watch them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import AsyncIterator
from typing import Any

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.runs import worker_env

KEPT_EVENTS = 20_000
"""Events kept for pages that connect later; beyond it the older half is dropped."""

Event = dict[str, Any]
"""One JSON line of the subprocess; its "kind" is frame, records, changed, reset, saved, not-saved, failed or ended."""


class LiveRun:
    """One live run: its subprocess, the events it has sent, and its latest frame."""

    def __init__(self, config: Config, process: asyncio.subprocess.Process) -> None:
        self.id, self.config, self.watchers, self.ended = secrets.token_hex(8), config, 0, False
        self._process = process
        self._first, self._events = 0, list[Event]()  # the events numbered _first, _first + 1, …
        self._frame: Event | None = None
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, config: Config) -> LiveRun:
        """Start the subprocess; it is paused until the command `play`."""
        with worker_env.signals_blocked():
            process = await asyncio.create_subprocess_exec(
                *worker_env.command("softstep.explorer.live.worker"),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**20,
                env=os.environ | worker_env.settings(),
            )  # fmt: skip
        run = cls(config, process)
        await run._write(config.to_json().replace("\n", " "))
        return run

    async def send(self, command: str, **values: Any) -> None:
        """Send a command to the subprocess."""
        await self._write(json.dumps({"do": command, **values}))

    async def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()

    async def _read(self) -> None:
        """Read events until the subprocess ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            await self._receive(json.loads(line))
        self.ended = True
        await self._receive({"kind": "ended"})

    async def _receive(self, event: Event) -> None:
        """Keep an event and wake the watchers. Only the latest frame is kept; a reset drops all earlier events."""
        async with self._changed:
            if event["kind"] == "frame":
                self._frame = event
            else:
                if event["kind"] == "reset":
                    self._frame = None
                    self._drop(len(self._events))
                elif len(self._events) >= KEPT_EVENTS:
                    self._drop(KEPT_EVENTS // 2)
                self._events.append(event)
            self._changed.notify_all()

    def _drop(self, count: int) -> None:
        """Drop the oldest `count` events."""
        self._first += count
        del self._events[:count]

    async def watch(self, silence: float) -> AsyncIterator[Event]:
        """Yield all kept events, then new events and frames as they come; slow watchers skip frames.

        Yields {} whenever nothing has happened for `silence` seconds. Ends when the subprocess has ended.
        """
        self.watchers += 1
        number = 0
        shown: Event | None = None
        try:
            while True:
                number = max(number, self._first)
                while number < self._end:
                    number += 1
                    yield self._events[number - 1 - self._first]
                    number = max(number, self._first)
                if self._frame is not None and self._is_new(shown):
                    shown = self._frame
                    yield shown
                if self.ended:
                    return
                if not await self._wait(silence, number, shown):
                    yield {}
        finally:
            self.watchers -= 1

    def _is_new(self, shown: Event | None) -> bool:
        """Return whether there is a frame other than `shown`; just after a reset there is none."""
        return self._frame is not None and self._frame is not shown

    @property
    def _end(self) -> int:
        """Number of the next event."""
        return self._first + len(self._events)

    async def _wait(self, silence: float, number: int, shown: Event | None) -> bool:
        """Wait for event `number` or a new frame; return False if neither comes within `silence` seconds."""
        try:
            async with asyncio.timeout(silence), self._changed:
                await self._changed.wait_for(lambda: number < self._end or self._is_new(shown))
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End the subprocess: close its input, and kill it if it has not ended after three seconds."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 3)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader


class LiveRuns:
    """All live runs of a server: at most `max_runs` at once; a run without watchers is stopped after a while."""

    def __init__(self, max_runs: int, idle_seconds: float = 10.0) -> None:
        self._max_runs, self._idle_seconds = max_runs, idle_seconds
        self._runs: dict[str, LiveRun] = {}
        self._monitors: set[asyncio.Task[None]] = set()

    async def start(self, config: Config) -> LiveRun:
        """Start a live run; ConfigError if the largest number is already running."""
        if len(self._runs) >= self._max_runs:
            raise ConfigError(
                f"{self._max_runs} live agents are running, which is all this server allows: stop one first"
            )
        run = await LiveRun.start(config)
        self._runs[run.id] = run
        monitor = asyncio.create_task(self._stop_when_idle(run))
        self._monitors.add(monitor)
        monitor.add_done_callback(self._monitors.discard)
        return run

    def get(self, run_id: str) -> LiveRun | None:
        """Return the live run with that id, or None."""
        return self._runs.get(run_id)

    def __len__(self) -> int:
        return len(self._runs)

    async def _stop_when_idle(self, run: LiveRun) -> None:
        """Stop the run once it has ended or nobody has watched it for `idle_seconds`."""
        idle = 0.0
        while idle < self._idle_seconds and not run.ended:
            await asyncio.sleep(self._idle_seconds / 20)
            idle = 0.0 if run.watchers else idle + self._idle_seconds / 20
        await self.stop(run)

    async def stop(self, run: LiveRun) -> None:
        """End the run and remove it."""
        if self._runs.pop(run.id, None) is not None:
            await run.stop()

    async def stop_all(self) -> None:
        """End every run."""
        for monitor in self._monitors:
            monitor.cancel()
        await asyncio.gather(*(self.stop(run) for run in list(self._runs.values())))
