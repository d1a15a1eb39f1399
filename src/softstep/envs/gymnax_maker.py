"""gymnax environments: pure functions inside the compiled loop, or the same functions stepped from the host."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray

from softstep.envs.actions import check_bounds
from softstep.envs.checks import check_finite
from softstep.envs.contract import ActionBounds, CompiledEnv, CompiledStep, EnvSpec, Step
from softstep.errors import ConfigError, near
from softstep.extras import required_by
from softstep.jax_settings.pinned import pinned
from softstep.user_code import guarded


class _LazyModule(ModuleType):
    """Stands in for a module, and imports it when one of its attributes is used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _import_gymnax() -> Any:
    """Import gymnax, but its plotting libraries only when it draws: .4 s instead of 1.5."""
    lazy = {name: _LazyModule(name) for name in ("matplotlib.pyplot", "seaborn") if name not in sys.modules}
    sys.modules.update(lazy)
    try:
        with required_by("an environment gymnax:ID"):
            return importlib.import_module("gymnax")
    finally:
        for name, module in lazy.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


@pinned()
def make_compiled(name: str) -> CompiledEnv:
    """Make the gymnax environment `name`.

    Raises:
        ConfigError: gymnax does not have it, or its actions are neither discrete nor in finite bounds.
    """
    gymnax = _import_gymnax()
    if name not in gymnax.registered_envs:
        raise ConfigError(
            f"env = 'gymnax:{name}' is not an environment of gymnax{near(name, list(gymnax.registered_envs))}"
        )
    with guarded(f"env = 'gymnax:{name}' cannot be made"):
        env, params = gymnax.make(name)
        space = env.action_space(params)
    bounds = None if hasattr(space, "n") else check_bounds(f"gymnax:{name}", _box_bounds(space))

    def reset(key: PRNGKeyArray) -> tuple[Any, Array]:
        observation, state = env.reset(key, params)
        return state, jnp.ravel(observation).astype(jnp.float32)

    def draw_randomness(key: PRNGKeyArray) -> Any:  # splits a step's key as gymnax does
        key_step, key_reset = jax.random.split(key)
        return key_step, reset(key_reset)

    def step(randomness: Any, state: Any, action: Array) -> CompiledStep:
        key, (first_state, first_observation) = randomness
        action = action if bounds is None else bounds.scale(jnp, action).reshape(space.shape)
        observation, state, reward, terminated, _ = env.step_env(key, state, action, params)
        terminated = jnp.asarray(terminated, bool)
        truncated = jnp.asarray(env.is_truncated(state, params), bool) & ~terminated
        next_observation = jnp.ravel(observation).astype(jnp.float32)
        ended = terminated | truncated
        return CompiledStep(
            jax.tree.map(partial(jax.lax.select, ended), first_state, state),
            jnp.where(ended, first_observation, next_observation),
            next_observation,
            jnp.asarray(reward, jnp.float32).reshape(()),
            terminated,
            truncated,
        )

    with guarded(f"env = 'gymnax:{name}' cannot be reset"):
        _, observation = jax.eval_shape(lambda: reset(jax.random.key(0)))
    count = int(space.n) if bounds is None else len(bounds.low)
    spec = EnvSpec(name, "gymnax", observation.size, count, exactly_resumable=True, action_bounds=bounds)
    return CompiledEnv(spec, reset, draw_randomness, step)


@pinned()
def longest_compiled_episode(name: str) -> int | None:
    """Return the steps after which the gymnax environment `name` cuts an episode; None without a limit."""
    limit = getattr(_import_gymnax().make(name)[1], "max_steps_in_episode", None)
    return None if limit is None else int(limit)


def _box_bounds(space: Any) -> ActionBounds:
    """Return the range of each component of one of gymnax's continuous actions."""
    low, high = (np.broadcast_to(np.asarray(bound, np.float32), space.shape) for bound in (space.low, space.high))
    return ActionBounds(tuple(low.ravel().tolist()), tuple(high.ravel().tolist()))


class GymnaxHostEnvs:
    """The compiled environment behind the host's contract; the compiled loop is checked against it."""

    def __init__(self, env: CompiledEnv, reset_keys: Key[Array, "W E"]) -> None:
        self.spec = env.spec
        self._step = jax.jit(jax.vmap(jax.vmap(lambda key, *rest: env.step(env.draw_randomness(key), *rest))))
        self._state, observations = jax.jit(jax.vmap(jax.vmap(env.reset)))(reset_keys)
        self.observations = np.array(observations)

    def step(self, actions: np.ndarray, keys: Any = None) -> Step:
        """Step every environment with its key of `keys` (W, E)."""
        result: CompiledStep = self._step(keys, self._state, actions)
        self._state = result.state
        self.observations = np.array(result.observation)
        terminated, truncated = np.asarray(result.terminated), np.asarray(result.truncated)
        some_ended = bool((terminated | truncated).any())
        next_observation, reward = np.asarray(result.next_observation), np.asarray(result.reward)
        check_finite(next_observation)
        check_finite(reward, "reward")
        return Step(next_observation, reward, terminated, truncated, some_ended)

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return the state's arrays and the observations."""
        return {f"state{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(self._state))} | {
            "observations": self.observations.copy()
        }

    def restore(self, snapshot: dict[str, np.ndarray]) -> np.ndarray:
        """Set the state and the observations to those of `snapshot`; no environment starts a new episode."""
        leaves, structure = jax.tree.flatten(self._state)
        self._state = jax.tree.unflatten(structure, [jnp.asarray(snapshot[f"state{i}"]) for i in range(len(leaves))])
        self.observations = snapshot["observations"].copy()
        return np.zeros(self.observations.shape[:2], bool)

    def close(self) -> None:
        """Do nothing: there is nothing to free."""
