"""EnvPool environments (optional): C++ environments, many stepped in one call. Not exactly resumable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from softstep.envs.checks import check_finite
from softstep.envs.contract import EVALUATION_INSTANCES, EnvSpec, Step, episode_seed
from softstep.errors import ConfigError, near
from softstep.extras import required_by


def _import_envpool() -> Any:
    with required_by("an environment envpool:ID"):
        import envpool
    return envpool


def describe(name: str) -> EnvSpec:
    """Check that EnvPool has the environment, with discrete actions, and return its fixed properties."""
    known = _import_envpool().list_all_envs()
    if name not in known:
        raise ConfigError(f"env = 'envpool:{name}' is not an environment of EnvPool{near(name, known)}")
    spec = _import_envpool().make_spec(name)
    if not hasattr(spec.action_space, "n"):
        raise ConfigError(f"env = 'envpool:{name}' has continuous actions: deep Q-learning needs Discrete ones")
    size = int(np.prod(spec.observation_space.shape))
    return EnvSpec(name, "envpool", size, int(spec.action_space.n), exactly_resumable=False)


class EnvPoolEnvs:
    """E EnvPool environments for each agent's seed, all in one pool.

    EnvPool resets an ended environment on the *next* step, which ignores its action: that step is not `valid`.
    """

    def __init__(self, spec: EnvSpec, seeds: Sequence[int], num_envs: int) -> None:
        self.spec = spec
        self._shape = (len(seeds), num_envs)
        env_seeds = [episode_seed(seed, index, 0) for seed in seeds for index in range(num_envs)]
        self._pool = _import_envpool().make(
            spec.name, env_type="gymnasium", num_envs=len(env_seeds), seed=env_seeds, num_threads=1
        )
        observations, _ = self._pool.reset()
        self._resetting = np.zeros(self._shape, bool)
        self.observations = self._shaped(observations)

    def _shaped(self, observations: np.ndarray) -> np.ndarray:
        shaped = observations.reshape(*self._shape, -1).astype(np.float32)
        check_finite(shaped)
        return shaped

    def step(self, actions: np.ndarray, keys: Any = None) -> Step:
        """Take one step of the whole pool; it is not valid in environments that only reset."""
        result = self._pool.step(actions.ravel().astype(np.int32))
        observations, (rewards, terminated, truncated) = result[0], (a.reshape(self._shape) for a in result[1:4])
        valid = ~self._resetting
        self._resetting = (terminated | truncated) & valid
        self.observations = self._shaped(observations)
        terminated, truncated = terminated.astype(bool) & valid, truncated.astype(bool) & valid
        rewards = np.where(valid, rewards, 0).astype(np.float32)
        check_finite(rewards, "reward")
        return Step(
            self.observations,
            rewards,
            terminated,
            truncated & ~terminated,
            some_ended=bool(self._resetting.any()),
            valid=valid,
        )

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return nothing: EnvPool's state cannot be saved, so a resumed run starts new episodes."""
        return {}

    def restore(self, snapshot: dict[str, np.ndarray]) -> np.ndarray:
        """Keep the new episodes, which every environment has started."""
        return np.ones(self._shape, bool)

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()


class EnvPoolEvaluation:
    """Every agent's episodes, a group of `EVALUATION_INSTANCES` at a time: each group has a pool of its own.

    An environment of a pool has its seed from the start, so it cannot play a second episode on a seed of our choice.
    """

    def __init__(self, spec: EnvSpec, agents: int, seeds: Sequence[int]) -> None:
        self._name, self._seeds, self._agents = spec.name, seeds, agents
        self.observations = np.zeros((agents, len(seeds), spec.observation_size), np.float32)
        self.playing = np.zeros((agents, len(seeds)), bool)
        self._start_group(0)

    def _start_group(self, first: int) -> None:
        """Make a pool for the group of episodes that begins with number `first`, and reset it."""
        self._group = slice(first, min(first + EVALUATION_INSTANCES, len(self._seeds)))
        seeds = list(self._seeds[self._group])
        self._pool = _import_envpool().make(
            self._name,
            env_type="gymnasium",
            num_envs=self._agents * len(seeds),
            seed=seeds * self._agents,
            num_threads=1,
        )
        self._observe(self._pool.reset()[0])
        self.playing[:, self._group] = True

    def _observe(self, observations: np.ndarray) -> None:
        group = self.observations[:, self._group]
        group[...] = observations.reshape(group.shape)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Step the whole pool; return rewards and ends of the episodes that are playing, 0 and False for the others."""
        playing = self.playing[:, self._group]
        result = self._pool.step(actions[:, self._group].ravel().astype(np.int32))
        self._observe(result[0])
        check_finite(self.observations[self.playing])
        rewards, terminated, truncated = (a.reshape(playing.shape) for a in result[1:4])
        all_rewards, ended = np.zeros(self.playing.shape), np.zeros(self.playing.shape, bool)
        all_rewards[:, self._group] = np.where(playing, rewards, 0.0)
        check_finite(all_rewards, "reward")
        ended[:, self._group] = (terminated | truncated).astype(bool) & playing
        return all_rewards, ended

    def leave(self, over: np.ndarray) -> None:
        """Leave the episodes that are `over`; start the next group when this one has no other."""
        self.playing &= ~over
        if not self.playing.any() and self._group.stop < len(self._seeds):
            self._pool.close()
            self._start_group(self._group.stop)

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()
