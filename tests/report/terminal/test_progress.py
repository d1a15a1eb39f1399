"""The progress of a run on a clock that the test controls."""

import io
import json
import math
import sys

import pytest

from softstep.records.events import Progress
from softstep.report.terminal.progress import ProgressView, clock_time


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock():
    return Clock()


def test_speed_and_time_left_count_all_agents(clock):
    view = ProgressView(10_000, [4, 2], "plain", io.StringIO(), clock=clock)
    clock.now = 2.0
    view.update(0, Progress(1_000, 250, 2.0, 10.0))
    clock.now = 4.0
    view.update(1, Progress(2_000, 500, 4.0, 40.0))
    assert view.agent_steps == 4 * 1_000 + 2 * 2_000
    assert view.agent_steps_per_second == pytest.approx(8_000 / 4)
    assert view.seconds_left == pytest.approx((60_000 - 8_000) / 2_000)
    assert view.train_return == pytest.approx((4 * 10 + 2 * 40) / 6)


def test_a_resumed_run_does_not_count_earlier_steps_as_speed(clock):
    view = ProgressView(10_000, [1], "plain", io.StringIO(), start_steps=[5_000], clock=clock)
    clock.now = 2.0
    view.update(0, Progress(6_000, 1_500, 2.0, math.nan))
    assert view.agent_steps_per_second == pytest.approx(500)


def test_the_speed_is_measured_over_the_last_seconds(clock):
    view = ProgressView(1_000_000, [1], "plain", io.StringIO(), clock=clock)
    for second in range(1, 101):
        clock.now = float(second)
        view.update(0, Progress(second * 10 if second <= 50 else 500 + (second - 50) * 1_000, 0, clock.now, 0.0))
    assert view.agent_steps_per_second == pytest.approx(1_000)


def test_no_time_is_left_after_a_block_ended_early(clock):
    view = ProgressView(10_000, [1], "plain", io.StringIO(), clock=clock)
    clock.now = 2.0
    view.update(0, Progress(4_000, 1_000, 2.0, 250.0))
    view.finished(0)
    assert view.seconds_left == 0
    assert view.total_agent_steps == 4_000


def test_plain_lines_are_at_least_five_seconds_apart(clock):
    stream = io.StringIO()
    with ProgressView(1_000, [1], "plain", stream, clock=clock) as view:
        for step in range(1, 101):
            clock.now = step / 10
            view.update(0, Progress(10 * step, 0, clock.now, 1.0))
    lines = stream.getvalue().splitlines()
    assert 2 <= len(lines) <= 4
    assert lines[-1] == "100%  return     1   100 agent-steps/s   0:00 left"
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_shows_a_bar(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with ProgressView(1_000, [1], "auto", stream, clock=clock) as view:
        clock.now = 2.0
        view.update(0, Progress(500, 125, 2.0, -123.0))
        view.message("a line [of] its own")
    text = stream.getvalue()
    assert "━" in text
    assert "50%" in text
    assert "return  −123" in text
    assert "250 agent-steps/s" in text
    assert "00:02" in text
    assert "a line [of] its own" in text


def test_the_bar_of_a_resumed_run_starts_at_the_steps_reached(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with ProgressView(1_000, [1, 1], "auto", stream, start_steps=[400, 200], clock=clock):
        drawn = stream.getvalue()
    assert "30%" in drawn


def test_the_speed_survives_a_block_that_ends_early(clock):
    view = ProgressView(10_000, [1, 1], "plain", io.StringIO(), clock=clock)
    clock.now = 2.0
    view.update(0, Progress(4_000, 1_000, 2.0, 250.0))
    view.finished(0)
    clock.now = 4.0
    view.update(1, Progress(2_000, 500, 4.0, 100.0))
    assert view.agent_steps_per_second == pytest.approx(6_000 / 4)
    assert view.seconds_left == pytest.approx(8_000 / 1_500)


def test_a_dumb_terminal_shows_plain_lines(clock, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with ProgressView(1_000, [1], "auto", stream, clock=clock) as view:
        view.update(0, Progress(500, 125, 2.0, 1.0))
    assert "━" not in stream.getvalue()


def test_json_is_one_strict_object_per_line(clock):
    stream = io.StringIO()
    record = {
        "arm": "soft", "seed": 0, "env_steps": 500, "gradient_steps": 125, "train_return": math.nan, "diverged": False,
    }  # fmt: skip
    with ProgressView(1_000, [1], "json", stream, clock=clock) as view:
        clock.now = 2.0
        view.update(0, Progress(500, 125, 2.0, math.nan))
        view.records(0, [record])
    lines = [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]
    assert [line["kind"] for line in lines] == ["progress", "record", "progress"]
    assert lines[1] == {"kind": "record"} | record | {"train_return": None}
    assert lines[0]["env_steps"] == 500
    assert lines[0]["agent_steps_per_second"] == 250
    assert list(lines[0]) == [
        "kind", "block", "env_steps", "gradient_steps", "seconds", "train_return", "agent_steps", "total_agent_steps",
        "agent_steps_per_second", "seconds_left",
    ]  # fmt: skip


def test_the_last_object_counts_every_step_although_progress_came_earlier(clock):
    stream = io.StringIO()
    with ProgressView(2_000, [1], "json", stream, clock=clock) as view:
        view.update(0, Progress(500, 125, 0.1, 1.0))
        clock.now = 2.0
        view.records(0, [{"arm": "agent", "seed": 0, "env_steps": 2_000, "gradient_steps": 500, "diverged": False}])
        view.finished(0)
    last = json.loads(stream.getvalue().splitlines()[-1])
    assert (last["agent_steps"], last["total_agent_steps"], last["seconds_left"]) == (2_000, 2_000, 0)
    assert last["gradient_steps"] == 500


def test_a_divergence_is_reported_once(clock):
    stream = io.StringIO()
    view = ProgressView(1_000, [1], "plain", stream, clock=clock)
    for step in (100, 200):
        view.records(0, [{"arm": "same-alpha", "seed": 3, "env_steps": step, "gradient_steps": 9, "diverged": True}])
    assert stream.getvalue().splitlines() == ["same-alpha, seed 3: diverged by environment step 100"]


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65, "1:05"), (3_723, "1:02:03"), (math.nan, "–:––")])
def test_durations_as_text(seconds, text):
    assert clock_time(seconds) == text


def test_standard_error_is_the_default(capsys):
    with ProgressView(10, [1], "plain") as view:
        view.message("hello")
    captured = capsys.readouterr()
    assert "hello" in captured.err
    assert captured.out == ""
    assert sys.stderr is not None
