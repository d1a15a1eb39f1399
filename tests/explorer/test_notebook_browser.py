"""The rooms, live agents and reports in a real JupyterLab: they show the theory's numbers, and share their state.

These tests need Chromium and are skipped without it.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explorer.browsing import MARKS
from explorer.jupyter import Lab, OpenNotebook, serve_lab
from playwright.sync_api import Browser, Frame

from softstep import theory

pytestmark = MARKS

ROOM = """import softstep
room = softstep.notebook.room("two-networks", alpha=0.5, c=0.9, steps=12)
room"""
LIVE = """import softstep
from softstep.explorer.cell.session import live_runs
agents = softstep.notebook.live("CartPole-v1", seed=3)
agents"""
REPORT = """import softstep
settings = {"total_steps": 600, "learning_starts": 100, "record_every": 200, "eval_every": 200, "hidden": (8,)}
run = softstep.compare(softstep.Config("CartPole-v1", **settings), "run", arms=["soft", "same-alpha"])
verdict = softstep.conclude(run)
run.show()"""
LEARNS = "() => / [1-9][\\d,]* gradient steps/.test(document.querySelector('#live-status')?.textContent)"
DRAWN = "id => document.getElementById(id)?.data?.length > 0"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with serve_lab(tmp_path_factory.mktemp("lab") / "lab") as lab:
        lab.write("room", ROOM)
        lab.write("live", LIVE)
        lab.write("report", REPORT, "verdict.show()")
        yield lab


@pytest.fixture
def notebook(browser: Browser, lab: Lab, request: pytest.FixtureRequest) -> Iterator[OpenNotebook]:
    """Open a notebook and run it; afterwards nothing must have gone wrong in the browser."""
    notebook = OpenNotebook(browser, lab, request.param, viewport={"width": 1280, "height": 1000})
    notebook.page.set_default_timeout(120_000)
    notebook.run_all()
    yield notebook
    notebook.close()
    assert notebook.problems == []


def curves(frame: Frame, figure: str) -> dict[str, list[float]]:
    """Wait until a figure is drawn, and return the values of its lines by the first letter of their names."""
    frame.wait_for_function(DRAWN, arg=figure)
    traces = frame.evaluate(
        "id => document.getElementById(id).data.map(({name, y}) => [name, Array.from(y ?? [])])", figure
    )
    return {str(name)[0]: y for name, y in traces if len(y) > 2}


def draws(frame: Frame, alpha: float, c: float) -> None:
    """Wait until the figure shows the theory's numbers for α and c."""
    run = theory.LinearTD.scalar(0.9, 1.0).simulate(alpha, c, 12, q0=[1.0])
    expected = json.dumps([run.Q[-1, 0], run.T[-1, 0]])
    frame.wait_for_function(
        f"""() => {{
          const lines = document.getElementById('two-networks-paths').data.map(({{y}}) => Array.from(y ?? []));
          return {expected}.every(end => lines.some(y => Math.abs(y[12] - end) < 1e-12));
        }}"""
    )
    drawn = curves(frame, "two-networks-paths")
    np.testing.assert_allclose(drawn["Q"], run.Q[:, 0], rtol=1e-12)
    np.testing.assert_allclose(drawn["T"], run.T[:, 0], rtol=1e-12)


def set_value(frame: Frame, control: str, value: str) -> None:
    """Type a value into a control."""
    box = frame.locator(f"[id='control-{control}-value']")
    box.fill(value)
    box.press("Enter")
    box.blur()


def state(notebook: OpenNotebook, widget: str) -> dict[str, Any]:
    """Return a widget's state as the kernel has it."""
    return dict(json.loads(notebook.run_cell(f"import json; print(json.dumps({widget}.state))")))


@pytest.mark.parametrize("notebook", ["room"], indirect=True)
def test_a_room_draws_the_theory_and_shares_its_state_with_the_kernel(notebook: OpenNotebook) -> None:
    frame = notebook.frame()
    frame.wait_for_function(DRAWN, arg="two-networks-paths")
    draws(frame, 0.5, 0.9)
    notebook.run_cell("kinds = []; room.on_msg(lambda widget, message, buffers: kinds.append(message['kind']))")
    set_value(frame, "alpha", "0.3")
    draws(frame, 0.3, 0.9)
    notebook.page.wait_for_timeout(300)
    assert notebook.run_cell("print(kinds)") == "['post', 'here']\n"
    assert state(notebook, "room") == {"alpha": 0.3, "c": 0.9, "steps": 12}
    notebook.run_cell("room.state = {**room.state, 'c': 0.5}")
    draws(frame, 0.3, 0.5)
    assert frame.locator("[id='control-c-value']").input_value() == "0.5"
    set_value(frame, "alpha", "99")
    frame.wait_for_function(
        "() => document.body.innerText.includes('99 is out of range: give a number from 0.0001 to 10')"
    )

    notebook.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    frame.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")

    frame.click("nav >> text=Noise")
    frame.wait_for_function(DRAWN, arg="noise-map")
    notebook.page.wait_for_timeout(300)
    assert notebook.run_cell("print(room.room, room.state)") == "noise {}\n"
    notebook.run_cell("room.room, room.state = 'atlas', {'env': 'LunarLander-v3'}")
    frame.wait_for_selector("#room-atlas")


