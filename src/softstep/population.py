"""Run all blocks of a run folder in one-thread worker processes, one per core."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, Any, Protocol, runtime_checkable

from softstep import runtime
from softstep.config import ConfigError
from softstep.events import EnvironmentFailed, Outcome, Progress, ReplayMismatch
from softstep.store import RunFolder, StoreError


@runtime_checkable
class View(Protocol):
    """Somebody who watches a run."""

    def update(self, block: int, progress: Progress) -> None:
        """A block has moved on."""
        ...

    def finished(self, block: int) -> None:
        """A block has ended, perhaps early because it is solved."""
        ...

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Rows of the curves, as they come."""
        ...


class WorkerFailed(RuntimeError):
    """A worker process ended by itself."""


_ERRORS: Mapping[str, type[Exception]] = {
    "ConfigError": ConfigError,
    "StoreError": StoreError,
    "EnvironmentFailed": EnvironmentFailed,
    "ReplayMismatch": ReplayMismatch,
}


def run_blocks(
    run: RunFolder, lock: int, view: View, *, workers: int | None = None, should_stop: Callable[[], bool]
) -> list[Outcome | None]:
    """Train every block; None for those that had not begun when `should_stop` said so.

    The workers hold the folder's `lock` too, so that nobody else writes while one of them still does.
    """
    blocks = len(run.config.blocks())
    count = min(blocks, workers or runtime.cores())
    said: queue.SimpleQueue[tuple[Worker, bytes]] = queue.SimpleQueue()
    pool = [Worker(run, lock, said, overlap=count < runtime.cores()) for _ in range(count)]
    waiting, stopping = deque(range(blocks)), False
    outcomes: list[Outcome | None] = [None] * blocks
    try:
        for worker in pool:
            worker.order(waiting)
        while any(worker.block is not None for worker in pool):
            if should_stop() and not stopping:
                stopping = True
                waiting.clear()
                for worker in pool:
                    worker.finish()
            with contextlib.suppress(queue.Empty):
                worker, line = said.get(timeout=0.1)
                _hear(worker, line, view, outcomes, waiting)
    finally:
        for worker in pool:
            worker.finish()
        for worker in pool:
            worker.end()
    return outcomes


class Worker:
    """One worker process and the block it is at."""

    def __init__(
        self, run: RunFolder, lock: int, said: queue.SimpleQueue[tuple[Worker, bytes]], *, overlap: bool
    ) -> None:
        self._run = run
        self.block: int | None = None
        search = [os.getcwd()] if run.config.env_modules or run.config.network else []
        path = os.pathsep.join([*search, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | runtime.settings(overlap=overlap) | ({"PYTHONPATH": path} if path else {})
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "softstep.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            pass_fds=[lock],
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        threading.Thread(target=self._listen, args=(said,), daemon=True).start()

    def _listen(self, said: queue.SimpleQueue[tuple[Worker, bytes]]) -> None:
        for line in self._output:
            said.put((self, line))
        said.put((self, b""))

    def order(self, waiting: deque[int]) -> None:
        """Take the next block, if any waits."""
        self.block = waiting.popleft() if waiting else None
        if self.block is not None:
            self._input.write(
                json.dumps({"folder": str(self._run.path.resolve()), "block": self.block}).encode() + b"\n"
            )
            self._input.flush()

    def finish(self) -> None:
        """Tell it to save and end."""
        with contextlib.suppress(BrokenPipeError):
            self._input.close()

    def end(self) -> None:
        """Wait for its end; by force if it does not come."""
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def exit_code(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.wait()


def _hear(worker: Worker, line: bytes, view: View, outcomes: list[Outcome | None], waiting: deque[int]) -> None:
    """Take in one line of a worker; an empty one says that it has ended."""
    if not line:
        if worker.block is None:
            return
        raise WorkerFailed(f"the worker of block {worker.block} ended with exit code {worker.exit_code}")
    event = json.loads(line)
    match event["event"]:
        case "progress":
            view.update(event["block"], Progress(**event["progress"]))
        case "records":
            view.records(event["block"], event["records"])
        case "done":
            outcomes[event["block"]] = Outcome(**event["outcome"])
            view.finished(event["block"])
            worker.order(waiting)
        case "failed":
            worker.block = None
            raise _ERRORS[event["kind"]](event["message"])
