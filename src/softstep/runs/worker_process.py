"""A worker process as its parent sees it: its start, its pipes and its end.

A command that will train starts one before it has read its own arguments, so that the worker imports JAX meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import IO, Any

from softstep.runs import worker_env


class WorkerProcess:
    """A process of `softstep.worker.main`: it imports what training needs, then waits for a lock and for blocks."""

    def __init__(self, settings: Mapping[str, str], *, silent: bool = False) -> None:
        """Start the process.

        Args:
            settings: its own environment variables, from `worker_env.settings`.
            silent: keep what it prints to standard error until `print_errors`.
        """
        self.circumstances = _circumstances(settings)
        """What it was started with, and would have to be started with again."""
        ours, theirs = socket.socketpair()
        with theirs, worker_env.signals_blocked():
            self._process = subprocess.Popen(
                worker_env.command("softstep.worker.main"),
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if silent or _must_relay() else None,
                env=os.environ | settings,
            )
        assert self._process.stdout is not None
        self._input = ours
        self.output: IO[bytes] = self._process.stdout
        """The process's messages, a line each."""
        self._relaying = threading.Thread(target=self._relay, daemon=True)
        if not silent:
            self.print_errors()

    def print_errors(self) -> None:
        """Print what the process prints to standard error, from now on and so far."""
        self._relaying.start()

    def _relay(self) -> None:
        """Print what the process prints to standard error, if that comes here."""
        if self._process.stderr is None:
            return
        with self._process.stderr as lines:
            for line in lines:
                with contextlib.suppress(OSError, ValueError):  # go on reading: a full pipe would stop the process
                    print(line.decode(errors="replace"), end="", file=sys.stderr, flush=True)

    def share(self, lock: int) -> None:
        """Let the process hold the lock of the run's folder too, as if it had inherited the descriptor."""
        with contextlib.suppress(OSError):  # it has ended, which its output tells
            socket.send_fds(self._input, [b"\n"], [lock])

    def send(self, command: Mapping[str, Any]) -> None:
        """Send a command, once the process has the lock."""
        with contextlib.suppress(OSError):
            self._input.sendall(json.dumps(command).encode() + b"\n")

    def close_input(self) -> None:
        """Ask the process to save and end."""
        self._input.close()

    def end(self, patience: float) -> None:
        """Wait until the process has ended, and kill it after `patience` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=patience)
        self.kill()
        if self._relaying.is_alive():
            self._relaying.join(timeout=0.2)  # children of the environment may still hold the pipe

    def kill(self) -> None:
        """End the process at once, if it has not ended."""
        self._process.kill()
        self._process.wait()
        self._input.close()

    def discard(self) -> None:
        """End a process that nobody has taken."""
        self.kill()
        for stream in (self.output, self._process.stderr):
            if stream is not None:
                stream.close()

    def wait(self) -> int:
        """Wait until the process has ended, and return its exit code."""
        return self._process.wait()


def _circumstances(settings: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return what a process started now would inherit: environment variables and the working folder."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        folder = ""
    return os.environ | dict(settings), folder


def _must_relay() -> bool:
    """Return whether lines from workers are printed here, above a progress bar or in a notebook, instead of by them."""
    try:
        return sys.stderr is not None and (sys.stderr.isatty() or sys.stderr.fileno() != 2)
    except (AttributeError, OSError, ValueError):  # no file at all
        return True


# ---- the process that is started before anybody knows what it will train ----

_early: list[WorkerProcess] = []


@contextlib.contextmanager
def early_process() -> Iterator[None]:
    """Start a process that `take_process` will return in the block of `with`; end it if nobody has taken it.

    It is silent until then: a library may be missing, which the command itself says in one line.
    """
    _early.append(WorkerProcess(worker_env.settings(), silent=True))
    try:
        yield
    finally:
        _end_early()


def take_process(settings: Mapping[str, str]) -> WorkerProcess:
    """Return a process with these environment variables: the early one if it fits, else a new one."""
    if _early and _early[0].circumstances == _circumstances(settings):
        process = _early.pop()
        process.print_errors()
        return process
    _end_early()
    return WorkerProcess(settings)


def _end_early() -> None:
    while _early:
        _early.pop().discard()
