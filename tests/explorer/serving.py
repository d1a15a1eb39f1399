"""A real server on a free port, in a thread, and an HTTP client with its session cookie."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from softstep.explorer.http.guard import Guard
from softstep.explorer.http.server import bind, make_app
from softstep.explorer.live.live_runs import LiveRuns


class Explorer:
    """A running server as a browser sees it."""

    def __init__(self, url: str, guard: Guard, live: LiveRuns) -> None:
        self.url, self.guard, self.live = url, guard, live
        self.link = f"{url}/?token={guard.link_token}"
        self.client = httpx.Client(base_url=url, headers={"origin": url}, timeout=60)

    def enter(self) -> Explorer:
        """Open the one-time link."""
        assert self.client.get(self.link).status_code == 303
        return self

    def post(self, path: str, values: Any = None) -> httpx.Response:
        return self.client.post(path, json={} if values is None else values)

    def start(self, **settings: Any) -> str:
        """Start a live run and return its id."""
        response = self.post("/live", settings)
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def watch(self, run: str, until: Callable[[dict[str, Any]], bool], seconds: float = 120) -> list[dict[str, Any]]:
        """Return the events of a live run up to the first for which `until` is true."""
        events, deadline = list[dict[str, Any]](), time.monotonic() + seconds
        with self.client.stream("GET", f"/live/{run}/events") as stream:
            for line in stream.iter_lines():
                if not line.startswith("data: "):
                    continue
                events.append(json.loads(line[6:]))
                if until(events[-1]):
                    return events
                assert time.monotonic() < deadline, f"timed out; the last events: {events[-3:]}"
        raise AssertionError(f"the stream ended; the last events: {events[-3:]}")


def free_port() -> int:
    """Return the number of a port that nobody listens on."""
    with bind("127.0.0.1", 0) as listening:
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def serve(runs: Path, *, live_agents: int = 2, idle_seconds: float = 20.0) -> Iterator[Explorer]:
    """Run a server until the block ends."""
    live, listening = LiveRuns(live_agents, idle_seconds), bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    guard = Guard(make_app(runs, live), hosts=[f"127.0.0.1:{port}"], cookie=f"softstep-{port}")
    server = uvicorn.Server(uvicorn.Config(guard, log_level="warning", timeout_graceful_shutdown=1, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield Explorer(f"http://127.0.0.1:{port}", guard, live)
    finally:
        server.should_exit = True
        thread.join()


def is_frame(event: dict[str, Any]) -> bool:
    """Return whether an event is a frame."""
    return bool(event["kind"] == "frame")
