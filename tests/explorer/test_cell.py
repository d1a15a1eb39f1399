"""The page in a notebook's cell: its messages are answered as HTTP's are, and what it began ends with it."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.errors import ConfigError
from softstep.explorer.cell import session as sessions
from softstep.explorer.cell.page import cell_page
from softstep.explorer.cell.room_state import ARMS, ROOMS, live_state, room_state
from softstep.explorer.cell.session import PATIENCE_TICKS, Session, background_loop
from softstep.explorer.http import assets
from softstep.explorer.live.live_runs import LiveRuns
from softstep.explorer.rooms.endpoints import ENDPOINTS, answer

ROOM_MODULES = {name: name.replace("-", "_") for name in ROOMS}


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until a condition holds and return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)
    return value


class Cell:
    """A session, and what it has sent."""

    def __init__(self, runs: Path) -> None:
        self.sent: list[dict[str, Any]] = []
        self.live = LiveRuns(2, idle_seconds=600)  # so that only the session ends a run
        self.session = Session(self.sent.append, runs, self.live)

    def replies(self, number: int) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["number"] == number]

    def ask(self, number: int, path: str, values: Any = None, view: str = "a") -> dict[str, Any]:
        """Post values to a path and return the reply."""
        self.session.receive({"kind": "post", "view": view, "number": number, "path": path, "values": values or {}})
        return dict(wait_for(lambda: self.replies(number))[0])

    def start(self, view: str = "a") -> str:
        """Start a live run, watch it as number 100, and return its id once it has sent an event."""
        run = str(self.ask(99, "live", view=view)["answer"]["id"])
        self.session.receive({"kind": "watch", "view": view, "number": 100, "path": f"live/{run}/events"})
        wait_for(lambda: self.replies(100))
        return run


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    cell = Cell(tmp_path)
    yield cell
    cell.session.close()
    wait_for(lambda: not len(cell.live))


# ---- messages ----


@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_request_is_answered_with_the_numbers_of_its_endpoint(cell: Cell, name: str) -> None:
    assert cell.ask(7, f"api/{name}") == {"kind": "reply", "view": "a", "number": 7, "answer": answer(name, {})}


@pytest.mark.parametrize(
    ("path", "values", "parameter", "says"),
    [
        ("api/noise", {"alpha": 99}, "alpha", "out of range"),
        ("api/nothing", {}, "", "no endpoint 'nothing'"),
        ("nothing", {}, "", "Nothing answers"),
        ("live", {"env": "Pong"}, "env", "not offered"),
        ("live/0/play", {}, "", "is gone"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_with_a_reason(
    cell: Cell, path: str, values: Any, parameter: str, says: str
) -> None:
    error = cell.ask(1, path, values)["error"]
    assert error["parameter"] == parameter
    assert says in error["reason"]


def test_an_answer_leaves_before_its_question_counts_as_handled(cell: Cell) -> None:
    cell.session.receive({"kind": "post", "view": "a", "number": 7, "path": "api/noise", "values": {}})
    assert cell.replies(7)


def test_a_question_that_takes_long_keeps_the_kernel_only_for_a_moment(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(path: str, values: Any) -> dict[str, Any]:
        await asyncio.sleep(1)
        return {"late": True}

    monkeypatch.setattr(sessions, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(cell.session._backend, "post", slow)
    cell.session.receive({"kind": "post", "view": "a", "number": 7, "path": "api/noise", "values": {}})
    assert not cell.replies(7)
    assert wait_for(lambda: cell.replies(7))[0]["answer"] == {"late": True}


def test_a_live_agent_learns_and_its_events_are_streamed_until_it_is_stopped(cell: Cell) -> None:
    run = cell.start()
    assert cell.ask(2, f"live/{run}/play")["answer"] == {}
    frames = lambda: [m["event"] for m in cell.replies(100) if m.get("event", {}).get("kind") == "frame"]  # noqa: E731
    wait_for(lambda: frames() and frames()[-1]["env_steps"] > 100)
    assert "reason" in cell.ask(3, f"live/{run}/change", {"c": 7})["error"]
    assert cell.ask(4, f"live/{run}/stop")["answer"] == {}
    wait_for(lambda: "event" not in cell.replies(100)[-1])  # the last reply says that there are no more
    assert not len(cell.live)


def test_a_page_that_leaves_ends_what_it_began_and_nothing_else(cell: Cell) -> None:
    cell.start("a")
    other = cell.ask(50, "live", view="b")["answer"]["id"]
    cell.session.receive({"kind": "left", "view": "a"})
    wait_for(lambda: len(cell.live) == 1)
    assert cell.live.get(other) is not None
    count = len(cell.sent)
    time.sleep(0.3)
    assert len(cell.sent) == count  # nothing is sent to a page that is gone


def test_a_quiet_page_is_forgotten_after_some_time_and_one_with_signs_of_life_is_not(cell: Cell) -> None:
    cell.start()

    def let_time_pass(ticks: int) -> None:
        for _ in range(ticks):
            asyncio.run_coroutine_threadsafe(cell.session._forget_quiet_pages(), background_loop()).result()

    let_time_pass(PATIENCE_TICKS)
    cell.session.receive({"kind": "here", "view": "a"})
    let_time_pass(PATIENCE_TICKS)
    assert len(cell.live) == 1
    let_time_pass(1)
    assert not len(cell.live)


def test_time_passes_in_the_loop_that_receives_messages(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(sessions, "PATIENCE_TICKS", 3)
    cell.start()

    async def wait() -> None:
        cell.session.start_ticking(asyncio.get_running_loop())
        time.sleep(0.3)  # a cell that runs: no sign of life is received meanwhile, and none is missed
        assert len(cell.live) == 1
        await asyncio.sleep(0.3)

    asyncio.run(wait())
    wait_for(lambda: not len(cell.live))


# ---- the page ----


def test_the_page_holds_every_module_and_names_no_other_place() -> None:
    page = gzip.decompress(cell_page()).decode()
    own = page[: page.index('<script id="plotly">')] + page[page.rindex("<script>") :]
    for path in sorted(assets.STATIC.rglob("*.js")):
        name = path.relative_to(assets.STATIC).as_posix()
        assert (f'modules["{name}"] = ' in own) == (name not in ("app.js", "projector.js", "rooms/reports.js"))
    assert 'modules["palette.js"] = ' in own
    assert not re.search(r"https?://(?!www\.w3\.org)", own)
    assert not re.search(r"<(link|img|script src)", own)


# ---- states ----


@pytest.mark.parametrize("room", ROOMS)
def test_the_values_of_a_room_are_those_that_its_page_reads(room: str) -> None:
    text = (assets.STATIC / "rooms" / f"{ROOM_MODULES[room]}.js").read_text("utf-8")
    read = set(re.findall(r'context\.(?:number|text)\("(\w+)"', text))
    for constant in re.findall(r"const DEFAULTS = \{(.*?)\};", text, re.DOTALL):
        read |= set(re.findall(r"(\w+):", constant))
    for constant in re.findall(r"const MATRICES = \[(.*?)\];", text):
        read |= set(re.findall(r'"(\w+)"', constant))
    assert {name for names in ROOMS[room].values() for name in names} == read


@pytest.mark.parametrize("room", ROOMS)
def test_every_value_of_a_room_has_its_default_as_a_state(room: str) -> None:
    defaults = {
        name: getattr(ENDPOINTS[endpoint].parameters(), name)
        for endpoint, names in ROOMS[room].items()
        for name in names
    }
    assert room_state(room, defaults) == defaults


@pytest.mark.parametrize(
    ("room", "values", "says"),
    [
        ("noice", {}, "no room 'noice'"),
        ("noise", {"alfa": 1}, "has no 'alfa': it has alpha, c, a, b, seed"),
        ("noise", {"alpha": 99}, "99 is out of range"),
        ("two-networks", {"at": -1}, "-1 is out of range"),
        ("atlas", {"env": "Pong"}, "'Pong' is not offered"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_with_the_name(room: str, values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        room_state(room, values)


def test_the_arms_are_those_of_the_page() -> None:
    text = (assets.STATIC / "rooms" / "live.js").read_text("utf-8")
    presets = re.search(r"const ARM_PRESETS = \{(.*?)\n\};", text, re.DOTALL)
    assert presets is not None
    found = re.findall(r'"([\w-]+)": \{ alpha: ([\d.]+), c: ([\d.]+), target: "(\w+)" \}', presets[1])
    assert {name: {"alpha": float(a), "c": float(c), "target": t} for name, a, c, t in found} == ARMS


@given(
    alpha=st.floats(1e-6, 1.0),
    c=st.floats(0.0, 0.9999),
    target=st.sampled_from(["on", "off"]),
    schedule=st.sampled_from(["constant", "harmonic"]),
)
def test_an_arm_s_settings_survive_the_text_of_the_state(alpha: float, c: float, target: str, schedule: str) -> None:
    settings = {"alpha": alpha, "c": c, "target": target, "schedule": schedule}
    state = live_state("CartPole-v1", 3, {"hasty": settings, "soft": {}})
    first, second = (arm.split("~") for arm in state["arms"].split(","))
    assert first[0] == "hasty"
    assert (float(first[1]), float(first[2]), first[3]) == (alpha, c, target)
    assert first[4:] == (["harmonic"] if schedule == "harmonic" else [])
    assert second == ["soft", "0.001", "0.99", "on"]


@pytest.mark.parametrize(
    ("env", "seed", "arms", "says"),
    [
        ("Pong", 0, {"soft": {}}, "'Pong' is not offered"),
        ("CartPole-v1", -1, {"soft": {}}, "-1 is out of range"),
        ("CartPole-v1", 0, {}, "0 arms"),
        ("CartPole-v1", 0, {"mine": {}}, "no arm 'mine'"),
        ("CartPole-v1", 0, {"soft": {"alpha": 9}}, "9 is out of range"),
        ("CartPole-v1", 0, {"soft": {"tau": 0.1}}, "tau"),
    ],
)
def test_agents_that_cannot_be_are_refused(env: str, seed: int, arms: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        live_state(env, seed, arms)
