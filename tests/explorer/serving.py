"""A real server on a free port, in a thread, and a client that has opened the one-time link."""

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
    """What a browser sees of a server."""

    def __init__(self, url: str, guard: Guard, live: LiveRuns) -> None:
        self.url, self.guard, self.live = url, guard, live
        self.link = f"{url}/?token={guard.link_token}"
        self.client = httpx.Client(base_url=url, headers={"origin": url}, timeout=60)

    def enter(self) -> Explorer:
        """Open the link."""
        assert self.client.get(self.link).status_code == 303
        return self

    def post(self, path: str, values: Any = None) -> httpx.Response:
        return self.client.post(path, json={} if values is None else values)

    def start(self, **settings: Any) -> str:
        """A live agent's id."""
        response = self.post("/live", settings)
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def watch(self, run: str, until: Callable[[dict[str, Any]], bool], seconds: float = 120) -> list[dict[str, Any]]:
        """The events of a live agent up to the first of which `until` is true."""
        seen, deadline = list[dict[str, Any]](), time.monotonic() + seconds
        with self.client.stream("GET", f"/live/{run}/events") as stream:
            for line in stream.iter_lines():
                if not line.startswith("data: "):
                    continue
                seen.append(json.loads(line[6:]))
                if until(seen[-1]):
                    return seen
                assert time.monotonic() < deadline, f"waited in vain; the last events: {seen[-3:]}"
        raise AssertionError(f"the stream ended: {seen[-3:]}")


@contextlib.contextmanager
def serve(runs: Path, *, live_agents: int = 2, patience: float = 20.0) -> Iterator[Explorer]:
    """Serve until the block ends."""
    live, listening = LiveRuns(live_agents, patience), bind("127.0.0.1", 0)
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
    """Whether an event is a picture."""
    return bool(event["kind"] == "frame")
