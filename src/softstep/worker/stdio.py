"""The child's side of the JSON-lines pipe: commands on standard input, messages on standard output."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TextIO

Commands = SimpleQueue[dict[str, Any] | None]
"""The parent's commands; None after the parent has closed its end."""


def open_output() -> TextIO:
    """Return the stream for messages to the parent; everything else this process prints goes to standard error.

    Ignores SIGINT: Ctrl-C reaches the whole process group, and the parent decides what to do.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return output


def read_commands(on_close: Callable[[], None] = lambda: None) -> Commands:
    """Read commands in a separate thread; call `on_close` when the input ends."""
    commands: Commands = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            commands.put(json.loads(line))
        on_close()
        commands.put(None)

    threading.Thread(target=read, daemon=True).start()
    return commands
