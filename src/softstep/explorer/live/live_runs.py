"""Live agents on the server's side: one subprocess each, and the pages that watch it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from softstep import presets
from softstep.config import Arm, Config, Exploration
from softstep.errors import ConfigError
from softstep.runs import worker_env
from softstep.target import TargetUpdate

MAX_ARMS = 4
"""Side by side in one live agent's block."""

KEPT_EVENTS = 20_000
"""Rows and changes remembered for pages that come later."""

ENDLESS = 1_000_000_000
"""Environment steps of a run that ends when its watcher leaves."""

_CART_POLE = Config(
    env="CartPole-v1", total_steps=ENDLESS, learning_rate=1e-3, gamma=0.99, batch_size=64, memory_size=20_000,
    learning_starts=500, train_every=2, hidden=(64, 64), exploration=Exploration(end=0.02, steps=4_000),
    record_every=500,
)  # fmt: skip
_LANDER = replace(
    presets.get("fast"), total_steps=ENDLESS, learning_rate_decay=1.0, record_every=1_000,
    eval_every=0, eval_gate=None, eval_network="online", solve_at=None,
)  # fmt: skip
BASES = {base.env: base for base in (_CART_POLE, _LANDER)}
"""What can be trained live, with everything but α and the target."""


def live_config(env: str, seed: int, arms: Sequence[Mapping[str, Any]]) -> Config:
    """A live run: arms of one seed side by side, each with `name`, `alpha`, `c` and whether it has a `target`."""
    if env not in BASES:
        raise ConfigError(f"env = {env!r} cannot be trained live: choose {' or '.join(BASES)}")
    if not 1 <= len(arms) <= MAX_ARMS:
        raise ConfigError(f"{len(arms)} arms: a live run has 1 to {MAX_ARMS}")
    made = tuple(Arm(str(arm["name"]), float(arm["alpha"]), target_of(arm["c"], arm["target"])) for arm in arms)
    return replace(BASES[env], seed=seed, arms=made, block_width=len(made))


def target_of(c: float, target: bool) -> TargetUpdate:
    """The soft update with weight `c` on the old target; without a target network, none."""
    return TargetUpdate.from_c(c) if target else TargetUpdate.none()


class LiveRun:
    """One live agent's process, and what it has told so far."""

    def __init__(self, config: Config, process: asyncio.subprocess.Process) -> None:
        self.id, self.config, self.watchers, self.ended = secrets.token_hex(8), config, 0, False
        self._process = process
        self._first, self._events = 0, list[dict[str, Any]]()  # events number _first, _first + 1, …
        self._frame: dict[str, Any] | None = None
        self._news = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, config: Config) -> LiveRun:
        """Start the process; it waits for `play`."""
        process = await asyncio.create_subprocess_exec(
            *worker_env.command("softstep.explorer.live.worker"),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**20,
            env=os.environ | worker_env.settings(overlap=worker_env.cores() > 1),
        )  # fmt: skip
        run = cls(config, process)
        await run._write(config.to_json().replace("\n", " "))
        return run

    async def order(self, do: str, **values: Any) -> None:
        """Tell the process what to do."""
        await self._write(json.dumps({"do": do, **values}))

    async def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            await self._hear(json.loads(line))
        self.ended = True
        await self._hear({"kind": "ended"})

    async def _hear(self, event: dict[str, Any]) -> None:
        async with self._news:
            if event["kind"] == "frame":
                self._frame = event
            else:
                if event["kind"] == "reset":
                    self._frame = None
                    self._forget(len(self._events))
                elif len(self._events) >= KEPT_EVENTS:
                    self._forget(KEPT_EVENTS // 2)
                self._events.append(event)
            self._news.notify_all()

    def _forget(self, count: int) -> None:
        self._first += count
        del self._events[:count]

    async def watch(self, silence: float) -> AsyncIterator[dict[str, Any]]:
        """Everything kept, then what happens, {} after `silence` seconds of nothing; who is slow misses pictures."""
        self.watchers += 1
        number = 0
        shown: dict[str, Any] | None = None
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

    def _is_new(self, shown: Any) -> bool:
        """Whether there is a picture other than the one shown; after a reset there is none for a moment."""
        return self._frame is not None and self._frame is not shown

    @property
    def _end(self) -> int:
        return self._first + len(self._events)

    async def _wait(self, silence: float, number: int, shown: Any) -> bool:
        """Wait for an event past `number` or another picture; whether one came in time."""
        try:
            async with asyncio.timeout(silence), self._news:
                await self._news.wait_for(lambda: number < self._end or self._is_new(shown))
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 3)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._listening


class LiveRuns:
    """All live agents of a server: so many at once, and none that nobody watches."""

    def __init__(self, most: int, patience: float = 10.0) -> None:
        self._most, self._patience = most, patience
        self._runs: dict[str, LiveRun] = {}
        self._keepers: set[asyncio.Task[None]] = set()

    async def start(self, config: Config) -> LiveRun:
        """A new live run; ConfigError where there are as many as allowed."""
        if len(self._runs) >= self._most:
            raise ConfigError(f"{self._most} live agents are running, which is all this server allows: stop one first")
        run = await LiveRun.start(config)
        self._runs[run.id] = run
        keeper = asyncio.create_task(self._keep(run))
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)
        return run

    def get(self, name: str) -> LiveRun | None:
        """The live run of that id."""
        return self._runs.get(name)

    def __len__(self) -> int:
        return len(self._runs)

    async def _keep(self, run: LiveRun) -> None:
        """Stop the run once nobody has watched it for a while."""
        alone = 0.0
        while alone < self._patience and not run.ended:
            await asyncio.sleep(self._patience / 20)
            alone = 0.0 if run.watchers else alone + self._patience / 20
        await self.stop(run)

    async def stop(self, run: LiveRun) -> None:
        """End the run and free its place."""
        if self._runs.pop(run.id, None) is not None:
            await run.stop()

    async def stop_all(self) -> None:
        """End every run."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*(self.stop(run) for run in list(self._runs.values())))
