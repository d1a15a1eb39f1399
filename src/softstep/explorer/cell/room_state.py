"""The rooms' names and states, as Python code gives them: which values a room has, and which of them fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from softstep.errors import ConfigError
from softstep.explorer.live.commands import ArmParameters, read_run
from softstep.explorer.rooms.endpoints import ENDPOINTS
from softstep.explorer.rooms.parameters import BadParameter, Parameters, read

ROOMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "one-network": {
        "one-network": (
            "loss", "dimensions", "formula", "alpha", "c", "x", "y", "steps", "variant", "k", "mu",
        ),
    },
    "two-networks": {
        "two-networks": ("alpha", "c", "schedule", "gamma", "a", "b", "start", "steps"), "ledger": ("at",),
    },
    "stability": {"stability-point": ("problem", "gamma", "phi", "P", "d", "alpha", "c")},
    "noise": {"noise": ("alpha", "c", "a", "b", "seed")},
    "atlas": {"atlas-point": ("env", "alpha", "c")},
}  # fmt: skip
"""For each room, the parameters of its endpoints that are part of its state."""

ARMS: Mapping[str, Mapping[str, Any]] = {
    "soft": {"alpha": 1e-3, "c": 0.99, "target": "on"},
    "same-alpha": {"alpha": 1e-3, "c": 0.99, "target": "off"},
    "smaller-alpha": {"alpha": 1e-5, "c": 0.99, "target": "off"},
    "hasty": {"alpha": 1e-2, "c": 0.99, "target": "on"},
}
"""The arms of the live room, with the settings that the page gives them."""


def room_state(room: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a room; ConfigError names a room or a value that does not exist, or does not fit."""
    if room not in ROOMS:
        raise ConfigError(f"there is no room {room!r}: choose {', '.join(ROOMS)}, or softstep.notebook.live()")
    endpoint_of = {name: endpoint for endpoint, names in ROOMS[room].items() for name in names}
    for name in values:
        if name not in endpoint_of:
            raise ConfigError(f"the room {room} has no {name!r}: it has {', '.join(endpoint_of)}")
    for endpoint in ROOMS[room]:
        own = {name: value for name, value in values.items() if endpoint_of[name] == endpoint}
        _checked(ENDPOINTS[endpoint].parameters, own)
    return dict(values)


def live_state(env: str, seed: int, arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the state of the live room; ConfigError if the environment, an arm or one of its settings does not fit.

    Args:
        env: The environment.
        seed: The seed that the arms share.
        arms: The settings of each of `ARMS` that differ from its own.
    """
    for name in arms:
        if name not in ARMS:
            raise ConfigError(f"there is no arm {name!r}: choose from {', '.join(ARMS)}")
    chosen = [{"name": name, **ARMS[name], **settings} for name, settings in arms.items()]
    try:
        read_run({"env": env, "seed": seed, "arms": chosen})
        read_arms = [read(ArmParameters, arm) for arm in chosen]
    except BadParameter as error:
        raise ConfigError(str(error)) from None
    texts = [
        "~".join([arm.name, f"{arm.alpha!r}", f"{arm.c!r}", arm.target, *_harmonic(arm.schedule)]) for arm in read_arms
    ]
    return {"env": env, "seed": seed, "arms": ",".join(texts)}


def _harmonic(schedule: str) -> list[str]:
    return [schedule] if schedule == "harmonic" else []


def _checked(kind: type[Parameters], values: Mapping[str, Any]) -> None:
    """Raise ConfigError if a value does not fit its declaration."""
    try:
        read(kind, msgspec.to_builtins(dict(values)))
    except BadParameter as error:
        raise ConfigError(str(error)) from None
