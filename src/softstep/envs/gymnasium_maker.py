"""Gymnasium environments, stepped in Python; exactly resumable if episodes replay from their seed and actions."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import FlattenObservation, OrderEnforcing, TimeLimit

from softstep.envs.actions import actions_to_try, box_bounds, check_bounds, native_actions
from softstep.envs.checks import LARGEST, check_finite, check_first, finite_check, reward_number, shaped
from softstep.envs.contract import EVALUATION_INSTANCES, EnvSpec, Step, episode_seed
from softstep.envs.lunar_lander import fast_equivalent
from softstep.envs.probing import replays_exactly
from softstep.errors import BadValue, ConfigError, EnvironmentFailed, in_words, near
from softstep.user_code import close, guarded, import_env_modules

_OUR_ARGUMENTS = ("id", "disable_env_checker", "render_mode")
"""Arguments of `gymnasium.make` that softstep sets itself."""


class OneEnv:
    """One environment, with what is needed to replay its episode."""

    def __init__(self, spec: EnvSpec, seed: int, index: int) -> None:
        env, self._time_limit = _without_replaced_wrappers(_make(spec))
        self._env, self._actions = fast_equivalent(env), native_actions(env)
        if spec.flatten:
            self._env = FlattenObservation(self._env)
        self._seed, self._index = seed, index
        self.episode = 0
        """Number of the episode being played, or to be started by `reset`."""
        self.actions: list[Any] = []
        """The actions since the last reset: with the episode's seed, the whole state."""
        self.shape: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] | None = None
        """Shape and type of the first observation of all; the others must have its shape."""

    def reset(self) -> np.ndarray:
        """Start episode number `self.episode`; return its first observation."""
        return self.start(episode_seed(self._seed, self._index, self.episode))

    def start(self, seed: int) -> np.ndarray:
        """Start an episode from `seed`; return its first observation, which may be overwritten later."""
        self.actions = []
        with np.errstate():  # what the environment sets with numpy.seterr must not make our own arithmetic raise
            observation, _ = self._env.reset(seed=seed)
        observation = np.asarray(observation)
        if self._dtype is None:
            check_first(observation, self._env.observation_space.shape)
            self.shape, self._dtype = observation.shape, observation.dtype
        return shaped(observation, self.shape)

    def step(self, action: Any) -> tuple[np.ndarray, float, Any, Any]:
        """Take action number 0, 1, …, or one (A,) in [−1, 1].

        Returns: the observation before any reset, reward, terminated and truncated.

        The flags are whatever the environment takes for true or false. It may overwrite the observation later, which is
        to be copied before any environment does anything.
        """
        self.actions.append(action)
        observation, reward, terminated, truncated, _ = self._env.step(self._actions[action])
        if (
            type(observation) is not np.ndarray
            or observation.shape != self.shape
            or observation.dtype is not self._dtype  # equal types need not be identical: then it is checked once more
        ):
            observation = shaped(observation, self.shape)
        if type(reward) is not float or not -LARGEST <= reward <= LARGEST:
            reward = reward_number(reward)
        return observation, reward, terminated, truncated or len(self.actions) == self._time_limit

    def close(self) -> None:
        """Close the environment."""
        close(self._env)


def make_gymnasium(spec: EnvSpec, **options: Any) -> Any:
    """Make the environment with all of Gymnasium's wrappers; `options` are further arguments of `gymnasium.make`."""
    env = _make(spec, **options)
    return FlattenObservation(env) if spec.flatten else env


def _make(spec: EnvSpec, **options: Any) -> Any:
    with np.errstate():  # as in `OneEnv.start`
        return gymnasium.make(spec.name, **{"disable_env_checker": True, **spec.arguments, **options})


def time_limit(spec: EnvSpec) -> int | None:
    """Return the steps after which Gymnasium's wrappers cut an episode; None without a limit."""
    env = _make(spec)
    try:
        return _without_replaced_wrappers(env)[1]
    finally:
        close(env)


def _without_replaced_wrappers(env: Any) -> tuple[Any, int | None]:
    """Return the environment without the wrappers that `OneEnv` replaces, and its time limit in steps."""
    limit = None
    while type(env) in (TimeLimit, OrderEnforcing):  # a subclass may do something else
        if isinstance(env, TimeLimit):
            steps: int = env._max_episode_steps
            limit = steps if limit is None else min(limit, steps)
        env = env.env
    return env, limit


