"""The kernel's side of a page in a cell: it answers the page's messages, in a thread of its own.

Messages of the page, each with the name of its `view`:

- `post` with number, path and values is answered by `reply` with the number and the answer, or with an error;
- `watch` with number and path by `reply`s with the events of a live run, the last of which has none;
- `unwatch` with number ends that;
- `here` is a sign of life of a page that watches or waits for an answer; `left` says that the page is gone.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from softstep.explorer.backend import REFUSALS, Backend, NotFound, refusal
from softstep.explorer.live.live_runs import LiveRuns
from softstep.explorer.rooms.parameters import JSON

MAX_LIVE_AGENTS = 2
"""Largest number of agents that train at the same time in the cells of one notebook."""

TICK_SECONDS = 10.0
"""Time between two looks at which pages have given a sign of life."""

PATIENCE_TICKS = 15
"""Looks without a sign of life after which a page counts as gone. Browsers slow down pages in hidden tabs."""

ANSWER_SECONDS = 0.1
"""Longest time for which a question keeps the kernel busy. Most answers take a few milliseconds."""

Send = Callable[[JSON], None]
"""Sends a message to the page."""


@functools.cache
def background_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of a daemon thread, in which all pages of this kernel are answered."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="softstep pages", daemon=True).start()
    return loop


@functools.cache
def live_runs() -> LiveRuns:
    """Return the live runs of this kernel."""
    return LiveRuns(MAX_LIVE_AGENTS)


class View:
    """One page: the tasks that stream events to it by their numbers, and the live runs that it has started."""

    def __init__(self) -> None:
        self.watches: dict[int, asyncio.Task[None]] = {}
        self.runs: set[str] = set()
        self.quiet_ticks = 0


class Session:
    """The pages of one widget; `send` may be called from the background thread."""

    def __init__(self, send: Send, runs: Path, live: LiveRuns | None = None) -> None:
        self._send = send
        self._backend = Backend(live_runs() if live is None else live, runs)
        self._views: dict[str, View] = {}
        self._loop, self._closed = background_loop(), False

    def receive(self, message: Any) -> None:
        """Begin to handle a message of a page. Return at once, but for a `post` once it is answered.

        Then the answer is sent before the kernel says that it is idle; sent after that, it would wait until the browser
        has acknowledged this message. An answer is waited for no longer than `ANSWER_SECONDS`.
        """
        handlers = {"post": self._post, "watch": self._watch, "unwatch": self._unwatch, "here": self._here}
        handler = handlers.get(message["kind"], self._left)
        handling = self._run(handler(message))
        if message["kind"] == "post":
            concurrent.futures.wait([handling], ANSWER_SECONDS)

    def start_ticking(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look regularly for pages that give no sign of life, as one in a closed tab, and forget them.

        `loop` is the one in which messages are received. While a cell runs there, signs of life wait, and so does this.
        """

        def tick() -> None:
            if not self._closed:
                self._run(self._forget_quiet_pages())
                loop.call_later(TICK_SECONDS, tick)

        loop.call_later(TICK_SECONDS, tick)

    def close(self) -> None:
        """End everything that pages have begun."""
        self._closed = True
        for view in list(self._views):
            self._run(self._left({"view": view}))

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> concurrent.futures.Future[None]:
        handling = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        handling.add_done_callback(self._report)
        return handling

    def _report(self, done: Any) -> None:
        """Hand an exception that nobody expected to the loop, which logs it."""
        if not done.cancelled() and done.exception() is not None:
            self._loop.call_exception_handler({"message": "softstep's page", "exception": done.exception()})

    def _view(self, message: JSON) -> View:
        view = self._views.setdefault(message["view"], View())
        view.quiet_ticks = 0
        return view

    def _reply(self, message: JSON, **content: Any) -> None:
        self._send({"kind": "reply", "view": message["view"], "number": message["number"], **content})

    # ---- the kinds of messages ----

    async def _post(self, message: JSON) -> None:
        view = self._view(message)
        try:
            answer = await self._backend.post(message["path"], message["values"])
        except REFUSALS as error:
            self._refuse(message, error)
            return
        if message["path"] == "live":
            if self._views.get(message["view"]) is not view:  # the page has left meanwhile
                await self._stop({answer["id"]})
                return
            view.runs.add(answer["id"])
        self._reply(message, answer=answer)

    def _refuse(self, message: JSON, error: Exception) -> None:
        parameter, reason = refusal(error)
        self._reply(message, error={"parameter": parameter, "reason": reason})

    async def _watch(self, message: JSON) -> None:
        view, number = self._view(message), message["number"]
        view.watches[number] = asyncio.current_task()  # type: ignore[assignment]
        try:
            match message["path"].split("/"):
                case ["live", run_id, "events"]:
                    async for event in self._backend.live_run(run_id).watch(TICK_SECONDS):
                        if event:
                            self._reply(message, event=event)
        except NotFound:
            pass  # the last reply says so
        finally:
            view.watches.pop(number, None)
        self._reply(message)

    async def _unwatch(self, message: JSON) -> None:
        if task := self._view(message).watches.get(message["number"]):
            task.cancel()

    async def _here(self, message: JSON) -> None:
        self._view(message)

    async def _left(self, message: JSON) -> None:
        view = self._views.pop(message["view"], None)
        if view is not None:
            for task in list(view.watches.values()):
                task.cancel()
            await self._stop(view.runs)

    async def _stop(self, runs: set[str]) -> None:
        """End live runs; those that have ended by themselves are no more."""
        live = self._backend.live
        await asyncio.gather(*(live.stop(run) for run in map(live.get, runs) if run is not None))

    async def _forget_quiet_pages(self) -> None:
        for name, view in list(self._views.items()):
            view.quiet_ticks += 1
            if view.watches and view.quiet_ticks > PATIENCE_TICKS:
                await self._left({"view": name})
