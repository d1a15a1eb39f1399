"""Live agents: changed settings take effect at once, are recorded, and can be replayed exactly."""

from __future__ import annotations

import asyncio
import math
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from explorer.serving import Explorer, is_frame, serve

import softstep
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.explorer.live.live_config import BASES, live_config
from softstep.explorer.live.live_runs import LiveRun
from softstep.runs.api import Run
from softstep.runs.run_folder import open_run
from softstep.settings import changed
from softstep.target import TargetUpdate

SOFT = {"name": "soft", "alpha": 1e-3, "c": 0.99, "target": "on"}
NONE = {"name": "none", "alpha": 1e-3, "c": 0.99, "target": "off"}


@pytest.fixture
def explorer(tmp_path: Path) -> Iterator[Explorer]:
    with serve(tmp_path / "runs") as explorer:
        yield explorer.enter()


def arm(frame: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the part of a frame for one arm."""
    return next(arm for arm in frame["arms"] if arm["name"] == name)


def past(steps: int) -> Any:
    """Return a condition: the event is a frame after at least `steps` environment steps."""
    return lambda event: is_frame(event) and event["env_steps"] >= steps


# ---- one agent ----


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_a_slider_changes_the_running_agent_and_a_replay_reproduces_it(
    explorer: Explorer, tmp_path: Path, env: str
) -> None:
    run = explorer.start(env=env, seed=3, arms=[SOFT, NONE])
    first = explorer.watch(run, is_frame)[-1]
    assert (first["paused"], first["env_steps"]) == (True, 0)
    explorer.post(f"/live/{run}/play")
    explorer.watch(run, past(1_200))
    explorer.post(f"/live/{run}/change", {"arm": "soft", "alpha": 5e-3, "c": 0.5, "target": "on"})
    explorer.watch(run, lambda e: is_frame(e) and arm(e, "soft")["tau"] == 0.5)
    explorer.post(f"/live/{run}/change", {"arm": "soft", "alpha": 5e-3, "c": 0.5, "target": "off"})
    without_target = explorer.watch(run, lambda e: is_frame(e) and arm(e, "soft")["tau"] == 1.0)[-1]
    assert arm(without_target, "none")["learning_rate"] == 1e-3
    explorer.watch(run, past(without_target["env_steps"] + 700))
    explorer.post(f"/live/{run}/save")
    saved = explorer.watch(run, lambda e: e["kind"] in ("saved", "not-saved"))[-1]
    later = explorer.watch(run, past(saved["env_steps"] + 600))
    folder = tmp_path / "runs" / saved["path"]
    config = open_run(folder).config
    assert [(c.arm, c.learning_rate, c.target) for c in config.changes] == [
        ("soft", 5e-3, TargetUpdate(0.5)),
        ("soft", 5e-3, TargetUpdate.none()),
    ]
    for agent in config.agents():
        assert changed(agent, config.changes).actor_learning_rate == agent.actor_learning_rate  # α is the critics'
    assert 1_200 <= config.changes[0].env_steps < config.changes[1].env_steps < config.total_steps
    streamed = [row for event in later if event["kind"] == "records" for row in event["rows"]]
    replayed = softstep.train(Config.from_json((folder / "config.json").read_text()), tmp_path / "again", workers=1)
    assert replayed.curves.equals(Run(open_run(folder)).curves)
    assert replayed.episodes.equals(Run(open_run(folder)).episodes)
    by_step = {(row["arm"], row["env_steps"]): row for row in streamed}
    for row in replayed.curves.iter_rows(named=True):
        if row["env_steps"] % config.record_every == 0:
            assert by_step[row["arm"], row["env_steps"]]["loss"] == (None if math.isnan(row["loss"]) else row["loss"])
    assert len(softstep.evaluate(folder, 2).returns) == 2


def test_a_harmonic_target_slows_down_while_it_trains_and_a_replay_reproduces_it(
    explorer: Explorer, tmp_path: Path
) -> None:
    """At γ = 0.99 τ is min(1 − c, 300/t); it counts from the start of the run, also after a change to it."""
    harmonic = SOFT | {"c": 0.5, "schedule": "harmonic"}
    run = explorer.start(env="CartPole-v1", seed=3, arms=[harmonic, SOFT | {"name": "later"}])
    first = explorer.watch(run, is_frame)[-1]
    assert [a["tau"] for a in first["arms"]] == pytest.approx([0.5, 0.01])
    explorer.post(f"/live/{run}/play")
    explorer.watch(run, past(2_400))
    assert explorer.post(f"/live/{run}/change", harmonic_change("later")).status_code == 200
    frame = explorer.watch(run, lambda e: is_frame(e) and arm(e, "later")["tau"] > 0.02)[-1]
    expected = min(0.5, 300 / frame["gradient_steps"])
    assert frame["gradient_steps"] > 700
    assert [a["tau"] for a in frame["arms"]] == pytest.approx([expected, expected], rel=1e-6)
    explorer.watch(run, past(frame["env_steps"] + 600))
    explorer.post(f"/live/{run}/save")
    saved = explorer.watch(run, lambda e: e["kind"] in ("saved", "not-saved"))[-1]
    config = open_run(folder := tmp_path / "runs" / saved["path"]).config
    assert [change.target for change in config.changes] == [TargetUpdate.harmonic(0.99, 0.5)]
    replayed = softstep.train(Config.from_json((folder / "config.json").read_text()), tmp_path / "again", workers=1)
    assert replayed.curves.equals(Run(open_run(folder)).curves)


def harmonic_change(name: str) -> dict[str, Any]:
    return {"arm": name, "alpha": 1e-3, "c": 0.5, "target": "on", "schedule": "harmonic"}


def test_an_arm_without_a_target_has_no_schedule_and_every_base_has_the_gamma_that_the_page_shows() -> None:
    off = SOFT | {"target": False, "schedule": "harmonic"}
    assert live_config("CartPole-v1", 0, [off]).agents()[0].target == TargetUpdate.none()
    page = (Path(softstep.__file__).parent / "explorer/static/rooms/live_arm.js").read_text(encoding="utf-8")
    assert "falls as 3/((1−γ)t), γ = 0.99" in page
    assert {base.gamma for base in BASES.values()} == {0.99}


def test_pause_step_reset_and_stop(explorer: Explorer) -> None:
    run = explorer.start(env="CartPole-v1", arms=[SOFT])
    explorer.post(f"/live/{run}/play")
    explorer.watch(run, past(1_100))
    explorer.post(f"/live/{run}/pause")
    paused_at = explorer.watch(run, lambda e: is_frame(e) and e["paused"])[-1]["env_steps"]
    explorer.post(f"/live/{run}/step")
    after = explorer.watch(run, lambda e: is_frame(e) and e["env_steps"] != paused_at)[-1]
    assert (after["env_steps"], after["paused"]) == (paused_at + 2, True)  # one iteration
    rows = [e["rows"] for e in explorer.watch(run, is_frame) if e["kind"] == "records"]
    explorer.post(f"/live/{run}/reset")
    explorer.watch(run, lambda e: e["kind"] == "reset")
    assert explorer.watch(run, is_frame)[-1]["env_steps"] == 0
    explorer.post(f"/live/{run}/play")
    again = [e["rows"] for e in explorer.watch(run, past(1_100)) if e["kind"] == "records"]
    assert again[:2] == rows[:2]  # the same seed, the same start
    assert explorer.post(f"/live/{run}/stop").status_code == 200
    assert explorer.post(f"/live/{run}/play").status_code == 404


def test_a_frame_of_the_lander_holds_what_the_page_draws(explorer: Explorer) -> None:
    run = explorer.start(env="LunarLander-v3", arms=[SOFT])
    scene = arm(explorer.watch(run, is_frame)[-1], "soft")["scene"]
    assert len(scene["craft"]) == 3
    assert len(scene["legs"]) == 2
    assert len(scene["ground"]) >= 10
    assert scene["pad"][0] < scene["pad"][1]
    assert 0 <= scene["craft"][0] <= 20


def test_the_continuous_lander_is_shown_and_saved_with_its_argument(explorer: Explorer, tmp_path: Path) -> None:
    run = explorer.start(env="LunarLanderContinuous-v3", arms=[SOFT])
    shown = arm(explorer.watch(run, is_frame)[-1], "soft")
    assert len(shown["action"]) == 2
    assert len(shown["q_values"]) == 1
    assert shown["scene"]["engines"] == [0, 0]
    explorer.post(f"/live/{run}/play")
    explorer.watch(run, past(1_000))
    explorer.post(f"/live/{run}/save")
    saved = explorer.watch(run, lambda e: e["kind"] in ("saved", "not-saved"))[-1]
    config = open_run(tmp_path / "runs" / saved["path"]).config
    assert (config.env, config.env_args, config.algorithm) == ("LunarLander-v3", {"continuous": True}, "sac")
    assert len(softstep.evaluate(tmp_path / "runs" / saved["path"], 1).returns) == 1


def test_invalid_changes_are_refused_and_change_nothing(explorer: Explorer) -> None:
    run = explorer.start(env="CartPole-v1", arms=[SOFT])
    for values, parameter in (
        ({"arm": "hard"}, "arm"),
        ({"arm": "soft", "c": 1}, "c"),
        ({"arm": "soft", "alpha": "x"}, "alpha"),
    ):
        response = explorer.post(f"/live/{run}/change", values)
        assert (response.status_code, response.json()["error"]["parameter"]) == (422, parameter)
    assert explorer.post(f"/live/{run}/save").status_code == 200
    assert "let it run" in explorer.watch(run, lambda e: e["kind"] == "not-saved")[-1]["message"]
    assert arm(explorer.watch(run, is_frame)[-1], "soft")["tau"] == pytest.approx(0.01)


# ---- many watchers, or none ----


def test_an_agent_without_watchers_is_stopped(tmp_path: Path) -> None:
    with serve(tmp_path, live_agents=1, idle_seconds=0.5) as explorer:
        explorer.enter()
        run = explorer.start(env="CartPole-v1")
        refused = explorer.post("/live", {})
        assert refused.status_code == 422
        assert "stop one first" in refused.json()["error"]["reason"]
        explorer.watch(run, is_frame)  # then disconnects
        deadline = time.monotonic() + 20
        while len(explorer.live) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(explorer.live) == 0
        assert explorer.start(env="CartPole-v1") != run


def test_a_slow_watcher_blocks_nobody_and_misses_no_record(explorer: Explorer) -> None:
    run = explorer.start(env="CartPole-v1", arms=[SOFT])
    explorer.post(f"/live/{run}/play")
    with explorer.client.stream("GET", f"/live/{run}/events"):  # reads nothing at all
        watchers = [threading.Thread(target=explorer.watch, args=(run, past(2_000))) for _ in range(8)]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join(60)
        assert not any(watcher.is_alive() for watcher in watchers)
        started = time.perf_counter()
        assert explorer.post("/api/filter", {"c": 0.5}).status_code == 200
        assert time.perf_counter() - started < 30  # the server still answers
    rows = [row["env_steps"] for e in explorer.watch(run, past(2_000)) if e["kind"] == "records" for row in e["rows"]]
    assert rows == sorted(rows)
    assert rows[:3] == [500, 1_000, 1_500]


def test_stopping_the_server_ends_its_agents(tmp_path: Path) -> None:
    with serve(tmp_path) as explorer:
        explorer.enter()
        run = explorer.start(env="CartPole-v1")
        process = explorer.live.get(run)._process
    assert process.returncode is not None
    with pytest.raises(httpx.ConnectError):
        explorer.client.get("/")


@pytest.mark.parametrize("env", ["Acrobot-v1", "gymnax:CartPole-v1", "gymnax:Pendulum-v1", "MountainCarContinuous-v0"])
def test_other_environments_are_not_trained_live(env: str) -> None:
    with pytest.raises(ConfigError, match="cannot be trained live"):
        live_config(env, 0, [SOFT])


def test_a_watcher_sleeps_between_a_reset_and_the_next_frame() -> None:
    """A watcher with neither event nor frame to yield must sleep: a busy loop would block the server for good."""

    async def watched() -> list[dict[str, Any]]:
        pipe = asyncio.subprocess.PIPE
        echo = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)  # sends back what it receives
        run, events = LiveRun(live_config("CartPole-v1", 0, [SOFT | {"target": True}]), echo), list[dict[str, Any]]()
        await run._write('{"kind": "frame"}')
        async for event in run.watch(silence=0.2):
            events.append(event)
            if event == {"kind": "frame"}:
                await run._write('{"kind": "reset"}')
            if not event:
                await run.stop()
        return events

    def on_alarm(*_: Any) -> None:
        raise AssertionError("the watcher never slept")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(30)
    try:
        assert asyncio.run(watched()) == [{"kind": "frame"}, {"kind": "reset"}, {}, {"kind": "ended"}]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
