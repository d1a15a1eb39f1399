"""What the browser needs to draw each environment: positions in metres with y upwards, angles in radians."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from softstep.envs.lunar_lander import ENGINES, throttles


class Scene(NamedTuple):
    """How an environment is shown."""

    steps_per_second: int
    """Its own pace: 1 / the time that one step simulates."""
    describe: Callable[[Any, Any], dict[str, Any]]
    """(environment without wrappers, the action that led here or None after a reset) → what to draw."""


def _cart_pole(env: Any, action: int | None) -> dict[str, Any]:
    """Return the cart's position, the pole's angle, and the push: −1 to the left, 1 to the right, 0 none."""
    push = 0 if action is None else 2 * action - 1
    return {"cart": round(float(env.state[0]), 4), "pole": round(float(env.state[2]), 4), "push": push}


def _pendulum(env: Any, action: Any) -> dict[str, Any]:
    """Return the pendulum's angle, 0 when it stands upright, and the torque in N·m; both counterclockwise."""
    torque = 0.0 if action is None else float(action[0])
    return {"angle": round(math.remainder(float(env.state[0]), 2 * math.pi), 4), "torque": round(torque, 4)}


def _lander(env: Any, action: Any) -> dict[str, Any]:
    """Return the craft, its legs, the ground, the pad and the engines' power."""

    def pose(body: Any) -> list[float]:
        return [round(body.position.x, 3), round(body.position.y, 3), round(body.angle, 4)]

    ground = [[round(float(v), 3) for v in polygon[0]] for polygon in env.sky_polys]
    ground.append([round(float(v), 3) for v in env.sky_polys[-1][1]])
    pad = [round(env.helipad_x1, 3), round(env.helipad_x2, 3), round(env.helipad_y, 3)]
    legs = [[*pose(leg), bool(leg.ground_contact)] for leg in env.legs]
    main, side, direction = (
        (0.0, 0.0, 0) if action is None else throttles(action) if env.continuous else ENGINES[action]
    )
    engines = [round(main, 3), round(side * direction, 3)]
    return {"craft": pose(env.lander), "legs": legs, "ground": ground, "pad": pad, "engines": engines}


SCENES = {
    "CartPole-v1": Scene(50, _cart_pole),
    "LunarLander-v3": Scene(50, _lander),
    "Pendulum-v1": Scene(20, _pendulum),
}
"""The scene of each environment that can be trained live, by the name of its `EnvSpec`."""
