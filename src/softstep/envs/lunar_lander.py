"""Gymnasium's Lunar Lander with a leaner step: the same calls of Box2D with the same numbers.

What is left out is Python around them: NumPy's uniform draws and square roots of single numbers, vectors indexed one
number at a time, branches for rendering, wind and continuous actions. Observations, rewards and ends are equal bit for
bit to those of Gymnasium 1.3.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium.envs.box2d import lunar_lander as original
from gymnasium.envs.box2d.lunar_lander import (
    FPS,
    LEG_DOWN,
    MAIN_ENGINE_POWER,
    MAIN_ENGINE_Y_LOCATION,
    SCALE,
    SIDE_ENGINE_AWAY,
    SIDE_ENGINE_HEIGHT,
    SIDE_ENGINE_POWER,
    VIEWPORT_H,
    VIEWPORT_W,
)

HALF_WIDTH, HALF_HEIGHT = VIEWPORT_W / SCALE / 2, VIEWPORT_H / SCALE / 2


class LunarLander(original.LunarLander):
    """Discrete actions, no wind, no pictures."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of 1/50 s."""
        lander: Any = self.lander
        main_power = side_power = 0.0
        angle = lander.angle
        sin, cos = math.sin(angle), math.cos(angle)
        draw = self.np_random.random  # uniform(-1, 1) is -1 + 2·random()
        along, across = (-1.0 + 2.0 * draw()) / SCALE, (-1.0 + 2.0 * draw()) / SCALE
        if action == 2:
            main_power = 1.0
            thrust = MAIN_ENGINE_Y_LOCATION / SCALE + 2 * along
            ox = sin * thrust + -cos * across
            oy = -cos * thrust - sin * across
            at = lander.position
            lander.ApplyLinearImpulse((-ox * MAIN_ENGINE_POWER, -oy * MAIN_ENGINE_POWER), (at.x + ox, at.y + oy), True)
        elif action in (1, 3):
            side_power = 1.0
            thrust = 3 * across + (action - 2) * SIDE_ENGINE_AWAY / SCALE
            ox = sin * along + -cos * thrust
            oy = -cos * along - sin * thrust
            at = lander.position
            place = at.x + ox - sin * 17 / SCALE, at.y + oy + cos * SIDE_ENGINE_HEIGHT / SCALE
            lander.ApplyLinearImpulse((-ox * SIDE_ENGINE_POWER, -oy * SIDE_ENGINE_POWER), place, True)
        self.world.Step(1.0 / FPS, 6 * 30, 2 * 30)
        at, velocity = lander.position, lander.linearVelocity
        x = (at.x - HALF_WIDTH) / HALF_WIDTH
        y = (at.y - (self.helipad_y + LEG_DOWN / SCALE)) / HALF_HEIGHT
        vx, vy = velocity.x * HALF_WIDTH / FPS, velocity.y * HALF_HEIGHT / FPS
        angle = lander.angle
        left_leg, right_leg = self.legs
        left, right = 1.0 if left_leg.ground_contact else 0.0, 1.0 if right_leg.ground_contact else 0.0
        distance, speed = math.sqrt(x * x + y * y), math.sqrt(vx * vx + vy * vy)
        shaping = -100 * distance - 100 * speed - 100 * abs(angle) + 10 * left + 10 * right
        reward = 0.0 if self.prev_shaping is None else shaping - self.prev_shaping
        self.prev_shaping = shaping
        reward -= main_power * 0.30
        reward -= side_power * 0.03
        terminated = False
        if self.game_over or abs(x) >= 1.0:
            terminated, reward = True, -100.0
        if not lander.awake:
            terminated, reward = True, 100.0
        state = np.array((x, y, vx, vy, angle, 20.0 * lander.angularVelocity / FPS, left, right), np.float32)
        return state, reward, terminated, False, {}


def leaner(env: Any) -> Any:
    """The leaner environment in place of a Lunar Lander that it is equal to; any other environment as it is."""
    if type(env) is not original.LunarLander:
        return env
    if env.continuous or env.enable_wind or env.render_mode is not None:
        return env
    return LunarLander(gravity=env.gravity)
