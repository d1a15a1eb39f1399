"""The words every floor shares: transitions and the axis letters.

Axis letters in shapes: P agents, W agents of one block, S seeds, E environments, B batch, A actions,
O observation size, T time, V vector steps per iteration, U gradient steps per iteration.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Transition(NamedTuple):
    """One step of experience, or any batch of them (leading axes shared by all fields).

    `discount` is 0 at a true termination and 1 everywhere else, a time limit included; γ is multiplied in by the
    learner. `next_observation` is the observation *before* any reset.
    """

    observation: Any  # (..., O)
    action: Any  # (...), whole numbers
    reward: Any  # (...)
    discount: Any  # (...), 0 or 1
    next_observation: Any  # (..., O)


def row_width(observation_size: int) -> int:
    """Floats per stored transition: 2·O + 3."""
    return 2 * observation_size + 3


def columns(rows: Any, observation_size: int) -> tuple[Any, Any, Any, Any, Any]:
    """Rows (..., 2·O + 3) as observation, action, reward, discount, next observation; views, where rows are NumPy's."""
    o = observation_size
    return rows[..., :o], rows[..., o], rows[..., o + 1], rows[..., o + 2], rows[..., o + 3 :]


def unpack_rows(rows: Any, observation_size: int) -> Transition:
    """Rows (..., 2·O + 3) as transitions."""
    observation, action, reward, discount, next_observation = columns(rows, observation_size)
    return Transition(observation, action.astype("int32"), reward, discount, next_observation)
