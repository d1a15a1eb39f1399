"""`softstep.notebook`: widgets that show a page, and the line that names what is missing."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import pytest

import softstep
from softstep.config import Config
from softstep.errors import ConfigError, StoreError
from softstep.report.cell import frame
from softstep.report.notebook import ShownRun, for_notebook


def opened(widget: Any, view: str = "v") -> tuple[dict[str, Any], str]:
    """Open a view of a widget; return the message that it gets, and the page in it."""
    sent = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers))
    widget._on_message(widget, {"kind": "open", "view": view}, [])
    ((message, (page,)),) = sent
    return message, gzip.decompress(page).decode()


def test_a_room_holds_its_state_and_sends_the_page_when_it_is_opened() -> None:
    room = softstep.notebook.room("two-networks", alpha=0.5, c=0.9)
    assert (room.room, room.state, room.height) == ("two-networks", {"alpha": 0.5, "c": 0.9}, frame.DEFAULT_HEIGHT)
    message, page = opened(room)
    assert message == {"kind": "page", "view": "v", "start": False}
    assert 'data-source="cell"' in page
    assert repr(room) == "<The room two-networks: shown in a notebook whose kernel runs>"
    room.close()


def test_agents_start_in_the_first_view_only() -> None:
    agents = softstep.notebook.live("Pendulum-v1", arms=["hasty"])
    assert agents.state == {"env": "Pendulum-v1", "seed": 0, "arms": "hasty~0.01~0.99~on"}
    assert [opened(agents, view)[0]["start"] for view in "ab"] == [True, False]
    assert not opened(softstep.notebook.live(start=False))[0]["start"]


def test_a_saved_widget_is_small() -> None:
    state = softstep.notebook.room("noise").get_state()
    assert len(str(state)) < 10_000


@pytest.mark.parametrize("height", [0, -1])
def test_a_height_that_is_none_is_refused(height: int) -> None:
    with pytest.raises(ConfigError, match="must be a positive number of pixels"):
        softstep.notebook.room("noise", height=height)


@pytest.mark.parametrize("make", [lambda: softstep.notebook.room("noise"), lambda: softstep.notebook.live()])
def test_without_anywidget_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    frame._frame_class.cache_clear()
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ConfigError, match=r"needs anywidget: pip install 'softstep\[notebook\]'"):
        make()
    frame._frame_class.cache_clear()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A short run of two arms, as a notebook gets it."""
    config = Config("CartPole-v1", total_steps=600, learning_starts=100, record_every=200, eval_every=200, hidden=(8,))
    path = tmp_path_factory.mktemp("run") / "run"
    return for_notebook(softstep.compare)(config, path, arms=["soft", "same-alpha"], view=None)


def test_a_run_trained_in_a_notebook_shows_its_figures(run: Any) -> None:
    assert isinstance(run, ShownRun)
    _, page = opened(run.show())
    for figure in ("learning", "scores", "gap"):
        assert f'id="{figure}-figure"' in page
    assert opened(softstep.notebook.show(run.path))[1] == page
    assert f"The run {run.path.name}" in repr(run.show())


def test_a_verdict_shows_its_report(run: Any) -> None:
    verdict = softstep.conclude(run)
    assert opened(verdict.show(height=300))[1] == verdict.report.read_text("utf-8")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        softstep.notebook.show(tmp_path)
