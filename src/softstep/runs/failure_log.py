"""Tracebacks of failures in files: whoever reads the one line about a failure can find out more."""

from __future__ import annotations

import contextlib
import datetime
import os
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from softstep.files import cache_folder

LOG_FILE = "error.log"
"""The log in a run folder; further failures are appended."""

KEPT_LOGS = 20
"""Number of logs that are kept of failures that left no run folder."""


def log_failure(error: BaseException, run: Path | None = None) -> None:
    """Write the traceback of an error that has a cause to a file, and add the file's path to the error's notes.

    An error without a cause says everything itself; one that has notes is logged already.

    Args:
        error: the failure.
        run: folder of the run that it ended; None takes a new file in the cache, or in the system's temporary folder.
    """
    if error.__cause__ is None or getattr(error, "__notes__", None):
        return
    text = f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S}\n{''.join(traceback.format_exception(error))}\n"
    for path in _places(run):
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(text)
            error.add_note(f"(traceback: {path})")
            return


def _places(run: Path | None) -> Iterator[Path]:
    """Yield where a log may be written, the best place first."""
    if run is not None:
        yield run / LOG_FILE
    name = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: nobody's home
        folder = cache_folder() / "failures"
        for old in sorted(folder.glob("*.log"))[: 1 - KEPT_LOGS]:
            old.unlink(missing_ok=True)
        yield folder / name
    yield Path(tempfile.gettempdir()) / f"softstep-{name}"
