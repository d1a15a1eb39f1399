"""What real signals do to the process of a command."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from softstep.cli import stop_signals
from softstep.cli.stop_signals import StopSignals
from softstep.runs.signals import STOP_SIGNALS


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Begin with Python's own handlers, which a background job or `nohup` takes away, and expect them back."""
    inherited = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    own = dict.fromkeys(STOP_SIGNALS, signal.SIG_DFL) | {signal.SIGINT: signal.default_int_handler}
    for number, handler in own.items():
        signal.signal(number, handler)
    yield
    assert {number: signal.getsignal(number) for number in STOP_SIGNALS} == own
    for number, handler in inherited.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_what_does_not_heed_it(number: int, code: int) -> None:
    stop = StopSignals()
    with stop.installed():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert stop.received()
        assert stop.exit_code == code
        assert stop.name == signal.Signals(number).name


def test_signals_at_once_are_one_request_and_a_later_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = StopSignals()
    with stop.installed(), stop.heeded():
        assert not stop.received()
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        assert stop.received()
        monkeypatch.setattr(stop_signals, "REPEAT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert stop.exit_code == 129  # of the first


def test_each_command_begins_without_a_signal() -> None:
    stop = StopSignals()
    with stop.installed(), stop.heeded():
        signal.raise_signal(signal.SIGTERM)
    with stop.installed():
        assert not stop.received()


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = StopSignals()
        with stop.installed():
            signal.raise_signal(signal.SIGHUP)
            assert not stop.received()
    finally:
        signal.signal(signal.SIGHUP, before)
