"""A worker process: trains the blocks it is given, one at a time, on one thread, or two where there are cores for them.

Started with `worker_env.command`. The lock of the run's folder and then commands, as JSON lines, arrive on standard
input, which is a socket; messages leave as JSON lines on standard output. When the input closes (the parent has ended,
or asks the worker to stop), it saves and ends; signals do not end it.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from softstep.errors import Abandoned, ConfigError, EnvironmentFailed, StoreError, in_words
from softstep.jax_settings.dispatch import set_dispatch
from softstep.records.events import Hooks, Progress
from softstep.runs import run_folder
from softstep.training.program_cache import ProgramCache
from softstep.worker.run_block import execute_block
from softstep.worker.stdio import open_pipes, read_commands, receive_lock
from softstep.worker.stop import WorkerStop

PROGRESS_SECONDS = 0.1
"""Least time between two messages about progress."""

_SENT = (ConfigError, StoreError, EnvironmentFailed)
"""Errors that the parent raises again; a subclass arrives as the class that is listed."""


def main() -> None:
    """Serve commands until the input closes."""
    warnings.showwarning = lambda message, *_, **__: print(f"softstep: warning: {message}", file=sys.stderr)
    stop = WorkerStop()
    orders, output = open_pipes()

    def send(event: str, **values: Any) -> None:
        try:
            output.write(json.dumps({"event": event, **values}) + "\n")
        except (BrokenPipeError, ValueError):
            stop.ask()

    send("ready")
    receive_lock(orders)
    commands = read_commands(orders, on_close=stop.follow)
    caches = defaultdict[str, ProgramCache](ProgramCache)  # by run folder
    while (command := commands.get()) is not None:
        set_dispatch(overlap=command["overlap"])
        _train_block(command, caches[command["folder"]], send, stop)


class ProgressSender:
    """Sends a block's progress: at most one message per `PROGRESS_SECONDS`, but always the last one."""

    def __init__(self, send: Callable[[Progress], None]) -> None:
        self._send, self._next_time = send, 0.0
        self._unsent: Progress | None = None

    def add(self, progress: Progress) -> None:
        """Send the progress, or keep it."""
        self._unsent = progress
        if time.monotonic() >= self._next_time:
            self.flush()

    def flush(self) -> None:
        """Send what was kept."""
        if self._unsent is not None:
            self._send(self._unsent)
            self._unsent, self._next_time = None, time.monotonic() + PROGRESS_SECONDS


def _train_block(command: dict[str, Any], cache: ProgramCache, send: Any, stop: WorkerStop) -> None:
    block = command["block"]
    sender = ProgressSender(lambda progress: send("progress", block=block, progress=progress._asdict()))

    def report(progress: Progress) -> None:
        stop.progressed()
        sender.add(progress)

    hooks = Hooks(
        on_records=lambda records: send("records", block=block, records=[r._asdict() for r in records]),
        on_progress=report,
        should_stop=stop.is_asked,
        abandonable=stop.abandonable,
    )
    try:
        run = run_folder.open_run(Path(command["folder"]))
        outcome = execute_block(run, block, hooks, cache)
        sender.flush()
        send("done", block=block, outcome=outcome._asdict())
    except Abandoned:  # before the first iteration, so that there is nothing to save
        send("stopped", block=block)
    except _SENT as error:
        kind = next(kind.__name__ for kind in _SENT if isinstance(error, kind))
        send("failed", block=block, kind=kind, message=str(error), traceback=_traceback(error))
    except BaseException as error:  # our own fault, or something that user code raises where nobody expects it
        message = f"the worker of block {block} failed: {in_words(error)}"
        send("failed", block=block, kind="WorkerFailed", message=message, traceback=traceback.format_exc())
    finally:
        stop.unsaved = False


def _traceback(error: BaseException) -> str | None:
    """Return the traceback of an error that has a cause; None for one that says everything itself."""
    return None if error.__cause__ is None else "".join(traceback.format_exception(error))


if __name__ == "__main__":
    main()
