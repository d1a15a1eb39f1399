"""A plain environment that counts its steps; tests derive environments with one bad habit each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np


class Counting(gymnasium.Env[Any, Any]):
    """Observes (t, last action, a number drawn at reset); ends after `last` steps."""

    space: gymnasium.Space[Any] = gymnasium.spaces.Box(-100, 100, (3,), np.float32)
    actions: gymnasium.Space[Any] = gymnasium.spaces.Discrete(2)
    last = 7

    def __init__(self) -> None:
        self.observation_space, self.action_space = self.space, self.actions
        self.t, self.episodes = 0, 0

    def look(self) -> Any:
        return np.array([self.t, self.a, self.start], np.float32)

    def pay(self, action: Any) -> Any:
        return 1.0 if action == self.t % 2 else 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t, self.a, self.start = 0, 0, float(self.np_random.normal())
        self.episodes += 1
        return self.look(), {}

    def step(self, action: Any) -> Any:
        reward = self.pay(action)
        self.t, self.a = self.t + 1, int(action)
        return self.look(), reward, self.t >= self.last, False, {}


def named(name: str, limit: int | None = None) -> Callable[[type], type]:
    """Register the class that follows as NAME-v0."""

    def register(cls: type) -> type:
        gymnasium.register(f"{name}-v0", cls, max_episode_steps=limit)
        return cls

    return register


named("Counting")(Counting)
