"""Deliveries to sinks that raise, are slow or never return: one warning, and the caller goes on at once."""

import threading
import time
import warnings

import pytest
from trackers.runs import logged_run, record

from softstep.trackers import delivery
from softstep.trackers.delivery import delivering


class Tape:
    """A sink that notes every call and raises, or waits, in one of them."""

    def __init__(self, fails_at="", error=None, wait=None):
        self.calls, self._fails_at, self._error, self._wait = [], fails_at, error, wait

    def _call(self, name, content):
        self.calls.append((name, content))
        if name == self._fails_at:
            if self._wait is not None:
                self._wait.wait()
            raise self._error or RuntimeError("the server is on fire")

    def start(self, run):
        self._call("start", run)

    def write(self, records):
        self._call("write", records)

    def finish(self, ending):
        self._call("finish", ending)


BATCHES = [[record(step)] for step in (1, 2, 3)]


def deliver(*sinks, ending="finished", batches=BATCHES):
    run = logged_run("/somewhere/run")
    with delivering([(f"sink {number}", sink) for number, sink in enumerate(sinks)], run) as deliveries:
        for batch in batches:
            deliveries.write(batch)
        deliveries.ending = ending
    return run


@pytest.mark.parametrize("ending", ["finished", "stopped", "failed"])
def test_a_sink_receives_everything_in_order(ending):
    tape = Tape()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = deliver(tape, ending=ending)
    assert tape.calls == [("start", run), *(("write", batch) for batch in BATCHES), ("finish", ending)]


def test_a_run_that_fails_ends_as_failed():
    tape = Tape()
    with pytest.raises(ZeroDivisionError), delivering([("tape", tape)], logged_run("/somewhere/run")):
        raise ZeroDivisionError
    assert tape.calls[-1] == ("finish", "failed")


@pytest.mark.parametrize("error", [ValueError("no\nserver"), SystemExit(3), KeyboardInterrupt(), TimeoutError()])
@pytest.mark.parametrize("call", ["start", "write", "finish"])
def test_a_sink_that_raises_is_named_in_one_warning_and_hears_no_more(call, error):
    bad, good = Tape(call, error), Tape()
    with pytest.warns(RuntimeWarning) as caught:
        deliver(bad, good)
    (warning,) = caught
    message = str(warning.message)
    assert message.startswith("sink 0 has failed and receives no more records of /somewhere/run;")
    assert type(error).__name__ in message
    assert "\n" not in message
    assert [name for name, _ in bad.calls].count(call) == 1
    assert bad.calls[-1][0] == call
    assert len(good.calls) == 5


def test_a_failure_is_reported_while_the_run_goes_on():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with delivering([("tape", Tape("start"))], logged_run("/r")) as deliveries:
            deadline = time.monotonic() + 10
            while not caught and time.monotonic() < deadline:
                deliveries.write(BATCHES[0])
            assert len(caught) == 1
    assert len(caught) == 1


@pytest.mark.parametrize("call", ["start", "write", "finish"])
def test_a_sink_that_never_returns_is_given_up(call, monkeypatch):
    monkeypatch.setattr(delivery, "PATIENCE", 0.3)
    forever = threading.Event()
    stuck, good = Tape(call, wait=forever), Tape()
    begun = time.monotonic()
    with pytest.warns(RuntimeWarning, match=r"sink 0 has failed.*no answer for 0 seconds"):
        deliver(stuck, good)
    assert time.monotonic() - begun < 5
    assert good.calls[-1] == ("finish", "finished")
    forever.set()


def test_a_slow_sink_delays_no_record_and_gets_them_all(monkeypatch):
    monkeypatch.setattr(delivery, "PATIENCE", 0.5)

    class Slow(Tape):
        def write(self, records):
            time.sleep(0.05)
            super().write(records)

    slow, run = Slow(), logged_run("/r")
    with delivering([("slow", slow)], run) as deliveries:
        begun = time.monotonic()
        for step in range(20):  # together longer than the patience with one call
            deliveries.write([record(step)])
        assert time.monotonic() - begun < 0.5
        deliveries.ending = "finished"
    assert len(slow.calls) == 22
