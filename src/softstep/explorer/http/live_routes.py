"""Routes for the live agents: start one, send it commands, and stream its events."""

from __future__ import annotations

import dataclasses
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
from softstep.explorer.live.live_config import BASES, MAX_ARMS, live_config, target_of
from softstep.explorer.live.live_runs import LiveRun, LiveRuns
from softstep.explorer.rooms.parameters import JSON, BadParameter, Parameters, entries, read
from softstep.runs.api import default_out

Environment = Literal[tuple(BASES)]


class SliderParameters(Parameters, frozen=True):
    """Settings of an arm that can be changed while it trains."""

    alpha: Annotated[
        float, Meta(ge=1e-6, le=1.0, description="α, the size of a gradient step of Q; of SAC, the critics'.")
    ] = 1e-3
    c: Annotated[
        float, Meta(ge=0.0, le=0.99999, description="c, the weight of the old target; of SAC, the critics'.")
    ] = 0.99
    target: Annotated[Literal["on", "off"], Meta(description="Whether there is a target network; off ignores c.")] = (
        "on"
    )
    schedule: Annotated[Literal["constant", "harmonic"], Meta(
        description="Whether c stays, or τ = 1 − c falls as min(1 − c, 3/((1−γ)·t)) with the gradient steps t.")
    ] = "constant"  # fmt: skip


class ArmParameters(SliderParameters, frozen=True):
    """One arm of a live run."""

    name: Annotated[str, Meta(max_length=24, description="The arm's label.")] = "soft"


class ChangeParameters(SliderParameters, frozen=True):
    """Changed settings of one arm."""

    arm: Annotated[str, Meta(max_length=24, description="The arm's name.")] = "soft"


class RunParameters(Parameters, frozen=True):
    """A live run: its environment, its seed and its arms."""

    env: Annotated[
        Environment, Meta(description="The environment: SAC learns Pendulum and the continuous lander, DQN the others.")
    ] = "CartPole-v1"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 2, description="The seed that all arms share.")] = 0
    arms: Annotated[tuple[ArmParameters, ...], entries("arms", MAX_ARMS, "The arms.")] = (ArmParameters(),)


PARAMETERS = (RunParameters, ChangeParameters)
"""The parameters of these routes, for the OpenAPI description."""
PLAIN_COMMANDS = ("play", "pause", "step", "reset")
"""Commands without settings."""
KEEP_ALIVE_SECONDS = 15.0
"""Seconds without an event after which the stream sends a comment, to keep the connection open."""


def read_run(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check a live run's settings and return its env, seed and arms."""
    run = read(RunParameters, values)
    arms = [msgspec.structs.asdict(arm) | {"target": arm.target == "on"} for arm in run.arms]
    return {"env": run.env, "seed": run.seed, "arms": arms}


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
    names = [arm.name for arm in run.config.arms]
    change = read(ChangeParameters, {"arm": names[0], **values})
    if change.arm not in names:
        raise BadParameter("arm", f"{change.arm!r} is not in this run: choose one of {', '.join(names)}")
    target = target_of(change.c, change.target == "on", change.schedule, run.config.gamma)
    await run.send("change", arm=change.arm, learning_rate=change.alpha, target=dataclasses.asdict(target))


async def _stream(run: LiveRun) -> AsyncIterator[str]:
    """Write the run's events as server-sent events."""
    async for event in run.watch(KEEP_ALIVE_SECONDS):
        yield f"data: {json.dumps(event)}\n\n" if event else ": keep-alive\n\n"


def _gone() -> Response:
    return PlainTextResponse("This live agent is gone; start a new one.", 404)


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
