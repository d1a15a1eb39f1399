"""The stories of the stability room: a problem, a pair, and two or three plain sentences that a test checks."""

from __future__ import annotations

from typing import Any, NamedTuple


class Story(NamedTuple):
    """Where to look, and what there is to see."""

    id: str
    title: str
    text: str
    problem: str
    gamma: float
    alpha: float
    c: float


STORIES: tuple[Story, ...] = (
    Story(
        "only-target", "Only the target works",
        "Two states, two features. One network diverges at every learning rate: no point on the top edge is blue. "
        "A slow target rescues it, here for every c above 0.862.",
        "only_target", 0.9, 0.1, 0.99,
    ),
    Story(
        "target-destroys", "The target destroys",
        "Three states in a chain, and one network learns them without trouble (the top edge is blue). "
        "A slow target breaks it: for c above 0.950 the same α diverges.",
        "target_destroys", 0.9, 0.1, 0.99,
    ),
    Story(
        "resonance", "Resonance",
        "Without a target it settles, and with a very slow one it settles. "
        "In between, from c = 0.410 to 0.994, target and network push each other like a swing.",
        "resonance", 0.9, 0.1, 0.9,
    ),
    Story(
        "smaller-alpha", "A smaller α makes it diverge",
        "The usual cure is a smaller step. Here c = 0.9 and α = 0.01 diverges, though α = 0.1 at the same c settles: "
        "for small steps the target hardly lags, and without a lag this problem diverges. Drag α to the right.",
        "only_target", 0.9, 0.01, 0.9,
    ),
    Story(
        "baird", "Baird's star",
        "Seven states, and the classic example of divergence: from γ = 15/17 on, one network fails at every rate. "
        "A slow target works; at α = 0.01 it needs c above 0.980.",
        "baird", 0.99, 0.01, 0.995,
    ),
)  # fmt: skip


def stories() -> dict[str, Any]:
    """All stories, in order."""
    return {"stories": [story._asdict() for story in STORIES]}
