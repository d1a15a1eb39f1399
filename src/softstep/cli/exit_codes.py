"""Exit codes of the `softstep` command, and the line that follows a stopped run. A signal gives 128 + its number."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from softstep.cli.stop_signals import STOP

SUCCESS = 0

FAILURE = 1
"""The environment, a worker process or a replayed episode failed."""

USAGE = 2
"""The user's input or folder has to be corrected."""


def exit_code(*, finished: bool, saved: Callable[[], str]) -> int:
    """Return SUCCESS for a finished run; otherwise print what was saved and return the code of the signal."""
    if finished:
        return SUCCESS
    print(f"softstep: {stop_line(saved())}", file=sys.stderr)
    return STOP.exit_code


def stop_line(saved: str) -> str:
    """Return the line that says by which signal a command was stopped, what was saved and how to go on."""
    return f"stopped by {STOP.name}: {saved}"


@contextlib.contextmanager
def explained(saved: Callable[[], str]) -> Iterator[None]:
    """Let a signal that ends the block of `with` at once say what was saved and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(stop_line(saved())) from None
