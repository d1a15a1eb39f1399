"""Gymnasium's Lunar Lander with a faster step: the same calls of Box2D with the same numbers.

Only Python code around those calls is left out: NumPy's draws and square roots of single numbers, vectors indexed one
number at a time, contacts reported at every step, and branches for rendering, wind and continuous actions.
Observations, rewards and ends equal those of Gymnasium 1.3 bit for bit.
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

DRAWS = 64
"""Random numbers drawn at a time; a step uses two."""


class Contacts(original.ContactDetector):
    """Records what touches the ground; reads each of a contact's bodies from Box2D only once."""

    def BeginContact(self, contact: Any) -> None:
        """Record a leg that touches the ground, or end the game if the lander itself does."""
        env, bodies = self.env, (contact.fixtureA.body, contact.fixtureB.body)
        if env.lander in bodies:
            env.game_over = True
        for leg in env.legs:
            if leg in bodies:
                leg.ground_contact = True

    def EndContact(self, contact: Any) -> None:
        """Record a leg that leaves the ground, or an edge of it."""
        bodies = contact.fixtureA.body, contact.fixtureB.body
        for leg in self.env.legs:
            if leg in bodies:
                leg.ground_contact = False

    def PreSolve(self, contact: Any, manifold: Any) -> None:
        """Do nothing, without the inherited method's call of Box2D at every step of every contact."""

    def PostSolve(self, contact: Any, impulse: Any) -> None:
        """Do nothing, likewise."""


class LunarLander(original.LunarLander):
    """Lunar Lander with discrete actions, without wind and rendering."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._dispersions: list[float] = []
        """The engines' random dispersions for the next steps, in reverse order."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode."""
        if seed is None:
            generator: Any = self.np_random.bit_generator
            generator.advance(-len(self._dispersions))  # back to where Gymnasium's generator would be
        self._dispersions = []
        result = super().reset(seed=seed, options=options)
        self.world.contactListener_keepref = Contacts(self)  # Box2D itself holds no reference
        self.world.contactListener = self.world.contactListener_keepref
        return result

    def _draw_dispersions(self) -> list[float]:
        """Draw dispersions as Gymnasium does: uniform(-1, 1) is -1 + 2·random()."""
        self._dispersions = ((-1.0 + 2.0 * self.np_random.random(DRAWS)) / SCALE)[::-1].tolist()
        return self._dispersions

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Simulate 1/50 s; arguments and results are Gymnasium's."""
        lander: Any = self.lander
        main_power = side_power = 0.0
        angle = lander.angle
        sin, cos = math.sin(angle), math.cos(angle)
        dispersions = self._dispersions or self._draw_dispersions()
        along, across = dispersions.pop(), dispersions.pop()
        if action == 2:
            main_power = 1.0
            thrust = MAIN_ENGINE_Y_LOCATION / SCALE + 2 * along
            ox = sin * thrust + -cos * across
            oy = -cos * thrust - sin * across
            position = lander.position
            lander.ApplyLinearImpulse(
                (-ox * MAIN_ENGINE_POWER, -oy * MAIN_ENGINE_POWER), (position.x + ox, position.y + oy), True
            )
        elif action in (1, 3):
            side_power = 1.0
            thrust = 3 * across + (action - 2) * SIDE_ENGINE_AWAY / SCALE
            ox = sin * along + -cos * thrust
            oy = -cos * along - sin * thrust
            position = lander.position
            point = position.x + ox - sin * 17 / SCALE, position.y + oy + cos * SIDE_ENGINE_HEIGHT / SCALE
            lander.ApplyLinearImpulse((-ox * SIDE_ENGINE_POWER, -oy * SIDE_ENGINE_POWER), point, True)
        self.world.Step(1.0 / FPS, 6 * 30, 2 * 30)
        position, velocity = lander.position, lander.linearVelocity
        x = (position.x - HALF_WIDTH) / HALF_WIDTH
        y = (position.y - (self.helipad_y + LEG_DOWN / SCALE)) / HALF_HEIGHT
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


def fast_equivalent(env: Any) -> Any:
    """Return the faster `LunarLander` in place of Gymnasium's where the two are equal, else `env` itself."""
    if type(env) is not original.LunarLander:
        return env
    if env.continuous or env.enable_wind or env.render_mode is not None:
        return env
    return LunarLander(gravity=env.gravity)
