"""The live agents over HTTP: start, order, and a stream of server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from softstep.explorer.http.openapi import operation
from softstep.explorer.http.wire import json_object
from softstep.explorer.live.runs import BASES, MAX_ARMS, LiveRun, LiveRuns, live_config, target_of
from softstep.explorer.rooms.parameters import JSON, BadParameter, Parameters, entries, read
from softstep.runs.api import default_out

Environment = Literal[tuple(BASES)]


class SliderParameters(Parameters, frozen=True):
    """Settings of an arm that can be changed while it trains."""

    alpha: Annotated[float, Meta(ge=1e-6, le=1.0, description="α, the size of a gradient step of Q.")] = 1e-3
    c: Annotated[float, Meta(ge=0.0, le=0.99999, description="c, the weight of the old target.")] = 0.99
    target: Annotated[Literal["on", "off"], Meta(description="The target network; off makes c irrelevant.")] = "on"


class ArmParameters(SliderParameters, frozen=True):
    """One arm of a live run."""

    name: Annotated[str, Meta(max_length=24, description="The arm's label.")] = "soft"


class ChangeParameters(SliderParameters, frozen=True):
    """Changed settings of one arm."""

    arm: Annotated[str, Meta(max_length=24, description="The arm's name.")] = "soft"


class RunParameters(Parameters, frozen=True):
    """A live run: its environment, its seed and its arms."""

    env: Annotated[Environment, Meta(description="The environment.")] = "CartPole-v1"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 2, description="The seed that all arms share.")] = 0
    arms: Annotated[tuple[ArmParameters, ...], entries("arms", MAX_ARMS, "The arms.")] = (ArmParameters(),)


PARAMETERS = (RunParameters, ChangeParameters)
"""The parameters of these routes, for the OpenAPI description."""
PLAIN_ORDERS = ("play", "pause", "step", "reset")
SILENCE = 15.0
"""Seconds without an event after which the stream says that it lives."""


def read_run(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a live run: env, seed and arms."""
    run = read(RunParameters, values)
    arms = [msgspec.structs.asdict(arm) | {"target": arm.target == "on"} for arm in run.arms]
    return {"env": run.env, "seed": run.seed, "arms": arms}


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
    names = [arm.name for arm in run.config.arms]
    change = read(ChangeParameters, {"arm": names[0], **values})
    if change.arm not in names:
        raise BadParameter("arm", f"{change.arm!r} is not in this run: choose one of {', '.join(names)}")
    target = target_of(change.c, change.target == "on")
    await run.order("change", arm=change.arm, learning_rate=change.alpha, tau=target.tau, period=target.period)


async def _stream(run: LiveRun) -> AsyncIterator[str]:
    async for event in run.watch(SILENCE):
        yield f"data: {json.dumps(event)}\n\n" if event else ": still here\n\n"


def _gone() -> Response:
    return PlainTextResponse("This live agent is gone; start a new one.", 404)


def live_paths() -> dict[str, JSON]:
    """The routes' part of the OpenAPI description."""
    missing = {"404": {"description": "There is no such live run."}}
    of_run = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    orders = {
        "change": operation("live-change", "Move an arm's α, c or target switch.", ChangeParameters),
        **{do: operation(f"live-{do}", f"Order: {do}.", Parameters) for do in (*PLAIN_ORDERS, "save", "stop")},
    }
    for item in orders.values():
        item["post"]["parameters"] = [of_run]
        item["post"]["responses"] |= missing
    return {
        "/live": operation("live-start", "Start a live run; it waits for `play`.", RunParameters),
        "/live/{id}/events": {"get": {
            "operationId": "live-events", "summary": "Server-sent events: records, changes and pictures.",
            "parameters": [of_run], "responses": {"200": {"description": "A stream."}, **missing},
        }},
        **{f"/live/{{id}}/{do}": item for do, item in orders.items()},
    }  # fmt: skip
