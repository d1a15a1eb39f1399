"""What a live agent shows: each arm's greedy policy playing in real time, on the same episodes for all arms."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from softstep.envs import EnvSpec, make_gymnasium
from softstep.explorer.live.scenes import SCENES
from softstep.policies.policy import Policy
from softstep.training.evaluation import evaluation_seeds
from softstep.training.trainer import Trainer

REFRESH_SECONDS = 0.2
"""Time between two readings of the networks that play."""

SHOWN_RETURNS = 20
"""Number of training episodes in the mean return that is shown."""


class EpisodePlayer:
    """One arm's environment and the episode being played in it."""

    def __init__(self, spec: EnvSpec) -> None:
        self._env, self._scene = make_gymnasium(spec), SCENES[spec.name]
        self._episode, self.total, self.ended = -1, 0.0, True
        self.action: Any = None
        """The action that led to the present state; None after a reset."""
        self.observation = np.zeros(spec.observation_size, np.float32)

    def restart(self) -> None:
        """Start over: the next episode is the first."""
        self._episode, self.ended = -1, True

    def step(self, act: Callable[[np.ndarray], Any]) -> None:
        """Take the action that `act` chooses; if the episode has ended, reset to the next one instead."""
        if self.ended:
            self._episode += 1
            (seed,) = evaluation_seeds(self._episode, 1)
            self.observation, _ = self._env.reset(seed=seed)
            self.total, self.action, self.ended = 0.0, None, False
            return
        self.action = act(self.observation)
        self.observation, reward, terminated, truncated, _ = self._env.step(self.action)
        self.total += float(reward)
        self.ended = bool(terminated or truncated)

    def scene(self) -> dict[str, Any]:
        """Return what the browser needs to draw the environment."""
        drawn = self._scene.describe(self._env.unwrapped, self.action)
        return drawn | {"return": self.total, "episode": self._episode, "ended": self.ended}


class PolicyDisplay:
    """The players of all arms, and the frames that show them."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._players = [EpisodePlayer(trainer.spec) for _ in trainer.block.agents]
        self._steps_per_second = SCENES[trainer.spec.name].steps_per_second
        self._rates: deque[tuple[int, float]] = deque(maxlen=40)
        self.restart()

    def restart(self) -> None:
        """Start over with the first episode and the current networks."""
        self._next_frame, self._next_refresh, self._unplayed = 0.0, 0.0, 0.0
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
        self._unplayed += seconds * self._steps_per_second
        steps = int(self._unplayed + 1e-9)  # sums of frames that end at a step may fall short of it by rounding
        self._unplayed -= steps
        self._play(steps)
        trainer = self._trainer
        trained, spent = (sum(column) for column in zip(*self._rates, strict=True)) if self._rates else (0, 0.0)
        means = trainer.history.episodes.train_returns(SHOWN_RETURNS).tolist()
        return {
            "env_steps": trainer.env_steps,
            "gradient_steps": trainer.gradient_steps,
            "steps_per_second": round(trained / spent) if spent else 0,
            "arms": [self._arm_frame(w, mean) for w, mean in enumerate(means)],
        }

    def _arm_frame(self, w: int, mean: float) -> dict[str, Any]:
        """Return the part of the frame for arm number `w`, whose training return is `mean`."""
        agent, player = self._trainer.agents[w], self._players[w]
        values, action = choice(self._policies[w], player.observation)
        return {
            "name": agent.arm,
            "learning_rate": agent.learning_rate,
            "tau": agent.target.tau_at(max(1, self._trainer.gradient_steps)),
            "period": agent.target.period,
            "episodes": int(self._trainer.driver.statistics.episodes[w]),
            "return": None if np.isnan(mean) else mean,
            "q_values": [float(v) if np.isfinite(v) else None for v in values],
            "action": action,
            "diverged": not bool(np.isfinite(values).all()),
            "scene": player.scene(),
        }

    def _play(self, steps: int) -> None:
        self._refresh()
        for _ in range(steps):
            for player, policy in zip(self._players, self._policies, strict=True):
                player.step(policy)

    def _refresh(self) -> None:
        """Read the networks' parameters again, unless they were read less than `REFRESH_SECONDS` ago."""
        if (now := time.monotonic()) >= self._next_refresh:
            self._next_refresh = now + REFRESH_SECONDS
            self._policies = current_policies(self._trainer)


def current_policies(trainer: Trainer) -> list[Policy]:
    """Return the greedy policies of the agents with their present networks; an actor's has the critics too."""
    learner, online = trainer.block.learner, trainer.driver.state.learner.online
    acting = [np.asarray(leaf) for leaf in learner.acting_parameters(online)]
    critics = [np.asarray(leaf) for leaf in online.critics] if trainer.config.continuous else []
    return [
        Policy(
            agent, trainer.spec, learner.network, tuple(leaf[w] for leaf in acting), trainer.config.hidden,
            learner.head, tuple(leaf[w] for leaf in critics),
        )
        for w, agent in enumerate(trainer.agents)
    ]  # fmt: skip


def choice(policy: Policy, observation: Any) -> tuple[np.ndarray, int | list[float]]:
    """Return the values from which the greedy action follows, and that action, as the environment takes it.

    The values are Q(s, ·), shape (A,), or, of an actor's action a, the one number min_i Q_i(s, a).
    """
    if policy.spec.action_bounds is None:
        values = policy.q_values(observation)
        return values, policy.spec.first_action + int(values.argmax())
    return np.array([policy.value(observation)]), policy(observation).tolist()
