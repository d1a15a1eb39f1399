"""A child process's end of the line: orders come as JSON lines on standard input, news go out on standard output."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TextIO

Orders = SimpleQueue[dict[str, Any] | None]
"""What the parent asks for; None once its end is closed."""


def open_line() -> TextIO:
    """Where news go; whatever else this process prints goes to standard error from now on.

    Ctrl-C reaches the whole group of processes; it is left to the parent to decide.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    news = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return news


def listen(on_close: Callable[[], None] = lambda: None) -> Orders:
    """Read orders in a thread of its own; `on_close` is called when the input ends."""
    orders: Orders = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            orders.put(json.loads(line))
        on_close()
        orders.put(None)

    threading.Thread(target=read, daemon=True).start()
    return orders
