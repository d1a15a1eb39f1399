"""Run all blocks of a run folder in one-thread worker processes, one per core."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, Any, Protocol, runtime_checkable

from softstep.errors import ConfigError, EnvironmentFailed, ReplayMismatch, StoreError, WorkerFailed
from softstep.records.events import Outcome, Progress
from softstep.runs import checkpoints, worker_env
from softstep.runs.run_folder import RunFolder


@runtime_checkable
class RunView(Protocol):
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


_ERRORS: Mapping[str, type[Exception]] = {
    "ConfigError": ConfigError,
    "StoreError": StoreError,
    "EnvironmentFailed": EnvironmentFailed,
    "ReplayMismatch": ReplayMismatch,
}


def run_blocks(
    run: RunFolder,
    lock: int,
    view: RunView,
    *,
    workers: int | None = None,
    should_stop: Callable[[], bool],
    failed: dict[int, str] | None = None,
) -> list[Outcome | None]:
    """Train every block that is not yet at its end; None for those that had not begun when `should_stop` said so.

    The workers hold the folder's `lock` too, so that nobody else writes while one of them still does. With `failed`,
    a block whose environment raises is noted there and the others go on, and a worker that dies is replaced by
    another that continues its block, a few times.
    """
    outcomes = finished_outcomes(run)
    waiting = deque(block for block, outcome in enumerate(outcomes) if outcome is None)
    count = min(len(waiting), workers or worker_env.cores())
    pool = Pool(run, lock, count, waiting, failed)
    try:
        pool.work(view, should_stop)
    finally:
        pool.close()
    return [before or after for before, after in zip(outcomes, pool.outcomes, strict=True)]


def finished_outcomes(run: RunFolder) -> list[Outcome | None]:
    """An outcome for every block that is at its end already, None for the others."""
    end = run.config.iterations * run.config.steps_per_iteration
    at_end = Outcome(end, 0, (), stopped=False, train_seconds=0.0, eval_seconds=0.0)
    return [at_end if done else None for done in checkpoints.finished_blocks(run)]


MOST_DEATHS = 3
"""Times a block may lose its worker before it counts as failed."""


class Pool:
    """Worker processes side by side, and the blocks that wait for one."""

    def __init__(
        self, run: RunFolder, lock: int, count: int, waiting: deque[int], failed: dict[int, str] | None
    ) -> None:
        self._run, self._lock, self._waiting, self._failed = run, lock, waiting, failed
        self._said: queue.SimpleQueue[tuple[Worker, bytes]] = queue.SimpleQueue()
        self._overlap = count < worker_env.cores()
        self._deaths: collections.Counter[int] = collections.Counter()
        self._workers = [self._hire() for _ in range(count)]
        self.outcomes: list[Outcome | None] = [None] * len(run.config.blocks())

    def _hire(self) -> Worker:
        return Worker(self._run, self._lock, self._said, overlap=self._overlap)

    def work(self, view: RunView, should_stop: Callable[[], bool]) -> None:
        """Until no block is left, or all have stopped."""
        stopping = False
        for worker in self._workers:
            worker.order(self._waiting)
        while any(worker.block is not None for worker in self._workers):
            if should_stop() and not stopping:
                stopping = True
                self._waiting.clear()
                for worker in self._workers:
                    worker.finish()
            with contextlib.suppress(queue.Empty):
                worker, line = self._said.get(timeout=0.1)
                self._hear(worker, line, view)

    def close(self) -> None:
        """Let every worker save and end."""
        for worker in self._workers:
            worker.finish()
        for worker in self._workers:
            worker.end()

    def _hear(self, worker: Worker, line: bytes, view: RunView) -> None:
        """Take in one line of a worker; an empty one says that it has ended."""
        if not line:
            self._lost(worker)
            return
        event = json.loads(line)
        match event["event"]:
            case "progress":
                view.update(event["block"], Progress(**event["progress"]))
            case "records":
                view.records(event["block"], event["records"])
            case "done":
                self.outcomes[event["block"]] = Outcome(**event["outcome"])
                view.finished(event["block"])
                worker.order(self._waiting)
            case "failed":
                self._note(worker, _ERRORS[event["kind"]](event["message"]))

    def _note(self, worker: Worker, error: Exception) -> None:
        """A block has failed: raise, or remember it and go on with the next."""
        block, worker.block = worker.block, None
        if self._failed is None or block is None or not isinstance(error, (EnvironmentFailed, WorkerFailed)):
            raise error
        self._failed[block] = str(error)
        worker.order(self._waiting)

    def _lost(self, worker: Worker) -> None:
        """A worker has ended: as it was told, or by itself."""
        if worker.block is None:
            return
        error = WorkerFailed(f"the worker of block {worker.block} ended with exit code {worker.exit_code}")
        if self._failed is None:
            raise error
        self._deaths[worker.block] += 1
        successor = self._hire()
        self._workers[self._workers.index(worker)] = successor
        if self._deaths[worker.block] < MOST_DEATHS:
            self._waiting.appendleft(worker.block)
            successor.order(self._waiting)
        else:
            successor.block = worker.block
            self._note(successor, error)


class Worker:
    """One worker process and the block it is at."""

    def __init__(
        self, run: RunFolder, lock: int, said: queue.SimpleQueue[tuple[Worker, bytes]], *, overlap: bool
    ) -> None:
        self._run = run
        self.block: int | None = None
        search = [os.getcwd()] if run.config.env_modules or run.config.network else []
        path = os.pathsep.join([*search, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | worker_env.settings(overlap=overlap) | ({"PYTHONPATH": path} if path else {})
        self._process = subprocess.Popen(
            worker_env.command("softstep.worker.main"),
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
