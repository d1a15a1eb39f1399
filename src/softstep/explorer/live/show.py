"""What a live agent shows: every arm's greedy policy playing in real time, on episodes common to all arms."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import gymnasium
import numpy as np

from softstep.training.evaluation import evaluation_seeds, host_q_values
from softstep.training.loop import Trainer

LIVE_ENVS = ("CartPole-v1", "LunarLander-v3")
"""What can be drawn in the browser, and so trained live."""

STEPS_PER_SECOND = 50
"""Of play: both environments' own pace."""

REFRESH_SECONDS = 0.2
"""Between two readings of the networks that play."""

SHOWN_RETURNS = 20
"""Training episodes whose mean is shown."""


class Stage:
    """One arm's environment, and the episode that runs in it."""

    def __init__(self, name: str) -> None:
        self._env, self._name = gymnasium.make(name), name
        self._number, self.total, self.action, self.ended = -1, 0.0, 0, True
        self.observation = np.zeros(self._env.observation_space.shape or (1,), np.float32)

    def restart_from(self) -> None:
        """The next episode shown is the first."""
        self._number, self.ended = -1, True

    def step(self, values: np.ndarray) -> None:
        """Act greedily; after an end, begin the next episode."""
        if self.ended:
            self._number += 1
            (seed,) = evaluation_seeds(self._number, 1)
            self.observation, _ = self._env.reset(seed=seed)
            self.total, self.ended = 0.0, False
            return
        self.action = int(np.argmax(values))
        self.observation, reward, terminated, truncated, _ = self._env.step(self.action)
        self.total += float(reward)
        self.ended = bool(terminated or truncated)

    def picture(self) -> dict[str, Any]:
        """What the browser needs to draw."""
        body = _lander(self._env.unwrapped) if self._name == "LunarLander-v3" else _cart_pole(self.observation)
        return body | {"action": self.action, "return": self.total, "episode": self._number, "ended": self.ended}


def _lander(env: Any) -> dict[str, Any]:
    """Metres, y upwards: the craft, its legs and the ground."""

    def pose(body: Any) -> list[float]:
        return [round(body.position.x, 3), round(body.position.y, 3), round(body.angle, 4)]

    ground = [[round(float(v), 3) for v in polygon[0]] for polygon in env.sky_polys]
    ground.append([round(float(v), 3) for v in env.sky_polys[-1][1]])
    pad = [round(env.helipad_x1, 3), round(env.helipad_x2, 3), round(env.helipad_y, 3)]
    legs = [[*pose(leg), bool(leg.ground_contact)] for leg in env.legs]
    return {"craft": pose(env.lander), "legs": legs, "ground": ground, "pad": pad}


def _cart_pole(observation: np.ndarray) -> dict[str, Any]:
    """Metres and radians."""
    return {"cart": round(float(observation[0]), 4), "pole": round(float(observation[2]), 4)}


class Show:
    """All arms' stages."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._stages = [Stage(trainer.config.env) for _ in trainer.block.agents]
        self._rates: deque[tuple[int, float]] = deque(maxlen=40)
        self.restart_from()

    def restart_from(self) -> None:
        """From the first episode on, with the networks of now."""
        self._next_frame, self._next_refresh = 0.0, 0.0
        self._rates.clear()
        for stage in self._stages:
            stage.restart_from()
        self._act(1)

    def rate_seen(self, env_steps: int, seconds: float) -> None:
        """So many environment steps of each arm took so long."""
        self._rates.append((env_steps, seconds))

    def due(self, period: float) -> bool:
        """Whether it is time for the next picture."""
        now = time.monotonic()
        if now < self._next_frame:
            return False
        self._next_frame = max(self._next_frame + period, now - period)
        return True

    def frame(self, seconds: float) -> dict[str, Any]:
        """Play on for `seconds`; the picture of all arms."""
        self._act(round(seconds * STEPS_PER_SECOND))
        trainer, values = self._trainer, self._values()
        steps, spent = (sum(column) for column in zip(*self._rates, strict=True)) if self._rates else (0, 0.0)
        return {
            "env_steps": trainer.env_steps,
            "gradient_steps": trainer.gradient_steps,
            "steps_per_second": round(steps / spent) if spent else 0,
            "arms": [self._arm(w, values[w]) for w in range(len(self._stages))],
        }

    def _arm(self, w: int, values: np.ndarray) -> dict[str, Any]:
        agent, history = self._trainer.agents[w], self._trainer.history
        mean = history.episodes.train_return(w, SHOWN_RETURNS)
        return {
            "name": agent.arm,
            "learning_rate": agent.learning_rate,
            "tau": agent.target.tau,
            "period": agent.target.period,
            "episodes": int(self._trainer.driver.statistics.episodes[w]),
            "return": None if np.isnan(mean) else mean,
            "q_values": [float(v) if np.isfinite(v) else None for v in values],
            "diverged": not bool(np.isfinite(values).all()),
            "scene": self._stages[w].picture(),
        }

    def _act(self, steps: int) -> None:
        self._refresh()
        for _ in range(steps):
            for stage, values in zip(self._stages, self._values(), strict=True):
                stage.step(values)

    def _refresh(self) -> None:
        if (now := time.monotonic()) < self._next_refresh:
            return
        self._next_refresh = now + REFRESH_SECONDS
        trainer = self._trainer
        online = trainer.driver.state.learner.online
        self._network = host_q_values(trainer.config, trainer.block, trainer.spec, online)

    def _values(self) -> np.ndarray:
        """Action values (W, A) of what every arm sees."""
        seen = np.stack([np.asarray(stage.observation, np.float32).ravel() for stage in self._stages])
        return self._network(seen[:, None])[:, 0]
