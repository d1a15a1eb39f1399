"""Small decision processes of the theory as environments with linear features, for which the truth is known.

An episode is one transition. Reset draws a state from d; the step leads to its successor and ends with a time limit,
so that the replay has the distribution d and every transition bootstraps. All rewards are 0.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import gymnasium
import numpy as np

from softstep.theory import problems
from softstep.theory.mdp import MDP


class Planted(gymnasium.Env):  # type: ignore[type-arg]
    """A Markov reward process with one transition per episode; observations are the features."""

    def __init__(self, problem: str) -> None:
        mdp = problems.by_name(problem).mdp
        assert isinstance(mdp, MDP)
        self._mdp = mdp
        size = mdp.phi.shape[1]
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(1)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._state = int(self.np_random.choice(len(self._mdp.d), p=self._mdp.d / self._mdp.d.sum()))
        return self._observation(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._state = int(self.np_random.choice(len(self._mdp.d), p=self._mdp.P[self._state]))
        return self._observation(), 0.0, False, True, {}

    def _observation(self) -> np.ndarray:
        return np.asarray(self._mdp.phi[self._state], np.float32)


for name in ("only_target", "target_destroys"):
    gymnasium.register(f"planted/{name}-v0", Planted, kwargs={"problem": name})


def linear(key: Any, observation_size: int, num_actions: int) -> eqx.nn.Linear:
    """Return a network without bias: Q(s) = φ(s)·θ."""
    return eqx.nn.Linear(observation_size, num_actions, use_bias=False, key=key)
