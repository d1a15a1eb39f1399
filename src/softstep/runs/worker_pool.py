"""Run all blocks of a run folder in one-thread worker processes, one per core."""

from __future__ import annotations

import collections
import contextlib
import json
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from softstep.errors import (
    ConfigError,
    EnvironmentFailed,
    StoreError,
    WorkerFailed,
    WorkerTraceback,
    one_line,
)
from softstep.records.events import Outcome, Progress
from softstep.runs import checkpoints, worker_env
from softstep.runs.failure_log import log_failure
from softstep.runs.run_folder import RunFolder
from softstep.runs.versions import recorded_device
from softstep.runs.worker_process import WorkerProcess, take_process


@runtime_checkable
class RunView(Protocol):
    """An observer of a run, notified of progress, records and finished blocks."""

    def update(self, block: int, progress: Progress) -> None:
        """Receive the progress of a block."""
        ...

    def finished(self, block: int) -> None:
        """Note that a block has ended, perhaps early because it is solved; one that was stopped has not."""
        ...

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Receive new rows of the curves."""
        ...


_ERRORS: Mapping[str, type[Exception]] = {
    "ConfigError": ConfigError,
    "StoreError": StoreError,
    "EnvironmentFailed": EnvironmentFailed,
    "WorkerFailed": WorkerFailed,
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
    """Train every block that is not finished yet, in worker processes.

    The workers hold the folder's lock too, so that nobody else writes while one of them still does.

    Args:
        run: the run's folder.
        lock: file descriptor of the folder's lock.
        view: the observer.
        workers: number of worker processes; None takes one per core. On a GPU there is one.
        should_stop: polled during training; once true, every worker saves and ends.
        failed: if given, the message of every block whose environment raises is stored here while the other blocks
            continue, and a worker that dies is replaced by another that resumes its block, a few times.

    Returns: one outcome per block; None for blocks that had not started when `should_stop` became true.
    """
    outcomes = finished_outcomes(run)
    waiting = deque(block for block, outcome in enumerate(outcomes) if outcome is None)
    side_by_side = (workers or worker_env.cores()) if recorded_device(run.path) == "cpu" else 1
    count = min(len(waiting), side_by_side)
    pool = WorkerPool(run, lock, count, waiting, failed)
    try:
        pool.work(view, should_stop)
    finally:
        pool.close()
    return [before or after for before, after in zip(outcomes, pool.outcomes, strict=True)]


def finished_outcomes(run: RunFolder) -> list[Outcome | None]:
    """Return the outcome of every block that is already finished, None for the others."""

    def ended(steps: int) -> Outcome:
        return Outcome(steps, 0, (), stopped=False, train_seconds=0.0, eval_seconds=0.0)

    blocks = zip(checkpoints.finished_blocks(run), checkpoints.steps_reached(run), strict=True)
    return [ended(steps) if is_finished else None for is_finished, steps in blocks]


MAX_LOST_WORKERS = 3
"""Number of workers a block may lose before it counts as failed."""
SAVE_PATIENCE = 60.0
"""Seconds that a worker has to stop and save; then it is killed, and its last checkpoint stands."""
END_PATIENCE = 5.0
"""Seconds that a worker without a block has to end."""


class WorkerPool:
    """Parallel worker processes, and the blocks that wait for one."""

    def __init__(
        self, run: RunFolder, lock: int, count: int, waiting: deque[int], failed: dict[int, str] | None
    ) -> None:
        self._run, self._lock, self._waiting, self._failed = run, lock, waiting, failed
        self._messages: queue.SimpleQueue[tuple[Worker, bytes]] = queue.SimpleQueue()
        self._overlap = worker_env.may_overlap(count)
        self._settings = worker_env.settings(recorded_device(run.path))
        self._lost_workers: collections.Counter[int] = collections.Counter()
        self._kill_time = math.inf
        """When workers that still save after a stop are killed; infinite before the stop."""
        self._workers = [self._start_worker() for _ in range(count)]
        self.outcomes: list[Outcome | None] = [None] * len(run.config.blocks())

    def _start_worker(self) -> Worker:
        process = take_process(self._settings)
        process.share(self._lock)
        return Worker(process, self._command, self._messages)

    def _command(self, block: int) -> dict[str, Any]:
        """Return the command to train a block."""
        return {"folder": str(self._run.path), "block": block, "overlap": self._overlap}

    def work(self, view: RunView, should_stop: Callable[[], bool]) -> None:
        """Run until no block is left, or until all workers have stopped; an interrupt after that request kills them."""
        for worker in self._workers:
            worker.start_next(self._waiting)
        try:
            while any(worker.block is not None for worker in self._workers):
                if should_stop() and not self._stopping:
                    self._stop()
                if time.monotonic() > self._kill_time:
                    self._kill()
                with contextlib.suppress(queue.Empty):
                    worker, line = self._messages.get(timeout=0.1)
                    self._handle(worker, line, view)
        except KeyboardInterrupt:
            if self._stopping:
                self._kill()
            raise

    @property
    def _stopping(self) -> bool:
        return self._kill_time < math.inf

    def _stop(self) -> None:
        """Ask every worker to save and end."""
        self._kill_time = time.monotonic() + SAVE_PATIENCE
        self._waiting.clear()
        for worker in self._workers:
            if worker.is_ready:
                worker.finish()
            else:
                worker.kill()  # still importing libraries

    def _kill(self) -> None:
        """End the workers that still have a block."""
        for worker in self._workers:
            if worker.block is not None:
                worker.kill()

    def close(self) -> None:
        """Ask every worker to save and end, and wait for it; an interrupt kills them."""
        self._stop()
        try:
            for worker in self._workers:
                worker.end(self._kill_time)
        except KeyboardInterrupt:
            self._kill()
            raise

    def _handle(self, worker: Worker, line: bytes, view: RunView) -> None:
        """Handle one message of a worker; an empty line means that it has ended."""
        if not line:
            self._handle_end(worker)
            return
        message = json.loads(line)
        match message["event"]:
            case "ready":
                worker.is_ready = True
            case "progress":
                view.update(message["block"], Progress(**message["progress"]))
            case "records":
                view.records(message["block"], message["records"])
            case "done":
                outcome = Outcome(**message["outcome"])
                self.outcomes[message["block"]] = outcome
                if not outcome.stopped:
                    view.finished(message["block"])
                worker.start_next(self._waiting)
            case "stopped":
                worker.block = None
            case "failed":
                error = _ERRORS[message["kind"]](message["message"])
                error.__cause__ = WorkerTraceback(message["traceback"]) if message["traceback"] else None
                self._fail(worker, error)

    def _fail(self, worker: Worker, error: Exception) -> None:
        """Handle a failed block: raise the error, or note it and continue with the next block."""
        block, worker.block = worker.block, None
        if self._failed is None or block is None or not isinstance(error, (EnvironmentFailed, WorkerFailed)):
            raise error
        log_failure(error, self._run.path)
        self._failed[block] = one_line(error)
        worker.start_next(self._waiting)

    def _handle_end(self, worker: Worker) -> None:
        """Handle the end of a worker, whether requested or not."""
        if worker.block is None or self._stopping:
            worker.block = None
            return
        error = WorkerFailed(f"the worker of block {worker.block} ended with exit code {worker.exit_code}")
        if self._failed is None:
            raise error
        self._lost_workers[worker.block] += 1
        successor = self._start_worker()
        self._workers[self._workers.index(worker)] = successor
        if self._lost_workers[worker.block] < MAX_LOST_WORKERS:
            self._waiting.appendleft(worker.block)
            successor.start_next(self._waiting)
        else:
            successor.block = worker.block
            self._fail(successor, error)


class Worker:
    """One worker process and the block it trains."""

    def __init__(
        self,
        process: WorkerProcess,
        command: Callable[[int], dict[str, Any]],
        messages: queue.SimpleQueue[tuple[Worker, bytes]],
    ) -> None:
        self._process, self._command = process, command
        self.block: int | None = None
        self.is_ready = False
        """Whether it hears commands."""
        threading.Thread(target=self._listen, args=(messages,), daemon=True).start()

    def _listen(self, messages: queue.SimpleQueue[tuple[Worker, bytes]]) -> None:
        with self._process.output as lines:
            for line in lines:
                messages.put((self, line))
        messages.put((self, b""))

    def start_next(self, waiting: deque[int]) -> None:
        """Start the next waiting block, if there is one."""
        self.block = waiting.popleft() if waiting else None
        if self.block is not None:
            self._process.send(self._command(self.block))

    def finish(self) -> None:
        """Ask the process to save and end."""
        self._process.close_input()

    def end(self, kill_time: float) -> None:
        """Wait until the process has ended; kill it at `kill_time`, or soon if it has no block to save."""
        self._process.end(END_PATIENCE if self.block is None else max(0.0, kill_time - time.monotonic()))

    def kill(self) -> None:
        """End the process at once, if it has not ended."""
        self._process.kill()

    @property
    def exit_code(self) -> int:
        """Exit code of the process; waits until it has ended."""
        return self._process.wait()
