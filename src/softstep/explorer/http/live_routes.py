"""Routes for the live agents: the stream of a run's events, and the description of all their routes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from softstep.explorer.backend import Backend
from softstep.explorer.http.openapi import operation
from softstep.explorer.live.commands import PLAIN_COMMANDS, ChangeParameters, RunParameters
from softstep.explorer.live.live_runs import LiveRun
from softstep.explorer.rooms.parameters import JSON, Parameters

KEEP_ALIVE_SECONDS = 15.0
"""Seconds without an event after which the stream sends a comment, to keep the connection open."""


def events_route(backend: Backend) -> Route:
    """Return the route that streams a live run's events."""

    async def events(request: Request) -> Response:
        run = backend.live_run(request.path_params["id"])
        return StreamingResponse(_stream(run), media_type="text/event-stream")

    return Route("/live/{id}/events", events)


async def _stream(run: LiveRun) -> AsyncIterator[str]:
    """Write the run's events as server-sent events."""
    async for event in run.watch(KEEP_ALIVE_SECONDS):
        yield f"data: {json.dumps(event)}\n\n" if event else ": keep-alive\n\n"


def live_paths() -> dict[str, JSON]:
    """Return the OpenAPI description of these routes."""
    missing = {"404": {"description": "There is no such live run."}}
    run_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    plain = (*PLAIN_COMMANDS, "save", "stop")
    commands = {name: operation(f"live-{name}", f"Command: {name}.", Parameters) for name in plain}
    commands["change"] = operation("live-change", "Change an arm's α, c or target switch.", ChangeParameters)
    for item in commands.values():
        item["post"]["parameters"] = [run_id]
        item["post"]["responses"] |= missing
    return {
        "/live": operation("live-start", "Start a live run; it waits for `play`.", RunParameters),
        "/live/{id}/events": {"get": {
            "operationId": "live-events", "summary": "Server-sent events: records, changes and frames.",
            "parameters": [run_id], "responses": {"200": {"description": "A stream."}, **missing},
        }},
        **{f"/live/{{id}}/{name}": item for name, item in commands.items()},
    }  # fmt: skip
