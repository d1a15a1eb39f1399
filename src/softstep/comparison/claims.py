"""Claims about the soft update, declared before the data are seen."""

from __future__ import annotations

from typing import NamedTuple


class Claim(NamedTuple):
    """A statement about two arms that the data may support or refute."""

    name: str
    statement: str
    arms: tuple[str, str]
    """First and second arm: the estimand is first − second, or first / second."""


FIRST_UPDATE_EQUAL = Claim(
    "first-update-equal",
    "After one update, the target network of a soft update is exactly where one network at the smaller step is.",
    ("soft", "smaller-alpha"),
)

SECOND_UPDATE_DIFFERS = Claim(
    "second-update-differs",
    "From the second update on, the target network of a soft update is no longer where the smaller step leads.",
    ("soft", "smaller-alpha"),
)

BLENDED_EQUALS = Claim(
    "blended-equals-smaller-alpha",
    "One network blended with its own step is one network at the smaller step, at every update.",
    ("blended", "smaller-alpha"),
)

RETURN_CLAIMS = (
    Claim(
        "soft-beats-smaller-alpha",
        "The soft update ends with a higher greedy return than one network at the smaller step (1 − c)·α.",
        ("soft", "smaller-alpha"),
    ),
    Claim(
        "soft-beats-same-alpha",
        "The soft update ends with a higher greedy return than one network at the same α.",
        ("soft", "same-alpha"),
    ),
    Claim(
        "no-smaller-alpha-matches-soft",
        "The soft update ends with a higher greedy return than one network at the best of α and smaller ones.",
        ("best-soft", "best-alpha"),
    ),
)

SOFT_EQUALS_HARD = Claim(
    "soft-equals-hard",
    "The soft update and the occasional full copy of the network end with equivalent greedy returns.",
    ("soft", "hard"),
)

CRITIC_TARGET_NEEDED = Claim(
    "critic-target-needed",
    "The critics need their target: with soft targets of both, the greedy return ends higher than with the actor's"
    " target alone.",
    ("soft", "actor-target"),
)

ACTOR_TARGET_NOT_NEEDED = Claim(
    "actor-target-not-needed",
    "The actor needs no target: with the critics' soft target alone, the greedy return does not end lower than with"
    " both.",
    ("critic-target", "soft"),
)

Y_MOVES_LESS = Claim(
    "y-moves-less",
    "The soft update moves the learning target y less per update than one network at the same α.",
    ("soft", "same-alpha"),
)

SOFT_SMOOTHER = Claim(
    "soft-smoother-than-hard",
    "The soft update moves the learning target y more evenly than the occasional full copy: its RMS move is smaller.",
    ("soft", "hard"),
)
