"""The explorer's rooms, live agents and reports in a notebook: Jupyter, VS Code or Colab.

The page in the cell is that of `softstep explore`, and the notebook's kernel answers it. There is no server, no port
and no token. It needs `pip install 'softstep[notebook]'`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from softstep.explorer.cell.page import cell_page
from softstep.explorer.cell.room_state import live_state, room_state
from softstep.explorer.cell.session import Session
from softstep.report.cell.frame import DEFAULT_HEIGHT, in_cell
from softstep.report.notebook import show_run
from softstep.runs import run_folder
from softstep.runs.api import Run


def room(name: str, /, *, height: int = DEFAULT_HEIGHT, runs: Path | str = "runs", **state: Any) -> Any:
    """Return a room of the explorer for the cell of a notebook.

    The widget's `state` holds the room's sliders, also after the user has moved them; assign a dictionary to move them
    from Python. Its `room` is the name of the room that is shown.

    Args:
        name: The room: one-network, two-networks, stability, noise or atlas.
        height: Height in pixels.
        runs: Folder in which the page saves live runs.
        **state: Where the sliders stand, by the names in the room's address, for example α as `alpha` and `c`.

    Raises:
        ConfigError: The room or one of its values does not exist, a value is out of range, or anywidget is missing.
    """
    return _page(name, room_state(name, state), f"The room {name}", height, runs)


def live(
    env: str = "CartPole-v1",
    /,
    *,
    seed: int = 0,
    arms: Sequence[str] | Mapping[str, Mapping[str, Any]] = ("soft", "same-alpha"),
    start: bool = True,
    height: int = DEFAULT_HEIGHT,
    runs: Path | str = "runs",
) -> Any:
    """Return agents that learn in the cell of a notebook, with sliders for their α and c.

    They train in a process of their own, which ends when the cell's output goes or the kernel ends.

    Args:
        env: CartPole-v1, LunarLander-v3, Pendulum-v1 or LunarLanderContinuous-v3.
        seed: The seed that all arms share.
        arms: Up to four of soft, same-alpha, smaller-alpha and hasty; or, for each, the settings to change, out of
            `alpha`, `c`, `target` (on or off) and `schedule` (constant or harmonic).
        start: Whether training begins as soon as the cell is shown.
        height: Height in pixels.
        runs: Folder in which *Save as a run* writes.

    Raises:
        ConfigError: The environment, an arm or a setting does not exist, a value is out of range, or anywidget is
            missing.
    """
    settings = dict(arms) if isinstance(arms, Mapping) else {name: {} for name in arms}
    return _page("live", live_state(env, seed, settings), f"Agents that learn {env}", height, runs, start=start)


def show(run: Run | Path | str, *, height: int = DEFAULT_HEIGHT) -> Any:
    """Return the report's figures of a run for the cell of a notebook.

    A run that was trained in a notebook has the same as `run.show()`; the verdict of `softstep.conclude` shows its
    whole report with `verdict.show()`.

    Args:
        run: The run, or the path of its folder.
        height: Height in pixels.

    Raises:
        ConfigError: The run has no records yet, or anywidget is missing.
        StoreError: There is no run in the folder.
    """
    return show_run(run if isinstance(run, Run) else Run(run_folder.open_run(run)), height=height)


def _page(room: str, state: dict[str, Any], title: str, height: int, runs: Path | str, **traits: Any) -> Any:
    """Return the widget with the explorer's page, answered by a session of its own."""
    session = Session(lambda message: widget.send(message), Path(runs))
    widget = in_cell(
        cell_page,
        title,
        height=height,
        room=room,
        state=state,
        receive=session.receive,
        on_close=session.close,
        **traits,
    )
    with contextlib.suppress(RuntimeError):  # outside a kernel no loop runs, and no page is ever shown
        session.start_ticking(asyncio.get_running_loop())
    return widget
