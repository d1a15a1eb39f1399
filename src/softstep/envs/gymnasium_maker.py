"""Gymnasium environments, stepped in Python; exactly resumable if episodes replay from their seed and actions."""

from __future__ import annotations

import contextlib
import warnings
from collections import deque
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from softstep.envs.contract import EVALUATION_INSTANCES, EnvSpec, Step, episode_seed
from softstep.envs.lunar_lander import fast_equivalent
from softstep.errors import ConfigError, EnvironmentFailed, in_words, near
from softstep.user_code import close, guarded, import_env_modules


class OneEnv:
    """One environment, with what is needed to replay its episode."""

    def __init__(self, name: str, seed: int, index: int) -> None:
        self._env, self._time_limit = _make(name)
        self._seed, self._index = seed, index
        self.episode = 0
        """Number of the episode being played, or to be started by `reset`."""
        self.actions: list[int] = []
        """The actions since the last reset: with the episode's seed, the whole state."""

    def reset(self) -> np.ndarray:
        """Start episode number `self.episode`; return its first observation."""
        return self.start(episode_seed(self._seed, self._index, self.episode))

    def start(self, seed: int) -> np.ndarray:
        """Start an episode from `seed`; return its first observation."""
        self.actions = []
        with np.errstate():  # what the environment sets with numpy.seterr must not make our own arithmetic raise
            observation, _ = self._env.reset(seed=seed)
        return np.asarray(observation)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        """Take one action; return the observation before any reset, the reward, terminated and truncated."""
        self.actions.append(action)
        observation, reward, terminated, truncated, _ = self._env.step(action)
        return np.asarray(observation), reward, terminated, truncated or len(self.actions) == self._time_limit

    def replay(self, episode: int, actions: Sequence[int]) -> np.ndarray:
        """Play `episode` again with `actions`; return its last observation."""
        self.episode = episode
        observation = self.reset()
        for action in actions:
            observation, *_ = self.step(action)
        return observation

    def close(self) -> None:
        """Close the environment."""
        close(self._env)


def _make(name: str) -> tuple[Any, int | None]:
    """Make the environment without the wrappers that `OneEnv` replaces; return it and its time limit in steps."""
    with np.errstate():  # as in `OneEnv.start`
        env, limit = gymnasium.make(name, disable_env_checker=True), None
    while isinstance(env, (TimeLimit, OrderEnforcing)):
        if isinstance(env, TimeLimit):
            steps: int = env._max_episode_steps
            limit = steps if limit is None else min(limit, steps)
        env = env.env
    return fast_equivalent(env), limit


