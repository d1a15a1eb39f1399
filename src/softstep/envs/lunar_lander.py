"""Gymnasium's Lunar Lander with a faster step: the same calls of Box2D with the same numbers.

Only Python code around those calls is left out: NumPy's draws and square roots of single numbers, vectors indexed one
number at a time, contacts reported at every step, and branches for rendering and wind.
Observations, rewards and ends equal those of Gymnasium 1.3 bit for bit.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.abc
import importlib.util
import math
import sys
from collections.abc import Mapping
from types import FunctionType, GetSetDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gymnasium.envs.box2d.lunar_lander import ContactDetector as _ContactDetector
    from gymnasium.envs.box2d.lunar_lander import LunarLander as _Original
else:  # Gymnasium's module imports Box2D, which only the lander needs
    _ContactDetector = _Original = object

MODULE = "gymnasium.envs.box2d.lunar_lander"
"""Gymnasium's module of the lander."""

SOURCE_HASH = "1935836fc6395a9f20a700211de62d73450657b12ac34ee2d2be377cdbc2a14d"
"""SHA-256 of that module's source in Gymnasium 1.3, from which the steps and constants below are taken."""

FPS, SCALE = 50, 30.0
MAIN_ENGINE_POWER, MAIN_ENGINE_Y_LOCATION = 13.0, 4
SIDE_ENGINE_POWER, SIDE_ENGINE_HEIGHT, SIDE_ENGINE_AWAY = 0.6, 14, 12
LEG_DOWN = 18
VIEWPORT_W, VIEWPORT_H = 600, 400

HALF_WIDTH, HALF_HEIGHT = VIEWPORT_W / SCALE / 2, VIEWPORT_H / SCALE / 2

ENGINES = ((0.0, 0.0, 0), (0.0, 1.0, -1), (1.0, 0.0, 0), (0.0, 1.0, 1))
"""What each discrete action asks of the engines: power of the main one, power and direction of the side ones."""

DRAWS = 64
"""Random numbers drawn at a time; a step uses two."""


class FasterContacts(_ContactDetector):
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


class FasterSteps(_Original):
    """Lunar Lander without wind and rendering; `faster_lander` puts it before Gymnasium's."""

    contact_detector: type[FasterContacts]

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
        self.world.contactListener_keepref = self.contact_detector(self)  # Box2D itself holds no reference
        self.world.contactListener = self.world.contactListener_keepref
        return result

    def _draw_dispersions(self) -> list[float]:
        """Draw dispersions as Gymnasium does: uniform(-1, 1) is -1 + 2·random()."""
        self._dispersions = ((-1.0 + 2.0 * self.np_random.random(DRAWS)) / SCALE)[::-1].tolist()
        return self._dispersions

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Simulate 1/50 s; arguments and results are Gymnasium's."""
        lander: Any = self.lander
        main_power, side_power, direction = throttles(action) if self.continuous else ENGINES[action]
        angle = lander.angle
        sin, cos = math.sin(angle), math.cos(angle)
        dispersions = self._dispersions or self._draw_dispersions()
        along, across = dispersions.pop(), dispersions.pop()
        if main_power:
            thrust = MAIN_ENGINE_Y_LOCATION / SCALE + 2 * along
            ox = sin * thrust + -cos * across
            oy = -cos * thrust - sin * across
            position = lander.position
            impulse = -ox * MAIN_ENGINE_POWER * main_power, -oy * MAIN_ENGINE_POWER * main_power
            lander.ApplyLinearImpulse(impulse, (position.x + ox, position.y + oy), True)
        if side_power:
            thrust = 3 * across + direction * SIDE_ENGINE_AWAY / SCALE
            ox = sin * along + -cos * thrust
            oy = -cos * along - sin * thrust
            position = lander.position
            point = position.x + ox - sin * 17 / SCALE, position.y + oy + cos * SIDE_ENGINE_HEIGHT / SCALE
            impulse = -ox * SIDE_ENGINE_POWER * side_power, -oy * SIDE_ENGINE_POWER * side_power
            lander.ApplyLinearImpulse(impulse, point, True)
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


