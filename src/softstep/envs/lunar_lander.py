"""Gymnasium's Lunar Lander with a leaner step: the same calls of Box2D with the same numbers.

What is left out is Python around them: NumPy's draws and square roots of single numbers, vectors indexed one number at
a time, contacts reported at every step, branches for rendering, wind and continuous actions. Observations, rewards and
ends are equal bit for bit to those of Gymnasium 1.3.
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

DRAWN_AHEAD = 64
"""Random numbers drawn at a time; a step takes two."""


class Contacts(original.ContactDetector):
    """Who touches the ground; each of a contact's bodies is asked for once."""

    def BeginContact(self, contact: Any) -> None:
        """Something touches the ground: a leg, or what must not."""
        env, bodies = self.env, (contact.fixtureA.body, contact.fixtureB.body)
        if env.lander in bodies:
            env.game_over = True
        for leg in env.legs:
            if leg in bodies:
                leg.ground_contact = True

    def EndContact(self, contact: Any) -> None:
        """A leg leaves the ground, or an edge of it."""
        bodies = contact.fixtureA.body, contact.fixtureB.body
        for leg in self.env.legs:
            if leg in bodies:
                leg.ground_contact = False

    def PreSolve(self, contact: Any, manifold: Any) -> None:
        """Nothing, where the inherited one calls Box2D to do nothing, at every step of every contact."""

    def PostSolve(self, contact: Any, impulse: Any) -> None:
        """Nothing."""


class LunarLander(original.LunarLander):
    """Discrete actions, no wind, no pictures."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._drawn: list[float] = []
        """Dispersions of the engines to come, the next one last."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode."""
        if seed is None:
            generator: Any = self.np_random.bit_generator
            generator.advance(-len(self._drawn))  # back to where Gymnasium's would be
        self._drawn = []
        begun = super().reset(seed=seed, options=options)
        self.world.contactListener_keepref = Contacts(self)  # Box2D does not
        self.world.contactListener = self.world.contactListener_keepref
        return begun

    def _draw(self) -> list[float]:
        """Dispersions: uniform(-1, 1) is -1 + 2·random()."""
        self._drawn = ((-1.0 + 2.0 * self.np_random.random(DRAWN_AHEAD)) / SCALE)[::-1].tolist()
        return self._drawn

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of 1/50 s."""
        lander: Any = self.lander
        main_power = side_power = 0.0
        angle = lander.angle
        sin, cos = math.sin(angle), math.cos(angle)
        drawn = self._drawn or self._draw()
        along, across = drawn.pop(), drawn.pop()
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