class GymnasiumEnvs:
    """E Gymnasium environments for each agent's seed."""

    def __init__(self, spec: EnvSpec, seeds: Sequence[int], num_envs: int) -> None:
        self.spec = spec
        self._envs = list[OneEnv]()
        with contextlib.ExitStack() as undo:  # if one cannot be made or reset, those that can are closed
            undo.callback(self.close)
            for seed, index in itertools.product(seeds, range(num_envs)):
                self._envs.append(OneEnv(spec, seed, index))
            self._prepare(seeds, num_envs)
            undo.pop_all()

    def _prepare(self, seeds: Sequence[int], num_envs: int) -> None:
        """Make the arrays that every step returns, and reset every environment."""
        spec = self.spec
        self._shape = (len(seeds), num_envs)
        shape, flags = (*self._shape, spec.observation_size), [np.zeros(self._shape, bool) for _ in range(4)]
        next_observation, rewards = np.empty(shape, np.float32), np.empty(self._shape, np.float32)
        self._none_ended = Step(next_observation, rewards, flags[0], flags[1], some_ended=False)
        """The step returned when no episode ended; its flags are always False."""
        self._some_ended = Step(next_observation, rewards, flags[2], flags[3], some_ended=True)
        """The step returned when an episode ended; shares all but the flags with the other."""
        self._after_reset = np.empty(shape, np.float32)
        """The observations to act on after a step that ended an episode."""
        self.observations = self._after_reset
        try:
            for i in range(len(self._envs)):
                self._reset(i)
            check_finite(self.observations)
        except Exception as error:
            message = f"{spec.name} failed at environment step 0, its first reset: {in_words(error)}"
            raise EnvironmentFailed(message) from error
        self._check = finite_check(next_observation)
        rows = next_observation.reshape(len(self._envs), -1)
        self._rows = [row.reshape(env.shape) for row, env in zip(rows, self._envs, strict=True)]
        """Every environment's part of the next observation, in the shape of its observations."""

    def step(self, actions: np.ndarray, keys: Any = None) -> Step:
        """Step every environment, and reset those that ended; the next call overwrites the arrays."""
        rewards, ended = self._none_ended.reward.reshape(-1), []
        for i, (env, row, action) in enumerate(zip(self._envs, self._rows, self._each(actions), strict=True)):
            observation, rewards[i], terminated, truncated = env.step(action)
            row[...] = observation  # at once: another environment may share the array
            if terminated or truncated:
                ended.append((i, terminated, truncated))
        self._check()
        if not ended:
            self.observations = self._none_ended.next_observation
            return self._none_ended
        self._start_next(ended)
        return self._some_ended

    def _each(self, actions: np.ndarray) -> list[Any]:
        """Return every environment's action, to keep: a number, or a copy of its row (A,)."""
        if self.spec.action_bounds is None:
            numbers: list[Any] = actions.ravel().tolist()
            return numbers
        return list(np.array(actions, np.float32).reshape(len(self._envs), -1))

    def _start_next(self, ended: Sequence[tuple[int, Any, Any]]) -> None:
        """Set the flags and start the next episode of every (environment, terminated, truncated) in `ended`."""
        next_observation, _, terminated, truncated, *_ = self._some_ended
        terminated[...] = truncated[...] = False
        self._after_reset[...] = next_observation
        self.observations = self._after_reset
        for i, is_terminated, is_truncated in ended:
            terminated.flat[i], truncated.flat[i] = is_terminated, is_truncated
            self._envs[i].episode += 1
            self._reset(i)
        check_finite(self.observations)

    def _reset(self, i: int) -> None:
        """Start environment number i's episode; its observation is acted on next."""
        self._observe(i, self._envs[i].reset())

    def _observe(self, i: int, observation: np.ndarray) -> None:
        """Make `observation` what environment number i is acted on next."""
        self.observations.reshape(len(self._envs), -1)[i] = observation.ravel()

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return every environment's episode and actions since its reset, and the observations to check against."""
        return {
            "episode": np.array([env.episode for env in self._envs], np.int64),
            "length": np.array([len(env.actions) for env in self._envs], np.int64),
            "actions": self._actions_so_far(),
            "observations": self.observations.copy(),
        }

    def _actions_so_far(self) -> np.ndarray:
        """Return the actions of all running episodes, environment by environment: numbers (N,), or float32 (N, A)."""
        actions = [action for env in self._envs for action in env.actions]
        if self.spec.action_bounds is None:
            return np.array(actions, np.int64)
        return np.array(actions, np.float32).reshape(-1, self.spec.num_actions)

    def restore(self, snapshot: dict[str, np.ndarray]) -> np.ndarray:
        """Replay every unfinished episode; where that fails, or leads elsewhere, start the next episode instead.

        Returns: which environments (W, E) have started a new episode: all of one that is not exactly resumable.
        """
        cut, lengths = np.zeros(self._shape, bool), snapshot["length"]
        parts = np.split(snapshot["actions"], np.cumsum(lengths)[:-1])
        observed = snapshot["observations"].reshape(len(self._envs), -1)
        for i, (env, episode, actions) in enumerate(zip(self._envs, snapshot["episode"].tolist(), parts, strict=True)):
            if not (self.spec.exactly_resumable and self._replays(i, episode, self._split(actions), observed[i])):
                cut.flat[i], env.episode = True, episode + 1
                with guarded(f"{self.spec.name} failed at a reset, when the run was resumed", EnvironmentFailed):
                    self._observe(i, env.reset())
                    check_finite(self.observations)
        return cut

    def _split(self, actions: np.ndarray) -> list[Any]:
        """Return the actions of a snapshot one by one, as `OneEnv.step` takes them."""
        return actions.tolist() if self.spec.action_bounds is None else list(actions)

    def _replays(self, i: int, episode: int, actions: list[Any], observed: np.ndarray) -> bool:
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
            except Exception as error:
                if self._envs and not isinstance(error, BadValue):
                    break
                self.close()
                raise

    def _start_next(self, used: OneEnv | None = None) -> None:
        """Start the episode that has waited longest, in the environment `used` or a new one."""
        w, k = self._waiting[0]
        env = used or OneEnv(self._spec, 0, 0)
        try:
            self.observations[w, k] = np.ravel(env.start(self._seeds[k]))
            check_finite(self.observations[w, k])
        except BaseException:
            with contextlib.suppress(Exception):  # what failed first is what counts
                env.close()
            raise
        self._waiting.popleft()
        self._envs[w, k], self.playing[w, k] = env, True

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Step the environments that are playing; return rewards and whether episodes ended."""
        rewards, ended = np.zeros(self.playing.shape), np.zeros(self.playing.shape, bool)
        discrete = self._spec.action_bounds is None
        for w, k in np.argwhere(self.playing).tolist():
            action = actions[w, k].item() if discrete else actions[w, k].copy()
            observation, rewards[w, k], terminated, truncated = self._envs[w, k].step(action)
            self.observations[w, k] = np.ravel(observation)
            ended[w, k] = terminated or truncated
        check_finite(self.observations[self.playing])
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


def describe(
    name: str, modules: Sequence[str] = (), *, arguments: Mapping[str, Any] | None = None, flatten: bool = False
) -> EnvSpec:
    """Check that a deep Q-network can act in the environment, and return its fixed properties.

    Some episodes are played twice to find out whether they replay exactly.

    Args:
        name: Gymnasium's id.
        modules: modules to import first, which register environments.
        arguments: further arguments of `gymnasium.make`.
        flatten: flatten its observations with Gymnasium's FlattenObservation.

    Raises:
        ConfigError: a module or the environment cannot be used.
    """
    import_env_modules(modules)
    _check_registered(name)
    unknown = EnvSpec(
        name, "gymnasium", 0, 0, exactly_resumable=False, flatten=flatten, arguments=_checked(arguments or {})
    )
    given = f" with env_args = {dict(arguments)}" if arguments else ""
    with guarded(f"env = {name!r} cannot be made{given}"):
        env = _make(unknown)
        observation, action = env.observation_space, env.action_space
    close(env)
    size = _observation_size(name, observation, flatten=flatten)
    spec = dataclasses.replace(unknown, observation_size=size, **_action_properties(name, action))
    with guarded(f"env = {name!r} fails in its first steps"):
        exact = replays_exactly(lambda: OneEnv(spec, 0, 0), actions_to_try(spec.num_actions, spec.action_bounds))
    return dataclasses.replace(spec, exactly_resumable=exact)


def _action_properties(name: str, space: gymnasium.Space[Any]) -> dict[str, Any]:
    """Return the fields of an `EnvSpec` that describe actions; raise ConfigError for spaces that cannot be used."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return {"num_actions": int(space.n), "first_action": int(space.start)}
    if isinstance(space, gymnasium.spaces.Box):
        bounds = check_bounds(name, box_bounds(space))
        return {"num_actions": len(bounds.low), "action_bounds": bounds}
    raise ConfigError(f"env = {name!r} has {type(space).__name__} actions: Discrete or Box ones are needed")


def _checked(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments; raise ConfigError for those that softstep sets itself."""
    for name in _OUR_ARGUMENTS:
        if name in arguments:
            raise ConfigError(f"env_args may not hold {name!r}, because softstep sets it itself: leave it out")
    return arguments


def _observation_size(name: str, space: gymnasium.Space[Any], *, flatten: bool) -> int:
    """Return how many numbers the network observes; raise ConfigError if it cannot observe the space."""
    if isinstance(space, gymnasium.spaces.Box):
        return int(np.prod(space.shape))
    kind = type(space).__name__
    if not space.is_np_flattenable:
        raise ConfigError(
            f"env = {name!r} has {kind} observations of no fixed size: a Box is needed (wrap the environment in a"
            " module of your own, registered under another id and named by --env-module)"
        )
    if flatten:
        return int(gymnasium.spaces.flatdim(space))
    raise ConfigError(
        f"env = {name!r} has {kind} observations, and a Box is needed: --flatten (flatten = true) makes them one of"
        f" size {gymnasium.spaces.flatdim(space)}, with Gymnasium's FlattenObservation"
    )


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
