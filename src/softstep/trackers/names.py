"""Turn the user's choice of loggers into sinks: names, or sinks of their own."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence

from softstep.errors import ConfigError, near
from softstep.extras import LIBRARIES, MissingExtra
from softstep.records.sink import Sink
from softstep.trackers.mlflow import MLflow
from softstep.trackers.tensorboard import TensorBoard
from softstep.trackers.wandb import WeightsAndBiases

SINKS: Mapping[str, Callable[[], Sink]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": MLflow}
"""Makers of the sinks that have a name. The libraries that a sink imports are an extra of the same name."""

Log = Sequence[str | Sink]
"""Where records go: names of `SINKS`, and sinks of the user's own."""


def make_sinks(log: Log) -> list[tuple[str, Sink]]:
    """Return the sinks of `log` with a name each.

    Raises:
        ConfigError: a name is unknown, its library is not installed, or an entry is no sink.
    """
    check(log)
    return [(entry, SINKS[entry]()) if isinstance(entry, str) else (type(entry).__name__, entry) for entry in log]


def check(log: Log) -> None:
    """Raise ConfigError unless every entry of `log` can be used here; no library is imported."""
    if isinstance(log, str):
        raise ConfigError(f"log = {log!r} must be a sequence, such as ({log!r},)")
    for entry in log:
        if isinstance(entry, str):
            _check_name(entry)
        elif not isinstance(entry, Sink) or isinstance(entry, type):
            raise ConfigError(
                f"log: {entry!r} is neither one of {', '.join(SINKS)} nor an object with the methods start, write and"
                " finish (softstep.records.Sink)"
            )


def _check_name(name: str) -> None:
    if name not in SINKS:
        raise ConfigError(f"log: {name!r} is not one of {', '.join(SINKS)}{near(name, list(SINKS))}")
    for library in LIBRARIES.get(name, ()):
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(f"logging to {name}", library, name)
