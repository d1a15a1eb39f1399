"""The contract between a training loop and an environment, whichever library makes it.

A step returns, for each environment:

- `next_observation`: the observation that the action led to, before any reset. At the end of an episode it is the final
  observation of that episode, never the first of the next.
- `reward`: the reward of the action.
- `terminated`: whether the episode ended in a terminal state, whose value is 0.
- `truncated`: whether the episode was cut off, for example by a time limit. The state is not terminal, so learning
  bootstraps from `next_observation` unless the configuration says otherwise. If both flags are set, `terminated`
  decides.
- `valid`: whether the step is a transition. A step that only resets is not.

An environment whose episode ended resets itself. `observations` is what to act on next: after a reset, the first
observation of the new episode.

Axes: W agents of a block, E environments per agent, K evaluation episodes per agent, O numbers of an observation.
Observations are flattened to float32.

Observations and rewards are finite. Environments stepped on the host raise `checks.NotFinite` where they are not;
compiled ones cannot raise, so whoever runs them checks the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from softstep.errors import ConfigError

Maker = Literal["gymnasium", "gymnax", "envpool"]

EVALUATION_INSTANCES = 10
"""Most environments per agent that an evaluation on the host holds at a time; further episodes wait for one."""


class ActionBounds(NamedTuple):
    """The range of a continuous action. Learners and replay know actions in [−1, 1] only."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def scale(self, xp: Any, actions: Any) -> Any:
        """Return what the environment takes for actions (…, A) in [−1, 1]: low + (a + 1)/2·(high − low), in float32.

        Args:
            xp: `numpy` or `jax.numpy`.
            actions: actions in [−1, 1].
        """
        low, high = (xp.asarray(bound, xp.float32) for bound in self)
        return low + xp.float32(0.5) * (actions + xp.float32(1)) * (high - low)


@dataclass(frozen=True)
class EnvSpec:
    """The fixed properties of an environment."""

    name: str
    """Its id, without the maker."""
    maker: Maker
    observation_size: int
    """O: length of the flattened observation."""
    num_actions: int
    """A: actions are 0, 1, …, A − 1, or vectors of A components; a discrete environment is given them with
    `first_action` added."""
    exactly_resumable: bool
    """Whether an episode replays bit for bit from its seed and actions, or its state can be saved."""
    first_action: int = 0
    """The environment's own number of action 0."""
    action_bounds: ActionBounds | None = None
    """The range of continuous actions; None for discrete ones."""
    flatten: bool = False
    """Whether Gymnasium's FlattenObservation turns its observations into one vector."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `gymnasium.make`."""


class Step(NamedTuple):
    """One step of every environment of a block."""

    next_observation: Float[np.ndarray, "W E O"]
    """The observation before any reset."""
    reward: Float[np.ndarray, "W E"]
    terminated: Bool[np.ndarray, "W E"]
    """Whether the episode ended in a terminal state."""
    truncated: Bool[np.ndarray, "W E"]
    """Whether the episode was cut off."""
    some_ended: bool
    """Whether any episode ended."""
    valid: Bool[np.ndarray, "W E"] | None = None
    """Whether the step is a transition; None if all are."""


@runtime_checkable
class HostEnvs(Protocol):
    """E environments for each agent of a block, stepped on the host; they reset themselves."""

    spec: EnvSpec
    observations: Float[np.ndarray, "W E O"]
    """The observations to act on next, after any reset."""

    def step(self, actions: Int[np.ndarray, "W E"], keys: Any = None) -> Step:
        """Take one action in every environment; raise `checks.BadValue` for what one of them must not return.

        `keys` (W, E) are the random keys of this step; makers with their own random state ignore them. The returned
        arrays may be overwritten by the next call.
        """
        ...

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return the arrays from which `restore` recovers this moment."""
        ...

    def restore(self, snapshot: dict[str, np.ndarray]) -> Bool[np.ndarray, "W E"]:
        """Return to the moment of `snapshot`, or start the next episode where that cannot be done.

        Returns: which environments have started a new episode.
        """
        ...

    def close(self) -> None:
        """Free the environments."""
        ...


@runtime_checkable
class EvaluationEnvs(Protocol):
    """A queue of episodes for each agent, of which at most `EVALUATION_INSTANCES` per agent are played at a time."""

    observations: Float[np.ndarray, "W K O"]
    """The observations to act on next in the episodes that are `playing`; meaningless for the others."""
    playing: Bool[np.ndarray, "W K"]
    """The episodes under way."""

    def step(self, actions: Int[np.ndarray, "W K"]) -> tuple[Float[np.ndarray, "W K"], Bool[np.ndarray, "W K"]]:
        """Take one action in every episode that is playing.

        Returns: rewards, and whether the episode ended in this step; 0 and False for the episodes not playing.
        """
        ...

    def leave(self, over: Bool[np.ndarray, "W K"]) -> None:
        """Leave the episodes that are `over`, and start waiting ones in their place."""
        ...

    def close(self) -> None:
        """Free the environments."""
        ...


class CompiledEnv(NamedTuple):
    """A single environment as pure functions, to be vmapped."""

    spec: EnvSpec
    reset: Callable[[PRNGKeyArray], tuple[Any, Array]]
    """key → (state, observation (O,))."""
    draw_randomness: Callable[[PRNGKeyArray], Any]
    """key → everything random in one step, including the start of the next episode.

    It depends on the key alone, so that the randomness of many steps is drawn in one go, ahead of the loop.
    """
    step: Callable[[Any, Any, Array], CompiledStep]
    """(randomness, state, action) → the step; an ended episode is already reset."""


class CompiledStep(NamedTuple):
    """One step of one compiled environment."""

    state: Any
    """The state after any reset."""
    observation: Array
    """The observation to act on next, after any reset."""
    next_observation: Array
    """The observation before any reset."""
    reward: Array
    terminated: Array
    """Whether the episode ended in a terminal state."""
    truncated: Array
    """Whether the episode was cut off, and not terminated."""


def split_id(env: str) -> tuple[Maker, str]:
    """Split an environment id into its maker and name.

    `gymnax:CartPole-v1` gives ("gymnax", "CartPole-v1"); an id without a maker is Gymnasium's.

    Raises:
        ConfigError: no name, or any other prefix: Gymnasium would import it as a module.
    """
    prefix, colon, name = env.rpartition(":")
    if not name:
        raise ConfigError(f"env = {env!r} does not name an environment: give an id, for example CartPole-v1")
    if not colon:
        return "gymnasium", name
    if prefix == "gymnax":
        return "gymnax", name
    if prefix == "envpool":
        return "envpool", name
    if prefix == "gymnasium":
        return "gymnasium", name
    module = prefix.removesuffix(".py")
    raise ConfigError(
        f"env = {env!r}: the maker {prefix!r} is not gymnasium, gymnax or envpool"
        f" (if the module {module} registers it: {name} --env-module {module})"
    )


def episode_seed(seed: int, env: int, episode: int) -> int:
    """Return the seed of an episode's reset: a hash of the agent's seed, the environment's index and the episode's."""
    return int(np.random.SeedSequence([seed, env, episode]).generate_state(1)[0] >> 1)