@pytest.mark.parametrize("notebook", ["room"], indirect=True)
def test_what_the_notebook_shows_is_not_undone_by_a_control_moved_just_before(notebook: OpenNotebook) -> None:
    frame = notebook.frame()
    frame.wait_for_function(DRAWN, arg="two-networks-paths")
    frame.evaluate(
        """() => addEventListener("message", ({ data }) => {
          if (data.kind !== "theme") return;
          const box = document.getElementById("control-alpha-value");
          box.value = "0.3";
          box.dispatchEvent(new Event("change"));
        })"""
    )
    notebook.page.evaluate(  # the page moves a control at the first message, as a user may, and gets the second at once
        """messages => {
          const frame = document.querySelector(".jp-OutputArea iframe").contentWindow;
          for (const message of messages) frame.postMessage(message, "*");
        }""",
        [
            {"kind": "theme", "theme": "light"},
            {"kind": "show", "room": "two-networks", "state": {"alpha": 0.7, "c": 0.5, "steps": 12}},
        ],
    )
    draws(frame, 0.7, 0.5)
    notebook.page.wait_for_timeout(300)
    assert state(notebook, "room")["alpha"] != 0.3


@pytest.mark.parametrize("notebook", ["room"], indirect=True)
def test_a_room_answers_while_a_cell_runs_and_says_so_if_the_kernel_does_not(notebook: OpenNotebook) -> None:
    frame = notebook.frame()
    frame.wait_for_function(DRAWN, arg="two-networks-paths")
    notice = frame.locator(".notice")
    kernel = int(notebook.run_cell("import os, time; print(os.getpid())"))
    notebook.start_cell("time.sleep(8); late = True")
    set_value(frame, "alpha", "0.2")
    draws(frame, 0.2, 0.9)  # JupyterLab hands the page's messages to a thread of the kernel beside that of the cells
    assert not notice.is_visible()
    os.kill(kernel, signal.SIGSTOP)
    try:
        set_value(frame, "alpha", "0.4")
        notice.wait_for(state="visible")
    finally:
        os.kill(kernel, signal.SIGCONT)
    draws(frame, 0.4, 0.9)
    notice.wait_for(state="hidden")


@pytest.mark.parametrize("notebook", ["live"], indirect=True)
def test_agents_learn_under_sliders_and_end_with_their_cell(notebook: OpenNotebook) -> None:
    frame = notebook.frame()
    status = frame.locator("#live-status")
    frame.wait_for_function(
        "() => / [1-9][\\d,]* gradient steps/.test(document.querySelector('#live-status')?.textContent)"
    )
    set_value(frame, "c-soft", "0.5")
    notebook.page.wait_for_timeout(300)
    assert state(notebook, "agents")["arms"] == "soft~0.001~0.5~on,same-alpha~0.001~0.99~off"
    before = status.inner_text()
    notebook.run_cell("import time; time.sleep(2)")
    assert status.inner_text() != before  # they learn while the kernel is busy
    assert notebook.run_cell("print(len(live_runs()))") == "1\n"
    notebook.command("notebook:clear-all-cell-outputs")
    ended = "for _ in range(100):\n    if not live_runs(): break\n    time.sleep(0.05)\nprint(len(live_runs()))"
    assert notebook.run_cell(ended) == "0\n"


@pytest.mark.parametrize("notebook", ["report"], indirect=True)
def test_a_run_and_a_verdict_show_their_figures(notebook: OpenNotebook) -> None:
    run, verdict = notebook.frame(0), notebook.frame(1)
    run.wait_for_function(DRAWN, arg="learning")
    verdict.wait_for_function("() => document.querySelector('h1')?.textContent.startsWith('Soft update')")
    link = verdict.locator("#contents a").nth(1)
    heading = verdict.locator(f"{link.get_attribute('href')} h2")
    link.click()
    verdict.wait_for_function(
        "id => Math.abs(document.querySelector(id).getBoundingClientRect().top) < 200", arg=link.get_attribute("href")
    )
    assert heading.inner_text() == link.inner_text()


def test_the_notebook_s_file_holds_no_page(lab: Lab, browser: Browser) -> None:
    notebook = OpenNotebook(browser, lab, "room")
    notebook.run_all()
    notebook.frame().wait_for_function(DRAWN, arg="two-networks-paths")
    notebook.command("docmanager:save")
    notebook.page.wait_for_timeout(1000)
    notebook.close()
    path: Path = lab.folder / "room.ipynb"
    assert "The room two-networks: shown in a notebook whose kernel runs" in path.read_text("utf-8")
    assert path.stat().st_size < 20_000
