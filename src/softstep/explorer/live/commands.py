"""Requests about live agents: start one, and send it commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

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
"""The parameters of these requests, for the OpenAPI description."""
PLAIN_COMMANDS = ("play", "pause", "step", "reset")
"""Commands without settings."""
OTHER_COMMANDS = ("change", "save", "stop")
"""The other commands."""


def read_run(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check a live run's settings and return its env, seed and arms."""
    run = read(RunParameters, values)
    arms = [msgspec.structs.asdict(arm) | {"target": arm.target == "on"} for arm in run.arms]
    return {"env": run.env, "seed": run.seed, "arms": arms}


async def start(live: LiveRuns, values: Mapping[str, Any]) -> JSON:
    """Start a live run, which waits for the command `play`; return its id and the names of its arms."""
    run = await live.start(live_config(**read_run(values)))
    return {"id": run.id, "arms": [arm.name for arm in run.config.arms]}


async def command(live: LiveRuns, run: LiveRun, name: str, values: Mapping[str, Any], runs: Path) -> None:
    """Carry out a command, one of `PLAIN_COMMANDS` and `OTHER_COMMANDS`; `save` writes a folder under `runs`."""
    if name == "change":
        await _change(run, values)
    elif name == "save":
        await run.send("save", path=str(default_out(run.config, "live", runs).resolve()))
    elif name == "stop":
        await live.stop(run)
    else:
        await run.send(name)


async def _change(run: LiveRun, values: Mapping[str, Any]) -> None:
    """Change an arm's learning rate and target update."""
    names = [arm.name for arm in run.config.arms]
    change = read(ChangeParameters, {"arm": names[0], **values})
    if change.arm not in names:
        raise BadParameter("arm", f"{change.arm!r} is not in this run: choose one of {', '.join(names)}")
    target = target_of(change.c, change.target == "on", change.schedule, run.config.gamma)
    await run.send("change", arm=change.arm, learning_rate=change.alpha, target=dataclasses.asdict(target))
