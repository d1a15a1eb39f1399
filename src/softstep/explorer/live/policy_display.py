"""What a live agent shows: each arm's greedy policy playing in real time, on the same episodes for all arms."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import gymnasium
import numpy as np

from softstep.training.evaluation import evaluation_seeds, host_outputs
from softstep.training.trainer import Trainer

STEPS_PER_SECOND = 50
"""Environment steps played per second: the natural pace of both environments."""

REFRESH_SECONDS = 0.2
"""Time between two readings of the networks that play."""

SHOWN_RETURNS = 20
"""Number of training episodes in the mean return that is shown."""


class EpisodePlayer:
    """One arm's environment and the episode being played in it."""

    def __init__(self, env: str) -> None:
        self._env, self._env_name = gymnasium.make(env), env
        self._episode, self.total, self.action, self.ended = -1, 0.0, 0, True
        self.observation = np.zeros(self._env.observation_space.shape or (1,), np.float32)

    def restart(self) -> None:
        """Start over: the next episode is the first."""
        self._episode, self.ended = -1, True

    def step(self, q_values: np.ndarray) -> None:
        """Take the greedy action; if the episode has ended, reset to the next one instead."""
        if self.ended:
            self._episode += 1
            (seed,) = evaluation_seeds(self._episode, 1)
            self.observation, _ = self._env.reset(seed=seed)
            self.total, self.ended = 0.0, False
            return
        self.action = int(np.argmax(q_values))
        self.observation, reward, terminated, truncated, _ = self._env.step(self.action)
        self.total += float(reward)
        self.ended = bool(terminated or truncated)

    def scene(self) -> dict[str, Any]:
        """Return what the browser needs to draw the environment."""
        body = _lander(self._env.unwrapped) if self._env_name == "LunarLander-v3" else _cart_pole(self.observation)
        return body | {"action": self.action, "return": self.total, "episode": self._episode, "ended": self.ended}


def _lander(env: Any) -> dict[str, Any]:
    """Return the craft, its legs and the ground, in metres with y upwards, angles in radians."""

    def pose(body: Any) -> list[float]:
        return [round(body.position.x, 3), round(body.position.y, 3), round(body.angle, 4)]

    ground = [[round(float(v), 3) for v in polygon[0]] for polygon in env.sky_polys]
    ground.append([round(float(v), 3) for v in env.sky_polys[-1][1]])
    pad = [round(env.helipad_x1, 3), round(env.helipad_x2, 3), round(env.helipad_y, 3)]
    legs = [[*pose(leg), bool(leg.ground_contact)] for leg in env.legs]
    return {"craft": pose(env.lander), "legs": legs, "ground": ground, "pad": pad}


def _cart_pole(observation: np.ndarray) -> dict[str, Any]:
    """Return the cart's position in metres and the pole's angle in radians."""
    return {"cart": round(float(observation[0]), 4), "pole": round(float(observation[2]), 4)}


class PolicyDisplay:
    """The players of all arms, and the frames that show them."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._players = [EpisodePlayer(trainer.config.env) for _ in trainer.block.agents]
        self._rates: deque[tuple[int, float]] = deque(maxlen=40)
        self.restart()

    def restart(self) -> None:
        """Start over with the first episode and the current networks."""
        self._next_frame, self._next_refresh = 0.0, 0.0
        self._rates.clear()
        for player in self._players:
            player.restart()
        self._play(1)

    def add_rate(self, env_steps: int, seconds: float) -> None:
        """Note that training `env_steps` environment steps of each arm took `seconds`."""
        self._rates.append((env_steps, seconds))

    def is_due(self, period: float) -> bool:
        """Return whether it is time for the next frame, at one frame per `period` seconds."""
        now = time.monotonic()
        if now < self._next_frame:
            return False
        self._next_frame = max(self._next_frame + period, now - period)
        return True

    def frame(self, seconds: float) -> dict[str, Any]:
        """Play on for `seconds` of the environments' time and return the frame of all arms."""
        self._play(round(seconds * STEPS_PER_SECOND))
        trainer, q_values = self._trainer, self._q_values()
        steps, spent = (sum(column) for column in zip(*self._rates, strict=True)) if self._rates else (0, 0.0)
        return {
            "env_steps": trainer.env_steps,
            "gradient_steps": trainer.gradient_steps,
            "steps_per_second": round(steps / spent) if spent else 0,
            "arms": [self._arm_frame(w, q_values[w]) for w in range(len(self._players))],
        }

    def _arm_frame(self, w: int, q_values: np.ndarray) -> dict[str, Any]:
        """Return the part of the frame for arm number `w`."""
        agent, history = self._trainer.agents[w], self._trainer.history
        mean = history.episodes.train_return(w, SHOWN_RETURNS)
        return {
            "name": agent.arm,
            "learning_rate": agent.learning_rate,
            "tau": agent.target.tau,
            "period": agent.target.period,
            "episodes": int(self._trainer.driver.statistics.episodes[w]),
            "return": None if np.isnan(mean) else mean,
            "q_values": [float(v) if np.isfinite(v) else None for v in q_values],
            "diverged": not bool(np.isfinite(q_values).all()),
            "scene": self._players[w].scene(),
        }

    def _play(self, steps: int) -> None:
        self._refresh()
        for _ in range(steps):
            for player, q_values in zip(self._players, self._q_values(), strict=True):
                player.step(q_values)

    def _refresh(self) -> None:
        """Read the networks' parameters again, unless they were read less than `REFRESH_SECONDS` ago."""
        if (now := time.monotonic()) < self._next_refresh:
            return
        self._next_refresh = now + REFRESH_SECONDS
        trainer = self._trainer
        online = trainer.driver.state.learner.online
        self._network = host_outputs(trainer.config, trainer.block, online)

    def _q_values(self) -> np.ndarray:
        """Return the action values (W, A) of every arm at its player's observation."""
        observations = np.stack([np.asarray(player.observation, np.float32).ravel() for player in self._players])
        return self._network(observations[:, None])[:, 0]
