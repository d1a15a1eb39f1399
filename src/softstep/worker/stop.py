"""How a worker stops: it lets signals pass and follows its parent, which decides whether the run is to be saved.

Ctrl-C, a closed terminal, `timeout` and a cluster's scheduler signal the parent and its workers together. If a worker
obeyed, its work since the last checkpoint would be lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from softstep.errors import Abandoned
from softstep.runs.signals import STOP_SIGNALS
from softstep.worker.stdio import discard_prints

PATIENCE = 60.0
"""Seconds after which a worker ends although its environment's code does not return."""
GRACE = 1.5
"""Seconds that threads and children of the environment have to end, once nothing of ours is left to save."""


class StopRequest:
    """A request to stop: training asks for it from time to time, and abandonable work is interrupted by it."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._abandonable = False

    def is_asked(self) -> bool:
        """Return whether to stop."""
        return self._asked.is_set()

    @contextlib.contextmanager
    def abandonable(self) -> Iterator[None]:
        """Let a request raise Abandoned in the block of `with`; to be used in the main thread."""
        self._abandonable = True
        try:
            self.interrupt()
            yield
        finally:
            self._abandonable = False

    def ask(self) -> None:
        """Make the request; the main thread hears it when `interrupt` runs there."""
        self._asked.set()

    def interrupt(self, *_: Any) -> None:
        """Raise Abandoned if the request has been made and what runs is abandonable; a signal handler."""
        if self._asked.is_set() and self._abandonable:
            self._abandonable = False
            raise Abandoned


class WorkerStop(StopRequest):
    """The parent's request to a worker process, which lets signals from anybody else pass.

    Handlers that do nothing, since ignored signals would stay ignored in the programs that an environment starts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unsaved = False
        """Whether there is progress that no checkpoint holds."""
        self._parent = os.getppid()
        self._let_signals_pass()
        os.register_at_fork(after_in_child=_restore_signals)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # blocked since the parent started this process

    def progressed(self) -> None:
        """Note that there is progress to save."""
        if not self.unsaved:
            self.unsaved = True
            self._let_signals_pass()  # the environment may have set handlers when it was made

    def _let_signals_pass(self) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, self.interrupt)

    def follow(self) -> None:
        """Make the request from another thread, and end the process if it does not end by itself."""
        self.ask()
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGTERM)  # interrupts a sleep or read as well
        deadline = time.monotonic() + PATIENCE
        while self.unsaved and time.monotonic() < deadline:
            if os.getppid() != self._parent:
                discard_prints()
            time.sleep(0.05)
        time.sleep(GRACE)
        os._exit(1 if self.unsaved else 0)


def _restore_signals() -> None:
    """Let signals end a process that the environment has forked, as usual."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
