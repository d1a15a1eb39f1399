"""The layout of a stored transition: one row of floats, observation, action, reward, discount and next observation.

With n-step returns a row also says whether its episode ended there, and n rows make one transition of the learner:

    R = r₀ + γ·r₁ + … + γᵐ⁻¹·rₘ₋₁,    y = R + γᵐ·d·V(s′),    m = n, or fewer if the episode ends

with d and s′ of the last of the m rows. Source: Sutton 1988; Hessel et al. 2018.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from softstep.config import Config
from softstep.envs.contract import EnvSpec
from softstep.transition import Transition


class RowLayout(NamedTuple):
    """Where the parts of a transition stand in its row."""

    observation_size: int
    """O."""
    action_size: int | None = None
    """A, the components of a continuous action; None for a discrete action, which is one number."""
    n_step: int = 1
    """n, the rows of one environment that make a transition of the learner."""

    @property
    def width(self) -> int:
        """Number of floats per row: 2·O + 2 and those of the action; one more with n-step returns."""
        return 2 * self.observation_size + 2 + (self.action_size or 1) + (self.n_step > 1)

    @property
    def reward_column(self) -> int:
        """Column of the reward."""
        return self.observation_size + (self.action_size or 1)

    def columns(self, rows: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Split rows (..., width) into observation, action, reward, discount and next observation.

        A discrete action is (...), a continuous one (..., A). The parts of a NumPy array are views.
        """
        o, end = self.observation_size, self.reward_column
        action = rows[..., o] if self.action_size is None else rows[..., o:end]
        return rows[..., :o], action, rows[..., end], rows[..., end + 1], rows[..., end + 2 : end + 2 + o]

    def ended(self, rows: Any) -> Any:
        """Return the column (...) that says whether an episode ended; rows of n-step returns alone have it."""
        return rows[..., -1]

    def unpack(self, rows: Any, gamma: Any) -> Transition:
        """Return rows as the learner's transitions; discrete actions become integers.

        Args:
            rows: rows (..., width), or with n-step returns (..., n, width) in order of time.
            gamma: γ, for n-step returns.
        """
        observation, action, reward, discount, next_observation = self.columns(rows)
        if self.n_step > 1:
            goes_on = jnp.cumprod(1 - self.ended(rows)[..., :-1], axis=-1)
            counts = jnp.concatenate([jnp.ones_like(goes_on[..., :1]), goes_on], axis=-1)  # (..., n): before its end
            powers = gamma ** jnp.arange(self.n_step)
            last = jnp.sum(counts, axis=-1).astype(jnp.int32)[..., None] - 1
            observation, action, reward = observation[..., 0, :], action[..., 0], jnp.sum(powers * counts * reward, -1)
            discount = jnp.take_along_axis(powers * discount, last, axis=-1)[..., 0]
            next_observation = jnp.take_along_axis(next_observation, last[..., None], axis=-2)[..., 0, :]
        action = action.astype("int32") if self.action_size is None else action
        return Transition(observation, action, reward, discount, next_observation)

    def rows(self, config: Config, observations: Any, actions: Any, step: Any) -> Any:
        """Return the rows of one vector step in the compiled loop; the host fills them in place instead.

        Args:
            config: the run's configuration.
            observations: observations (W, E, O) before the step.
            actions: actions (W, E) or (W, E, A).
            step: what the environments returned.

        Returns: rows (W, E, width).
        """
        middle = [step.reward * np.float32(config.reward_scale), discounts(config, step)]
        numbers = [part[..., None].astype(jnp.float32) for part in middle]
        action = actions[..., None] if self.action_size is None else actions
        ended = [(step.terminated | step.truncated)[..., None].astype(jnp.float32)] if self.n_step > 1 else []
        return jnp.concatenate([observations, action.astype(jnp.float32), *numbers, step.next_observation, *ended], -1)


def row_layout(config: Config, observation_size: int, num_actions: int) -> RowLayout:
    """Return the layout of a run's transitions.

    Args:
        config: the run's configuration.
        observation_size: O.
        num_actions: A, the number of discrete actions, or of components of a continuous one.
    """
    return RowLayout(observation_size, num_actions if config.continuous else None, config.n_step)


def replay_bytes(config: Config, spec: EnvSpec) -> int:
    """Return the size of the rings of a block's W agents."""
    layout = row_layout(config, spec.observation_size, spec.num_actions)
    return config.width * (config.memory_size + config.steps_per_iteration) * layout.width * 4


def discounts(config: Config, step: Any) -> Any:
    """Return the learner's discount of each step: false (0) at a true termination, true (1) elsewhere."""
    return ~(step.terminated | step.truncated if config.time_limit_is_terminal else step.terminated)
