"""The child's side of the JSON-lines pipes: commands come in on one, messages leave on the other.

They begin as standard input and output and move to descriptors of their own, because the environment's code has the
standard streams: it reads an empty input, and what it prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TextIO

from softstep.runs.descriptors import discard, make_private

Commands = SimpleQueue[dict[str, Any] | None]
"""The parent's commands; None after the parent has closed its end."""


def open_pipes() -> tuple[TextIO, TextIO]:
    """Return the stream of commands from the parent and that of messages to it."""
    commands, messages = make_private(os.dup(0)), make_private(os.dup(1))
    discard(0)
    os.dup2(2, 1)
    return os.fdopen(commands), os.fdopen(messages, "w", buffering=1)


def receive_lock(stream: TextIO) -> None:
    """Wait for the descriptor of a lock, which precedes the commands, and hold it for as long as this process lives.

    Nothing comes if the parent has ended or has nothing to train.
    """
    with socket.socket(fileno=os.dup(stream.fileno())) as connection:
        _, locks, *_ = socket.recv_fds(connection, 1, 1)
    for lock in locks:
        make_private(lock)


def discard_prints() -> None:
    """Discard what this process prints from now on: nobody reads it, and printing to a closed pipe raises."""
    discard(1)
    discard(2)


def read_commands(stream: TextIO, on_close: Callable[[], None] = lambda: None) -> Commands:
    """Read commands in a separate thread; call `on_close` there when the stream ends."""
    commands: Commands = SimpleQueue()

    def read() -> None:
        for line in stream:
            commands.put(json.loads(line))
        commands.put(None)
        on_close()

    threading.Thread(target=read, daemon=True).start()
    return commands
