"""EnvPool environments (optional): C++ environments stepped many at once. Not exactly resumable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from softstep.envs.contract import EnvSpec, Step, episode_seed
from softstep.errors import ConfigError, near


def _envpool() -> Any:
    try:
        import envpool
    except ImportError:
        raise ConfigError("EnvPool is not installed: pip install 'softstep[envpool]'") from None
    return envpool


def describe(name: str) -> EnvSpec:
    """Check that EnvPool has the environment, with discrete actions and a vector to observe."""
    known = _envpool().list_all_envs()
    if name not in known:
        raise ConfigError(f"env = 'envpool:{name}' is not an environment of EnvPool{near(name, known)}")
    spec = _envpool().make_spec(name)
    if not hasattr(spec.action_space, "n"):
        raise ConfigError(f"env = 'envpool:{name}' has continuous actions: deep Q-learning needs Discrete ones")
    size = int(np.prod(spec.observation_space.shape))
    return EnvSpec(name, "envpool", size, int(spec.action_space.n), exactly_resumable=False)


class EnvPoolEnvs:
    """E EnvPool environments for each seed, all in one pool.

    EnvPool resets an ended environment on the *next* step, which ignores its action: that step is not `valid`.
    """

    def __init__(self, spec: EnvSpec, seeds: Sequence[int], num_envs: int) -> None:
        self.spec = spec
        self._shape = (len(seeds), num_envs)
        each = [episode_seed(seed, index, 0) for seed in seeds for index in range(num_envs)]
        self._pool = _envpool().make(spec.name, env_type="gymnasium", num_envs=len(each), seed=each, num_threads=1)
        observations, _ = self._pool.reset()
        self._resetting = np.zeros(self._shape, bool)
        self.observations = self._shaped(observations)

    def _shaped(self, observations: np.ndarray) -> np.ndarray:
        return observations.reshape(*self._shape, -1).astype(np.float32)

    def step(self, actions: np.ndarray, keys: Any = None) -> Step:
        """One call of the pool; where it only reset, the step is not valid."""
        out = self._pool.step(actions.ravel().astype(np.int32))
        observations, (rewards, terminated, truncated) = out[0], (a.reshape(self._shape) for a in out[1:4])
        valid = ~self._resetting
        self._resetting = (terminated | truncated) & valid
        self.observations = self._shaped(observations)
        terminated, truncated = terminated.astype(bool) & valid, truncated.astype(bool) & valid
        return Step(
            self.observations,
            np.where(valid, rewards, 0).astype(np.float32),
            terminated,
            truncated & ~terminated,
            some_ended=bool(self._resetting.any()),
            valid=valid,
        )

    def snapshot(self) -> dict[str, np.ndarray]:
        """Nothing: EnvPool's state cannot be saved; a resumed run starts new episodes."""
        return {}

    def restore(self, snapshot: dict[str, np.ndarray]) -> None:
        """Keep the new episodes."""

    def close(self) -> None:
        """Stop the pool."""
        self._pool.close()


class EnvPoolEvaluation:
    """One EnvPool environment for each agent and seed, each played for one episode."""

    def __init__(self, spec: EnvSpec, agents: int, seeds: Sequence[int]) -> None:
        self._shape = (agents, len(seeds))
        self._pool = _envpool().make(
            spec.name,
            env_type="gymnasium",
            num_envs=agents * len(seeds),
            seed=list(seeds) * agents,
            num_threads=1,
        )
        self.observations = self._pool.reset()[0].reshape(*self._shape, -1).astype(np.float32)

    def step(self, actions: np.ndarray, running: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Act everywhere; what is not `running` counts for nothing."""
        out = self._pool.step(actions.ravel().astype(np.int32))
        self.observations = out[0].reshape(*self._shape, -1).astype(np.float32)
        rewards, terminated, truncated = (a.reshape(self._shape) for a in out[1:4])
        return np.where(running, rewards, 0.0), (terminated | truncated) & running

    def close(self) -> None:
        """Stop the pool."""
        self._pool.close()