class GymnasiumEnvs:
    """E Gymnasium environments for each agent's seed."""

    def __init__(self, spec: EnvSpec, seeds: Sequence[int], num_envs: int) -> None:
        self.spec = spec
        self._envs = [OneEnv(spec.name, seed, index) for seed in seeds for index in range(num_envs)]
        self._shape = (len(seeds), num_envs)
        shape, flags = (*self._shape, spec.observation_size), [np.zeros(self._shape, bool) for _ in range(4)]
        next_observation, rewards = np.empty(shape, np.float32), np.empty(self._shape, np.float32)
        self._none_ended = Step(next_observation, rewards, flags[0], flags[1], some_ended=False)
        """The step returned when no episode ended; its flags are always False."""
        self._some_ended = Step(next_observation, rewards, flags[2], flags[3], some_ended=True)
        """The step returned when an episode ended; shares all but the flags with the other."""
        self._after_reset = np.empty(shape, np.float32)
        """The observations to act on after a step that ended an episode."""
        first = [env.reset() for env in self._envs]
        self._observes_vectors = first[0].ndim == 1
        self.observations = np.array(first, np.float32).reshape(shape)

    def step(self, actions: np.ndarray, keys: Any = None) -> Step:
        """Step every environment, and reset those that ended; the next call overwrites the arrays."""
        rewards, observations, ended = self._none_ended.reward.reshape(-1), [], []
        for i, (env, action) in enumerate(zip(self._envs, actions.ravel().tolist(), strict=True)):
            observation, rewards[i], terminated, truncated = env.step(action)
            observations.append(observation if self._observes_vectors else observation.ravel())
            if terminated or truncated:
                ended.append((i, terminated, truncated))
        next_observation = self._none_ended.next_observation
        np.concatenate(observations, out=next_observation.reshape(-1), casting="same_kind")
        if not ended:
            self.observations = next_observation
            return self._none_ended
        self._reset(ended)
        return self._some_ended

    def _reset(self, ended: Sequence[tuple[int, bool, bool]]) -> None:
        """Set the flags and start the next episode of every (environment, terminated, truncated) in `ended`."""
        next_observation, _, terminated, truncated, *_ = self._some_ended
        terminated[...] = truncated[...] = False
        self._after_reset[...] = next_observation
        self.observations = self._after_reset
        for i, is_terminated, is_truncated in ended:
            terminated.flat[i], truncated.flat[i] = is_terminated, is_truncated
            self._envs[i].episode += 1
            self._observe(i, self._envs[i].reset())

    def _observe(self, i: int, observation: np.ndarray) -> None:
        """Make `observation` what environment number i is acted on next."""
        self.observations.reshape(len(self._envs), -1)[i] = observation.ravel()

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return every environment's episode and actions since its reset, and the observations to check against."""
        return {
            "episode": np.array([env.episode for env in self._envs], np.int64),
            "length": np.array([len(env.actions) for env in self._envs], np.int64),
            "actions": np.array([a for env in self._envs for a in env.actions], np.int64),
            "observations": self.observations.copy(),
        }

    def restore(self, snapshot: dict[str, np.ndarray]) -> np.ndarray:
        """Replay every unfinished episode; where that fails, or leads elsewhere, start the next episode instead.

        Returns: which environments (W, E) have started a new episode: all of one that is not exactly resumable.
        """
        cut, lengths = np.zeros(self._shape, bool), snapshot["length"]
        parts = np.split(snapshot["actions"], np.cumsum(lengths)[:-1])
        observed = snapshot["observations"].reshape(len(self._envs), -1)
        for i, (env, episode, actions) in enumerate(zip(self._envs, snapshot["episode"].tolist(), parts, strict=True)):
            if not (self.spec.exactly_resumable and self._replays(i, episode, actions.tolist(), observed[i])):
                cut.flat[i], env.episode = True, episode + 1
                self._observe(i, env.reset())
        return cut

    def _replays(self, i: int, episode: int, actions: list[int], observed: np.ndarray) -> bool:
        """Replay a running episode in environment number i; return whether it leads to what was observed then."""
        env, ended = self._envs[i], False
        env.episode = episode
        try:
            self._observe(i, env.reset())
            for action in actions:
                observation, _, terminated, truncated = env.step(action)
                self._observe(i, observation)
                ended = ended or terminated or truncated
        except Exception:  # of an environment that has changed: it starts the next episode, which may raise again
            return False
        return not ended and np.array_equal(self.observations.reshape(len(self._envs), -1)[i], observed, equal_nan=True)

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs:
            env.close()


