"""What signals do to a command: the first one lets a run save and stop, a later one ends the command at once.

Workers let signals pass (`worker/stop.py`), so that it does not matter who else gets them.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from softstep.runs.signals import STOP_SIGNALS

REPEAT_SECONDS = 1.0
"""Signals within this time after the first belong to it: `timeout` sends one to the command and one to its group."""


class StopSignals:
    """The signals that this process has got since its command began."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._time, self._heeded = 0.0, False

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle signals in the block of `with`; in the main thread only, and not SIGHUP under `nohup`."""
        self._first = None
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        numbers = [number for number in STOP_SIGNALS if not (ignored and number == signal.SIGHUP)]
        previous = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Let the block of `with` ask for the first signal (`received`) instead of being ended by it."""
        self._heeded = True
        try:
            yield
        finally:
            self._heeded = False

    def received(self) -> bool:
        """Return whether there was a signal."""
        return self._first is not None

    @property
    def name(self) -> str:
        """Name of the first signal."""
        return signal.Signals(self._first or signal.SIGINT).name

    @property
    def exit_code(self) -> int:
        """128 + the first signal, as in shells: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
        return 128 + (self._first or signal.SIGINT)

    def _handle(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if self._first is not None:
            if now - self._time > REPEAT_SECONDS:
                raise KeyboardInterrupt
            return
        self._first, self._time = number, now
        if not self._heeded:
            raise KeyboardInterrupt


STOP = StopSignals()
"""The process has one set of signal handlers, and so one of these."""
