"""The transition, and the letters that name axes in shapes.

Axis letters: P agents, W agents of one block, S seeds, E environments, B batch, A actions, O observation size, T time,
V vector steps per iteration, U gradient steps per iteration.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Transition(NamedTuple):
    """One step of experience, or any batch of them (all fields share the leading axes).

    `discount` is 0 at a true termination and 1 everywhere else, time limits included; the learner multiplies by γ.
    `next_observation` is the observation *before* any reset.
    """

    observation: Any  # (..., O)
    action: Any  # (...), integers
    reward: Any  # (...)
    discount: Any  # (...), 0 or 1
    next_observation: Any  # (..., O)
