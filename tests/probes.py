"""Probe environments: some have action values in closed form, others record, fail or return lists."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


class _Probe(gymnasium.Env[np.ndarray, int]):
    """Base of the probes: two equivalent actions and a constant observation, unless overridden."""

    action_space = gymnasium.spaces.Discrete(2)
    observation_space = gymnasium.spaces.Box(-1e6, 1e6, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.t = 0
        return self.observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.t += 1
        reward, terminated = self.outcome(action)
        return self.observe(), reward, terminated, False, {}

    def observe(self) -> np.ndarray:
        return np.ones(1, np.float32)

    def outcome(self, action: int) -> tuple[float, bool]:
        """Return the reward of the current step and whether it terminates the episode."""
        raise NotImplementedError


class Constant(_Probe):
    """One step, reward 1: Q = 1."""

    def outcome(self, action: int) -> tuple[float, bool]:
        return 1.0, True


class Sign(_Probe):
    """One step; the reward is the observation, +1 or −1: Q(s) = s."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        gymnasium.Env.reset(self, seed=seed)
        self.sign = float(self.np_random.choice([-1, 1]))
        return self.observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return self.observe(), self.sign, True, False, {}

    def observe(self) -> np.ndarray:
        return np.array([self.sign], np.float32)


class Choice(_Probe):
    """One step; the reward is the action: Q(a) = a."""

    def outcome(self, action: int) -> tuple[float, bool]:
        return float(action), True


class TwoStep(_Probe):
    """Reward 0, then 1: Q(first) = γ, Q(second) = 1."""

    def observe(self) -> np.ndarray:
        return np.array([self.t], np.float32)

    def outcome(self, action: int) -> tuple[float, bool]:
        return float(self.t == 2), self.t == 2


class Endless(_Probe):
    """Reward 1 at every step with a constant observation: Q = 1/(1 − γ), for any time limit."""

    def outcome(self, action: int) -> tuple[float, bool]:
        return 1.0, False


class Clock(_Probe):
    """Reward 1 at every step; observes the one-hot time since the reset, so that a time limit is predictable."""

    observation_space = gymnasium.spaces.Box(0, 1, (4,), np.float32)

    def observe(self) -> np.ndarray:
        return np.eye(4, dtype=np.float32)[self.t]

    def outcome(self, action: int) -> tuple[float, bool]:
        return 1.0, False


class Recorder(gymnasium.Env[np.ndarray, int]):
    """Observes (number of its resets, time since the last reset); action 3 ends the episode."""

    action_space = gymnasium.spaces.Discrete(4)
    observation_space = gymnasium.spaces.Box(-1e6, 1e6, (2,), np.float32)
    resets = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.resets, self.t, self.ended = self.resets + 1, 0, False
        return np.array([self.resets, 0], np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if self.ended:
            raise RuntimeError("step was called after the episode had ended; call reset first")
        self.t, self.ended = self.t + 1, action == 3
        return np.array([self.resets, self.t], np.float32), float(self.t), self.ended, False, {}


class Faulty(_Probe):
    """Raises in the middle of an episode, at step `failing_step`."""

    failing_step = 90

    def outcome(self, action: int) -> tuple[float, bool]:
        if self.t == self.failing_step:
            raise ArithmeticError("the probe breaks")
        return 0.0, False


class Broken(Faulty):
    """Raises at the first step."""

    failing_step = 1


class Listed(_Probe):
    """Observes a plain list of Python numbers."""

    def observe(self) -> Any:
        return [float(self.t)]

    def outcome(self, action: int) -> tuple[float, bool]:
        return 1.0, self.t == 9


LIMITS = {"Endless": 3, "Clock": 3, "Recorder": 5}
for probe in (Constant, Sign, Choice, TwoStep, Endless, Clock, Recorder, Faulty, Broken, Listed):
    gymnasium.register(f"{probe.__name__}Probe-v0", probe, max_episode_steps=LIMITS.get(probe.__name__))