class GymnasiumEvaluation:
    """Every agent's episodes, queued onto a few environments: the first of every agent, then the second, and so on.

    Which environment plays an episode does not matter: one that replays exactly serves again, and any other is made
    anew for each episode. A simulator that allows fewer instances plays the episodes on those.
    """

    def __init__(self, spec: EnvSpec, agents: int, seeds: Sequence[int]) -> None:
        self._spec, self._seeds = spec, seeds
        self._waiting = deque((w, k) for k in range(len(seeds)) for w in range(agents))
        self._envs: dict[tuple[int, int], OneEnv] = {}
        """The environment of each episode that is playing, by agent and episode."""
        self.observations = np.zeros((agents, len(seeds), spec.observation_size), np.float32)
        self.playing = np.zeros((agents, len(seeds)), bool)
        for _ in range(agents * min(len(seeds), EVALUATION_INSTANCES)):
            try:
                self._start_next()
            except Exception:
                if self._envs:
                    break
                raise

    def _start_next(self, used: OneEnv | None = None) -> None:
        """Start the episode that has waited longest, in the environment `used` or a new one."""
        w, k = self._waiting[0]
        env = used or OneEnv(self._spec.name, 0, 0)
        try:
            self.observations[w, k] = np.ravel(env.start(self._seeds[k]))
        except BaseException:
            with contextlib.suppress(Exception):  # what failed first is what counts
                env.close()
            raise
        self._waiting.popleft()
        self._envs[w, k], self.playing[w, k] = env, True

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Step the environments that are playing; return rewards and whether episodes ended."""
        rewards, ended = np.zeros(self.playing.shape), np.zeros(self.playing.shape, bool)
        with guarded(f"{self._spec.name} failed in an evaluation", EnvironmentFailed):
            for w, k in np.argwhere(self.playing).tolist():
                observation, rewards[w, k], terminated, truncated = self._envs[w, k].step(int(actions[w, k]))
                self.observations[w, k] = np.ravel(observation)
                ended[w, k] = terminated or truncated
        return rewards, ended

    def leave(self, over: np.ndarray) -> None:
        """Leave the episodes that are `over`, and start waiting ones in their place."""
        for w, k in np.argwhere(over).tolist():
            env, self.playing[w, k] = self._envs.pop((w, k)), False
            if self._waiting and self._spec.exactly_resumable:
                self._start_next(env)
                continue
            env.close()
            if self._waiting:
                self._start_next()

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs.values():
            env.close()


def describe(name: str, modules: Sequence[str] = ()) -> EnvSpec:
    """Check that a deep Q-network can act in the environment, and return its fixed properties.

    A short episode is played twice to find out whether it replays exactly.

    Args:
        name: Gymnasium's id.
        modules: modules to import first, which register environments.

    Raises:
        ConfigError: a module or the environment cannot be used.
    """
    import_env_modules(modules)
    _check_registered(name)
    with guarded(f"env = {name!r} cannot be made"):
        env = gymnasium.make(name, disable_env_checker=True)
        observation, action = env.observation_space, env.action_space
    close(env)
    if not isinstance(action, gymnasium.spaces.Discrete):
        raise ConfigError(
            f"env = {name!r} has {type(action).__name__} actions: deep Q-learning needs Discrete ones"
            f"{near(name, [name.replace('Continuous', '')]) if 'Continuous' in name else ''}"
        )
    if not isinstance(observation, gymnasium.spaces.Box):
        raise ConfigError(
            f"env = {name!r} has {type(observation).__name__} observations: a Box is needed"
            " (--flatten, or a wrapper in a module of your own, registered under another id and named by --env-module)"
        )
    if action.start != 0:
        raise ConfigError(f"env = {name!r} numbers its actions from {action.start}: they must start at 0")
    size = int(np.prod(observation.shape))
    return EnvSpec(name, "gymnasium", size, int(action.n), _replays_exactly(name, int(action.n)))


def _check_registered(name: str) -> None:
    """Raise ConfigError for an unknown id; suggest its other versions, or similar names."""
    known = sorted(gymnasium.registry)
    if name in gymnasium.registry:
        return
    base = name.rpartition("-v")[0] or name
    versions = [k for k in known if k.rpartition("-v")[0] == base]
    hint = f"; did you mean {' or '.join(map(repr, versions))}?" if versions else near(name, known)
    raise ConfigError(
        f"env = {name!r} is not registered with Gymnasium{hint}"
        " (an environment of your own is registered by the module that --env-module names)"
    )


def _replays_exactly(name: str, num_actions: int, steps: int = 40) -> bool:
    """Return whether a used environment and a fresh one play the same episode from the same seed and actions."""
    actions = np.random.default_rng(0).integers(num_actions, size=steps).tolist()
    with guarded(f"env = {name!r} fails in its first steps"), contextlib.ExitStack() as made:
        used = made.enter_context(contextlib.closing(OneEnv(name, 0, 0)))
        fresh = _second(name)
        if fresh is None:
            used.replay(0, actions[:1])
            return False
        made.enter_context(contextlib.closing(fresh))
        used.replay(0, _until_end(used, 0, actions))
        played = _until_end(used, 1, actions)
        return np.array_equal(used.replay(1, played), fresh.replay(1, played), equal_nan=True)


def _second(name: str) -> OneEnv | None:
    """Make the environment while there is another; return None, with a warning, if there can be only one."""
    try:
        return OneEnv(name, 0, 0)
    except Exception as error:
        warnings.warn(
            f"{name} cannot be made twice at a time ({in_words(error)}): it serves one agent with num_envs = 1 and"
            " eval_every = 0, and its runs are not exactly resumable",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def _until_end(env: OneEnv, episode: int, actions: list[int]) -> list[int]:
    """Play `episode`; return the leading `actions` up to its end."""
    env.episode = episode
    env.reset()
    for count, action in enumerate(actions, 1):
        _, _, terminated, truncated = env.step(action)
        if terminated or truncated:
            return actions[:count]
    return actions
