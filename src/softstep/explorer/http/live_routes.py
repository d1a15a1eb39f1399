"""The live agents over HTTP: start, order, and a stream of server-sent events."""

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
from softstep.explorer.live.live_runs import BASES, MAX_ARMS, LiveRun, LiveRuns, live_config, target_of
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
"""What a hand can move on a running arm."""

ARM: Mapping[str, Spec] = {"name": Text("The arm's label.", "soft", 24), **SETTINGS}
RUN: Mapping[str, Spec] = {
    "env": Choice("The environment.", "CartPole-v1", tuple(BASES)),
    "seed": Whole("The seed that all arms share.", 0, 0, 2**31 - 2),
}
PLAIN_ORDERS = ("play", "pause", "step", "reset")
SILENCE = 15.0
"""Seconds without an event after which the stream says that it lives."""


def read_run(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a live run, checked: env, seed and arms."""
    rest = {name: value for name, value in values.items() if name != "arms"}
    arms = values.get("arms", [{}])
    if not isinstance(arms, list) or not 1 <= len(arms) <= MAX_ARMS:
        raise BadParameter("arms", f"must be a list of 1 to {MAX_ARMS} arms")
    return check_all(RUN, rest) | {"arms": [_arm(check_all(ARM, arm)) for arm in arms]}


def _arm(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"target": values["target"] == "on"}


def live_routes(live: LiveRuns, runs: Path) -> list[Route]:
    """Start a run, watch it, and give it orders."""

    async def start(request: Request) -> Response:
        asked = read_run(await json_object(request))
        run = await live.start(live_config(**asked))
        return JSONResponse({"id": run.id, "arms": [arm.name for arm in run.config.arms]})

    async def events(request: Request) -> Response:
        run = live.get(request.path_params["id"])
        return _gone() if run is None else StreamingResponse(_stream(run), media_type="text/event-stream")

    async def order(request: Request) -> Response:
        run, do = live.get(request.path_params["id"]), request.path_params["do"]
        if run is None:
            return _gone()
        values = await json_object(request)
        if do == "change":
            await _change(run, values)
        elif do == "save":
            await run.order("save", path=str(default_out(run.config, "live", runs).resolve()))
        elif do == "stop":
            await live.stop(run)
        elif do in PLAIN_ORDERS:
            await run.order(do)
        else:
            return PlainTextResponse(f"There is no order {do!r}.", 404)
        return JSONResponse({})

    return [
        Route("/live", start, methods=["POST"]),
        Route("/live/{id}/events", events),
        Route("/live/{id}/{do}", order, methods=["POST"]),
    ]


async def _change(run: LiveRun, values: Mapping[str, Any]) -> None:
    """Move an arm's sliders."""
    names = tuple(arm.name for arm in run.config.arms)
    read = _arm(check_all({"arm": Choice("The arm.", names[0], names), **SETTINGS}, values))
    target = target_of(read["c"], read["target"])
    await run.order("change", arm=read["arm"], learning_rate=read["alpha"], tau=target.tau, period=target.period)


async def _stream(run: LiveRun) -> AsyncIterator[str]:
    async for event in run.watch(SILENCE):
        yield f"data: {json.dumps(event)}\n\n" if event else ": still here\n\n"


def _gone() -> Response:
    return PlainTextResponse("This live agent is gone; start a new one.", 404)


def live_paths() -> dict[str, JSON]:
    """The routes' part of the OpenAPI description."""
    arm = schema_of(ARM)
    run = schema_of(RUN)
    run["properties"]["arms"] = {"type": "array", "minItems": 1, "maxItems": MAX_ARMS, "items": arm}
    of_run = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    change = schema_of({"arm": Text("The arm's name.", "soft", 24), **SETTINGS})
    paths = {
        "/live": {"post": _operation("live-start", "Start a live run; it waits for `play`.", run)},
        "/live/{id}/events": {"get": {
            "operationId": "live-events", "summary": "Server-sent events: records, changes and pictures.",
            "parameters": [of_run], "responses": {"200": {"description": "A stream."}, **_missing()},
        }},
        "/live/{id}/change": {"post": _operation("live-change", "Move an arm's α, c or target switch.", change)},
    }  # fmt: skip
    for do in (*PLAIN_ORDERS, "save", "stop"):
        paths[f"/live/{{id}}/{do}"] = {"post": _operation(f"live-{do}", f"Order: {do}.", {"type": "object"})}
    for path, item in paths.items():
        if "{id}" in path and "post" in item:
            item["post"]["parameters"] = [of_run]
            item["post"]["responses"] |= _missing()
    return paths


def _operation(name: str, summary: str, schema: JSON) -> JSON:
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": False, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}},
            "413": refusal("The body is too large."),
            "422": refusal("A setting cannot be used."),
        },
    }


def _missing() -> JSON:
    return {"404": {"description": "There is no such live run."}}
