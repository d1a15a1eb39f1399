"""Routes for the live agents: start one, send it commands, and stream its events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from softstep.explorer.http.openapi import refusal
from softstep.explorer.http.wire import json_object
from softstep.explorer.live.live_config import BASES, MAX_ARMS, live_config, target_of
from softstep.explorer.live.live_runs import LiveRun, LiveRuns
from softstep.explorer.rooms.parameters import (
    JSON,
    BadParameter,
    Choice,
    Number,
    Spec,
    Text,
    Whole,
    check_all,
    schema_of,
)
from softstep.runs.api import default_out

SETTINGS: Mapping[str, Spec] = {
    "alpha": Number("α, the size of a gradient step of Q.", 1e-3, 1e-6, 1.0),
    "c": Number("c, the weight of the old target in a soft update.", 0.99, 0.0, 0.99999),
    "target": Choice("Whether there is a target network; without one c has no effect.", "on", ("on", "off")),
}
"""Settings of an arm that can be changed while it trains."""

ARM: Mapping[str, Spec] = {"name": Text("The arm's label.", "soft", 24), **SETTINGS}
RUN: Mapping[str, Spec] = {
    "env": Choice("The environment.", "CartPole-v1", tuple(BASES)),
    "seed": Whole("The seed that all arms share.", 0, 0, 2**31 - 2),
}
PLAIN_COMMANDS = ("play", "pause", "step", "reset")
"""Commands without settings."""
KEEP_ALIVE_SECONDS = 15.0
"""Seconds without an event after which the stream sends a comment, to keep the connection open."""


def read_run(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check a live run's settings and return its env, seed and arms."""
    rest = {name: value for name, value in values.items() if name != "arms"}
    arms = values.get("arms", [{}])
    if not isinstance(arms, list) or not 1 <= len(arms) <= MAX_ARMS:
        raise BadParameter("arms", f"must be a list of 1 to {MAX_ARMS} arms")
    return check_all(RUN, rest) | {"arms": [_arm(check_all(ARM, arm)) for arm in arms]}


def _arm(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"target": values["target"] == "on"}


def live_routes(live: LiveRuns, runs: Path) -> list[Route]:
    """Return the routes that start a live run, stream its events, and send it commands."""

    async def start(request: Request) -> Response:
        settings = read_run(await json_object(request))
        run = await live.start(live_config(**settings))
        return JSONResponse({"id": run.id, "arms": [arm.name for arm in run.config.arms]})

    async def events(request: Request) -> Response:
        run = live.get(request.path_params["id"])
        return _gone() if run is None else StreamingResponse(_stream(run), media_type="text/event-stream")

    async def command(request: Request) -> Response:
        run, name = live.get(request.path_params["id"]), request.path_params["command"]
        if run is None:
            return _gone()
        values = await json_object(request)
        if name == "change":
            await _change(run, values)
        elif name == "save":
            await run.send("save", path=str(default_out(run.config, "live", runs).resolve()))
        elif name == "stop":
            await live.stop(run)
        elif name in PLAIN_COMMANDS:
            await run.send(name)
        else:
            return PlainTextResponse(f"There is no command {name!r}: see /openapi.json for the list.", 404)
        return JSONResponse({})

    return [
        Route("/live", start, methods=["POST"]),
        Route("/live/{id}/events", events),
        Route("/live/{id}/{command}", command, methods=["POST"]),
    ]


async def _change(run: LiveRun, values: Mapping[str, Any]) -> None:
    """Change an arm's learning rate and target update."""
    names = tuple(arm.name for arm in run.config.arms)
    read = _arm(check_all({"arm": Choice("The arm.", names[0], names), **SETTINGS}, values))
    target = target_of(read["c"], read["target"])
    await run.send("change", arm=read["arm"], learning_rate=read["alpha"], tau=target.tau, period=target.period)


async def _stream(run: LiveRun) -> AsyncIterator[str]:
    """Write the run's events as server-sent events."""
    async for event in run.watch(KEEP_ALIVE_SECONDS):
        yield f"data: {json.dumps(event)}\n\n" if event else ": keep-alive\n\n"


def _gone() -> Response:
    return PlainTextResponse("This live agent is gone; start a new one.", 404)


def live_paths() -> dict[str, JSON]:
    """Return the OpenAPI description of these routes."""
    arm = schema_of(ARM)
    run = schema_of(RUN)
    run["properties"]["arms"] = {"type": "array", "minItems": 1, "maxItems": MAX_ARMS, "items": arm}
    run_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    change = schema_of({"arm": Text("The arm's name.", "soft", 24), **SETTINGS})
    paths = {
        "/live": {"post": _operation("live-start", "Start a live run; it waits for `play`.", run)},
        "/live/{id}/events": {"get": {
            "operationId": "live-events", "summary": "Server-sent events: records, changes and frames.",
            "parameters": [run_id], "responses": {"200": {"description": "A stream."}, **_missing()},
        }},
        "/live/{id}/change": {"post": _operation("live-change", "Move an arm's α, c or target switch.", change)},
    }  # fmt: skip
    for name in (*PLAIN_COMMANDS, "save", "stop"):
        paths[f"/live/{{id}}/{name}"] = {"post": _operation(f"live-{name}", f"Command: {name}.", {"type": "object"})}
    for path, item in paths.items():
        if "{id}" in path and "post" in item:
            item["post"]["parameters"] = [run_id]
            item["post"]["responses"] |= _missing()
    return paths


def _operation(name: str, summary: str, schema: JSON) -> JSON:
    """Describe one POST route."""
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": False, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}},
            "413": refusal("The body is too large."),
            "422": refusal("A setting is invalid."),
        },
    }


def _missing() -> JSON:
    return {"404": {"description": "There is no such live run."}}
