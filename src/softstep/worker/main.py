"""A worker process: trains the blocks it is given, one at a time, on one thread.

Started with `worker_env.command`. Commands arrive as JSON lines on standard input, messages leave as JSON lines on
standard output. When the input closes (the parent has ended, or asks the worker to stop), it saves and ends.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from softstep.errors import ConfigError, EnvironmentFailed, ReplayMismatch, StoreError, in_words
from softstep.records.events import Hooks, Progress
from softstep.runs import run_folder
from softstep.training.program_cache import ProgramCache
from softstep.worker.run_block import execute_block
from softstep.worker.stdio import open_output, read_commands

PROGRESS_SECONDS = 0.1
"""Least time between two messages about progress."""


def main() -> None:
    """Serve commands until the input closes."""
    warnings.showwarning = lambda message, *_, **__: print(f"softstep: warning: {message}", file=sys.stderr)
    output, closing = open_output(), threading.Event()
    commands = read_commands(on_close=closing.set)

    def send(event: str, **values: Any) -> None:
        try:
            output.write(json.dumps({"event": event, **values}) + "\n")
        except (BrokenPipeError, ValueError):
            closing.set()

    send("ready")
    caches = defaultdict[str, ProgramCache](ProgramCache)  # by run folder
    while (command := commands.get()) is not None:
        _train_block(command, caches[command["folder"]], send, closing)


def _throttled(report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Return `report`, limited to one call per `PROGRESS_SECONDS`."""
    next_time = 0.0

    def throttled(progress: Progress) -> None:
        nonlocal next_time
        if (now := time.monotonic()) >= next_time:
            next_time = now + PROGRESS_SECONDS
            report(progress)

    return throttled


def _train_block(command: dict[str, Any], cache: ProgramCache, send: Any, closing: threading.Event) -> None:
    block = command["block"]
    hooks = Hooks(
        on_records=lambda records: send("records", block=block, records=[r._asdict() for r in records]),
        on_progress=_throttled(lambda progress: send("progress", block=block, progress=progress._asdict())),
        should_stop=closing.is_set,
    )
    try:
        run = run_folder.open_run(Path(command["folder"]))
        outcome = execute_block(run, block, hooks, cache)
        send("done", block=block, outcome=outcome._asdict())
    except (ConfigError, StoreError, EnvironmentFailed, ReplayMismatch) as error:
        send("failed", block=block, kind=type(error).__name__, message=str(error), traceback=_traceback(error))
    except BaseException as error:  # our own fault, or something that user code raises where nobody expects it
        message = f"the worker of block {block} failed: {in_words(error)}"
        send("failed", block=block, kind="WorkerFailed", message=message, traceback=traceback.format_exc())


def _traceback(error: BaseException) -> str | None:
    """Return the traceback of an error that has a cause; None for one that says everything itself."""
    return None if error.__cause__ is None else "".join(traceback.format_exception(error))


if __name__ == "__main__":
    main()
