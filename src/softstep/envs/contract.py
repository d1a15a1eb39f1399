"""What the loop asks of an environment, whoever makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from softstep.config import ConfigError

Maker = Literal["gymnasium", "gymnax", "envpool"]


@dataclass(frozen=True)
class EnvSpec:
    """What is fixed about an environment."""

    name: str
    """Its id, without the maker."""
    maker: Maker
    observation_size: int
    """O: length of the flattened observation."""
    num_actions: int
    """A."""
    exactly_resumable: bool
    """Whether an episode replays bit for bit from its seed and actions (or its state can be saved)."""


class Step(NamedTuple):
    """One step of every environment of a block."""

    next_observation: Float[np.ndarray, "W E O"]
    """Before any reset."""
    reward: Float[np.ndarray, "W E"]
    terminated: Bool[np.ndarray, "W E"]
    truncated: Bool[np.ndarray, "W E"]
    some_ended: bool
    """Whether any episode ended."""
    valid: Bool[np.ndarray, "W E"] | None = None
    """Which steps are transitions; None means all (a step that only resets is none)."""


@runtime_checkable
class HostEnvs(Protocol):
    """E environments for each agent of a block, stepped on the host; they reset themselves."""

    spec: EnvSpec
    observations: Float[np.ndarray, "W E O"]
    """What to act on now (after any reset)."""

    def step(self, actions: Int[np.ndarray, "W E"], keys: Any = None) -> Step:
        """Act everywhere; `keys` (W, E) are for makers that draw from them."""
        ...

    def snapshot(self) -> dict[str, np.ndarray]:
        """Arrays from which `restore` brings back exactly this moment."""
        ...

    def restore(self, snapshot: dict[str, np.ndarray]) -> None:
        """Return to the moment of `snapshot`."""
        ...

    def close(self) -> None:
        """Free what the environments hold."""
        ...


@runtime_checkable
class EvaluationEnvs(Protocol):
    """One environment for each agent and episode, each played once."""

    observations: Float[np.ndarray, "W K O"]

    def step(
        self, actions: Int[np.ndarray, "W K"], running: Bool[np.ndarray, "W K"]
    ) -> tuple[Float[np.ndarray, "W K"], Bool[np.ndarray, "W K"]]:
        """Act where `running`; rewards (0 elsewhere) and where the episode ended."""
        ...

    def close(self) -> None:
        """Free what the environments hold."""
        ...


class CompiledEnv(NamedTuple):
    """One environment as pure functions, to be vmapped."""

    spec: EnvSpec
    reset: Callable[[PRNGKeyArray], tuple[Any, Array]]
    """key → (state, observation (O,))."""
    draw_randomness: Callable[[PRNGKeyArray], Any]
    """key → all that a step takes from chance, the next episode's start among it: for many steps in one go."""
    step: Callable[[Any, Any, Array], CompiledStep]
    """(randomness, state, action) → the step, reset where it ended."""


class CompiledStep(NamedTuple):
    """One step of one compiled environment."""

    state: Any
    observation: Array
    """To act on next (after any reset)."""
    next_observation: Array
    """Before any reset."""
    reward: Array
    terminated: Array
    truncated: Array


def split_id(env: str) -> tuple[Maker, str]:
    """`gymnax:CartPole-v1` → ("gymnax", "CartPole-v1"); a bare id is Gymnasium's.

    An id with any other prefix is refused: Gymnasium would import that module.
    """
    prefix, colon, name = env.rpartition(":")
    if not name:
        raise ConfigError(f"env = {env!r} names no environment")
    if not colon:
        return "gymnasium", name
    if prefix == "gymnax":
        return "gymnax", name
    if prefix == "envpool":
        return "envpool", name
    if prefix == "gymnasium":
        return "gymnasium", name
    raise ConfigError(
        f"env = {env!r}: the maker {prefix!r} is not gymnasium, gymnax or envpool"
        " (for environments of your own: --env-module your_module, and the bare id)"
    )


def episode_seed(seed: int, env: int, episode: int) -> int:
    """The seed of an episode's reset: a hash of the agent's seed, the environment's index and the episode's."""
    return int(np.random.SeedSequence([seed, env, episode]).generate_state(1)[0] >> 1)
