"""The errors that softstep raises for invalid input and for failures of environments, workers and run folders."""

from __future__ import annotations

import difflib
import textwrap

MAX_QUOTED = 400
"""Most characters of another library's message that are quoted in one of ours."""


class ConfigError(ValueError):
    """An invalid setting: one line with what is wrong, the value and the fix."""


def near(word: str, known: list[str]) -> str:
    """Return a suggestion for an unknown word, such as `; did you mean 'tau'?`, or "" if no known word is close."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def in_words(error: BaseException) -> str:
    """Return the class of an error and its message, if it has one, on one line; of a BadValue the message alone."""
    if isinstance(error, BadValue):
        return str(error)
    message = textwrap.shorten(str(error), MAX_QUOTED, placeholder=" …")
    return ": ".join(filter(None, [type(error).__name__, message]))


def one_line(error: BaseException) -> str:
    """Return the message of one of the errors below with its notes, such as the path of a log."""
    return " ".join([str(error), *getattr(error, "__notes__", ())])


class BadValue(ValueError):
    """A number or a shape that an environment must not return; the text begins with `its`."""


class NotFinite(BadValue):
    """A number that is NaN or infinite, None, or beyond float32."""


class StoreError(RuntimeError):
    """A run folder that cannot be read or written: what is wrong, and what to do."""


class EnvironmentFailed(RuntimeError):
    """An exception that an environment raised during a run: its cause is chained, and the last checkpoint is kept."""


class WorkerFailed(RuntimeError):
    """A worker process that ended unexpectedly, or an exception in it that nothing was prepared for."""


class WorkerTraceback(Exception):
    """The traceback of an error in a worker process, as text: the cause of the error that its parent raises."""


class Abandoned(BaseException):
    """Work that a request to stop interrupted: a `BaseException`, which environments let pass."""


INTERRUPTIONS = (KeyboardInterrupt, Abandoned)
"""What may be raised inside the user's code without being an error of it."""
