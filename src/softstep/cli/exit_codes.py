"""Exit codes of the `softstep` command, and the line that follows an interrupted run."""

from __future__ import annotations

import sys

SUCCESS = 0

FAILURE = 1
"""The environment, a worker process or a replayed episode failed."""

USAGE = 2
"""The user's input or folder has to be corrected."""

INTERRUPTED = 130
"""Stopped by Ctrl-C: 128 + SIGINT, as in shells."""


def exit_code(*, finished: bool, resume_command: str) -> int:
    """Return SUCCESS for a finished run; otherwise print the command that resumes it and return INTERRUPTED."""
    if finished:
        return SUCCESS
    print(f"softstep: interrupted; continue with: {resume_command}", file=sys.stderr)
    return INTERRUPTED
