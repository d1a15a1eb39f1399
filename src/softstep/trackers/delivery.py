"""Calls to a sink in a thread of its own, so that a slow one delays no training and a failing one ends none."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import warnings
from collections.abc import Iterator, Sequence

from softstep.errors import in_words
from softstep.records.events import Record
from softstep.records.sink import Ending, LoggedRun, Sink

PATIENCE = 60.0
"""Seconds that one call to a sink may take at the end of a run, when everything else is done and stored."""


class Delivery:
    """Delivers the records of a run to one sink, in order. What goes wrong becomes one warning.

    Warnings are given by the caller's thread, at the next call.
    """

    def __init__(self, name: str, sink: Sink, run: LoggedRun) -> None:
        self._name, self._sink, self._run = name, sink, run
        self._batches: queue.SimpleQueue[Sequence[Record] | Ending] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._warned = False
        self._last_return = time.monotonic()
        self._thread = threading.Thread(target=self._work, daemon=True, name=f"softstep-{name}")
        self._thread.start()

    def write(self, records: Sequence[Record]) -> None:
        """Hand over new records; this does not wait for the sink."""
        self._warn_once()
        if self._failure is None:
            self._batches.put(records)

    def finish(self, ending: Ending) -> None:
        """Hand over the end of the run; wait until the sink has taken everything, or one call takes too long."""
        self._last_return = time.monotonic()
        self._batches.put(ending)
        while self._thread.is_alive() and time.monotonic() < self._last_return + PATIENCE:
            self._thread.join(timeout=0.1)
        if self._thread.is_alive():
            self._failure = TimeoutError(f"no answer for {PATIENCE:.0f} seconds")
        self._warn_once()

    def _work(self) -> None:
        try:
            self._sink.start(self._run)
            self._last_return = time.monotonic()
            while True:
                batch = self._batches.get()
                if isinstance(batch, str):
                    self._sink.finish(batch)
                    return
                self._sink.write(batch)
                self._last_return = time.monotonic()
        except BaseException as error:  # an exit or an interrupt that a library raises ends this thread alone
            self._failure = error

    def _warn_once(self) -> None:
        if self._failure is not None and not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._name} has failed and receives no more records of {self._run.path}; the run itself is not"
                f" affected ({in_words(self._failure)})",
                RuntimeWarning,
                stacklevel=2,
            )


class Deliveries:
    """The deliveries to all sinks of a run."""

    def __init__(self, sinks: Sequence[tuple[str, Sink]], run: LoggedRun) -> None:
        self._deliveries = [Delivery(name, sink, run) for name, sink in sinks]
        self.ending: Ending = "failed"
        """How the run ended, as far as it is known."""

    def write(self, records: Sequence[Record]) -> None:
        """Hand new records to every sink."""
        for delivery in self._deliveries:
            delivery.write(records)

    def close(self) -> None:
        """Close every sink."""
        for delivery in self._deliveries:
            delivery.finish(self.ending)


@contextlib.contextmanager
def delivering(sinks: Sequence[tuple[str, Sink]], run: LoggedRun) -> Iterator[Deliveries]:
    """Return a context manager of deliveries to `sinks`; at its end it waits for them."""
    deliveries = Deliveries(sinks, run)
    try:
        yield deliveries
    finally:
        deliveries.close()