def throttles(action: np.ndarray) -> tuple[float, float, int]:
    """Return what a continuous action (2,) asks of the engines, in the order of `ENGINES`.

    The main engine runs at half its power or more, or not at all; so do the side engines, from ±0.5 on.
    """
    main, side = action.tolist()
    main_power = (min(main, 1.0) + 1.0) * 0.5 if main > 0.0 else 0.0
    side_power = min(abs(side), 1.0) if abs(side) > 0.5 else 0.0
    return main_power, side_power, 1 if side > 0.0 else -1


def fast_equivalent(env: Any) -> Any:
    """Return the faster lander in place of Gymnasium's where the two are equal, else `env` itself."""
    module = sys.modules.get(MODULE)
    if module is None or type(env) is not getattr(module, "LunarLander", None):
        return env
    if env.enable_wind or env.render_mode is not None:
        return env
    if not (_is_genuine(module) and _is_as_constructed(env)):
        return env
    return faster_lander()(gravity=env.gravity, continuous=env.continuous)


@functools.cache
def faster_lander() -> type[FasterSteps]:
    """Return the class of the faster lander, a subclass of Gymnasium's."""
    original = importlib.import_module(MODULE)
    contacts = type("Contacts", (FasterContacts, original.ContactDetector), {})
    return type("LunarLander", (FasterSteps, original.LunarLander), {"contact_detector": contacts})


@functools.cache
def _shipped() -> ModuleType | None:
    """Return Gymnasium's module executed anew from its file, or None if the source is not the one known here."""
    spec = importlib.util.find_spec(MODULE)
    if spec is None or spec.origin is None or not isinstance(spec.loader, importlib.abc.InspectLoader):
        return None
    source = spec.loader.get_source(MODULE)
    if source is None or hashlib.sha256(source.encode()).hexdigest() != SOURCE_HASH:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _is_genuine(module: ModuleType) -> bool:
    """Return whether the module's constants, functions and classes are those that Gymnasium ships."""
    shipped = _shipped()
    return shipped is not None and _same_names(_own(vars(module)), _own(vars(shipped)))


def _own(names: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a module's names without those that Python gives to every module."""
    return {name: value for name, value in names.items() if not name.startswith("__")}


def _same_names(present: Mapping[str, Any], shipped: Mapping[str, Any]) -> bool:
    return present.keys() == shipped.keys() and all(_same(present[name], shipped[name]) for name in shipped)


def _same(present: Any, shipped: Any) -> bool:
    """Return whether two values mean the same: functions of the same code, classes of the same contents."""
    if present is shipped:
        return True
    if type(present) is not type(shipped):
        return False
    if isinstance(shipped, FunctionType):
        return (present.__code__, present.__defaults__, present.__kwdefaults__) == (
            shipped.__code__,
            shipped.__defaults__,
            shipped.__kwdefaults__,
        )
    if isinstance(shipped, type):
        ours = shipped.__module__ == MODULE
        return ours and _foreign_bases(present) == _foreign_bases(shipped) and _same_names(vars(present), vars(shipped))
    if isinstance(shipped, GetSetDescriptorType):  # `__dict__` and `__weakref__` of a class
        return True
    return isinstance(shipped, (int, float, str, list, tuple, dict, type(None))) and present == shipped


def _foreign_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if base.__module__ != MODULE]


_WITHOUT_WIND = {"wind_power", "turbulence_power"}
"""Attributes that mean nothing without wind."""


def _is_as_constructed(env: Any) -> bool:
    """Return whether nobody has changed the lander since it was constructed."""
    fresh = vars(type(env)(gravity=env.gravity, continuous=env.continuous))
    given = {k: v for k, v in vars(env).items() if k != "spec"}
    plain = {k for k, v in fresh.items() if isinstance(v, (bool, int, float, str, type(None)))} - _WITHOUT_WIND
    unchanged = given.keys() == fresh.keys() and all(_same(given[name], fresh[name]) for name in plain)
    return unchanged and bool(given["action_space"] == fresh["action_space"])  # `continuous` may have been switched
