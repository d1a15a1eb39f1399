"""Every error that softstep raises for a user's mistake or an environment's failure."""

from __future__ import annotations

import difflib


class ConfigError(ValueError):
    """A setting that cannot be meant: one line that says what is wrong, the value and the fix."""


def near(word: str, known: list[str]) -> str:
    """A question after an unknown word: `; did you mean 'tau'?`, or nothing."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


class StoreError(RuntimeError):
    """A run folder that cannot be read or written as it stands: what is wrong, and what to do."""


class ReplayMismatch(RuntimeError):
    """A resumed environment's replayed episode ended elsewhere."""


class EnvironmentFailed(RuntimeError):
    """An environment raised in mid-run; the cause is chained, the last checkpoint stands."""


class WorkerFailed(RuntimeError):
    """A worker process ended by itself."""
