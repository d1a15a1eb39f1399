"""The errors that softstep raises for invalid input and for failures of environments, workers and run folders."""

from __future__ import annotations

import difflib


class ConfigError(ValueError):
    """An invalid setting: one line with what is wrong, the value and the fix."""


def near(word: str, known: list[str]) -> str:
    """Return a suggestion for an unknown word, such as `; did you mean 'tau'?`, or "" if no known word is close."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


class StoreError(RuntimeError):
    """A run folder that cannot be read or written: what is wrong, and what to do."""


class EnvironmentFailed(RuntimeError):
    """An exception that an environment raised during a run: its cause is chained, and the last checkpoint is kept."""


class WorkerFailed(RuntimeError):
    """A worker process that ended unexpectedly."""
