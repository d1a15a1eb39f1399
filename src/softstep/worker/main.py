"""A worker process: runs the blocks it is given, one at a time, on one thread.

Started with `runtime.command`; orders come as JSON lines on standard input, what happens goes out as JSON lines on
standard output. When its input closes (the parent is gone, or wants it to stop), it saves and ends.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from softstep.errors import ConfigError, EnvironmentFailed, ReplayMismatch, StoreError
from softstep.records.events import Hooks, Progress
from softstep.runs import run_folder
from softstep.training.block import Shared
from softstep.worker.run_block import execute_block
from softstep.worker.stdio import listen, open_line

PROGRESS_SECONDS = 0.1
"""Between two lines about progress."""


def main() -> None:
    """Serve orders until the input closes."""
    warnings.showwarning = lambda message, *_, **__: print(f"softstep: warning: {message}", file=sys.stderr)
    news, closing = open_line(), threading.Event()
    orders = listen(on_close=closing.set)

    def say(event: str, **values: Any) -> None:
        try:
            news.write(json.dumps({"event": event, **values}) + "\n")
        except (BrokenPipeError, ValueError):
            closing.set()

    say("ready")
    shared = defaultdict[str, Shared](Shared)  # by run folder
    while (order := orders.get()) is not None:
        _serve(order, shared[order["folder"]], say, closing)


def _now_and_then(tell: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """`tell`, at most every `PROGRESS_SECONDS`."""
    next_time = 0.0

    def told(progress: Progress) -> None:
        nonlocal next_time
        if (now := time.monotonic()) >= next_time:
            next_time = now + PROGRESS_SECONDS
            tell(progress)

    return told


def _serve(order: dict[str, Any], shared: Shared, say: Any, closing: threading.Event) -> None:
    block = order["block"]
    hooks = Hooks(
        on_records=lambda records: say("records", block=block, records=[r._asdict() for r in records]),
        on_progress=_now_and_then(lambda progress: say("progress", block=block, progress=progress._asdict())),
        should_stop=closing.is_set,
    )
    try:
        run = run_folder.open_run(Path(order["folder"]))
        outcome = execute_block(run, block, hooks, shared)
        say("done", block=block, outcome=outcome._asdict())
    except (ConfigError, StoreError, EnvironmentFailed, ReplayMismatch) as error:
        say("failed", block=block, kind=type(error).__name__, message=str(error))


if __name__ == "__main__":
    main()
