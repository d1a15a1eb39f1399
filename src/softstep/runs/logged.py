"""Logging a run: which sinks its records go to, and the identity by which trackers know it again (`logged.json`)."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from softstep.extras import LIBRARIES
from softstep.files import json_text
from softstep.records.events import Progress, Record
from softstep.records.sink import LoggedAgent, LoggedRun
from softstep.runs import checkpoints
from softstep.runs.run_folder import RunFolder, read_result, write_results
from softstep.runs.worker_pool import RunView
from softstep.trackers.delivery import Deliveries, delivering
from softstep.trackers.names import Log, check, make_sinks
from softstep.trackers.scalars import MOST_AGENTS

LOGGED_FILE = "logged.json"
SCHEMA = 1


class Logged(NamedTuple):
    """What `logged.json` stores."""

    id: str
    """Eight hexadecimal digits by which trackers know the run."""
    log: tuple[str, ...]
    """Names of the sinks that the run was logged to last; sinks of the user's own have none."""


class LoggedView:
    """Passes everything on to another view, and the records to the sinks too."""

    def __init__(self, view: RunView, deliveries: Deliveries) -> None:
        self._view, self._deliveries = view, deliveries

    def update(self, block: int, progress: Progress) -> None:
        """Pass the call on."""
        self._view.update(block, progress)

    def finished(self, block: int) -> None:
        """Pass the call on."""
        self._view.finished(block)

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Pass the call on, and the records to the sinks."""
        self._view.records(block, records)
        self._deliveries.write([Record(**values) for values in records])


def read_logged(run: RunFolder) -> Logged | None:
    """Read what is known of a run's logging; None if it was never logged, or the file is damaged."""
    try:
        fields = json.loads(read_result(run.path, LOGGED_FILE) or "null")
        return None if fields is None else Logged(str(fields["id"]), tuple(map(str, fields["log"])))
    except (ValueError, KeyError, TypeError):
        return None


def chosen_log(run: RunFolder, log: Log | None) -> Log:
    """Return where a resumed run is logged: `log`, or if that is None, the sinks with a name that it had before.

    Raises:
        ConfigError: one of them cannot be used here.
    """
    before = read_logged(run)
    if log is None and before is None:  # a run of an earlier version has no file, but perhaps TensorBoard's folder
        log = ("tensorboard",) if (run.path / "tensorboard").is_dir() else ()
    chosen = before.log if log is None and before is not None else log or ()
    check(chosen)
    return chosen


@contextlib.contextmanager
def logging(run: RunFolder, log: Log) -> Iterator[Deliveries]:
    """Return a context manager of the deliveries to the sinks of `log`; the caller must hold the folder's lock."""
    sinks, before = make_sinks(log), read_logged(run)
    names = tuple(entry for entry in log if isinstance(entry, str))
    logged = Logged(os.urandom(4).hex() if before is None else before.id, names)
    if sinks or before is not None:
        write_results(run, {LOGGED_FILE: json_text({"schema": SCHEMA, **logged._asdict()}, indent=2).encode()})
    described = _logged_run(run, logged.id)
    for name in LIBRARIES.keys() & names:
        if len(described.agents) > MOST_AGENTS:
            warnings.warn(
                f"{name} receives {MOST_AGENTS} of the {len(described.agents)} agents, the first seeds of every arm;"
                " TensorBoard and curves.parquet have all",
                RuntimeWarning,
                stacklevel=2,
            )
    with delivering(sinks, described) as deliveries:
        yield deliveries


def _logged_run(run: RunFolder, identity: str) -> LoggedRun:
    reached = zip(run.config.blocks(), checkpoints.steps_reached(run), strict=True)
    env_steps = {(agent.arm, agent.seed): steps for block, steps in reached for agent in block}
    agents = tuple(
        LoggedAgent(a.arm, a.seed, a.learning_rate, a.target.tau, a.target.period, env_steps[a.arm, a.seed])
        for a in run.config.agents()
    )
    return LoggedRun(run.path, identity, json.loads(run.config.to_json()), agents)
