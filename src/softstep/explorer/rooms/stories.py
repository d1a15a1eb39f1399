"""The stories of the stability room: a problem, a pair (α, c), and a few sentences whose numbers a test checks."""

from __future__ import annotations

from typing import Any, NamedTuple


class Story(NamedTuple):
    """A place on the map and what it shows."""

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
        "Two states, two features. One network diverges at every learning rate: nothing on the top edge, where c = 0, "
        "is blue. A slow target network rescues it: at α = 0.1, every c above 0.862 converges.",
        "only_target", 0.9, 0.1, 0.99,
    ),
    Story(
        "target-destroys", "The target breaks it",
        "Three states in a chain. One network learns them without trouble: the top edge, where c = 0, is blue. "
        "A slow target network breaks it: at α = 0.1, every c above 0.950 diverges.",
        "target_destroys", 0.9, 0.1, 0.99,
    ),
    Story(
        "resonance", "Resonance",
        "At α = 0.1 this problem converges without a target network, and with a very slow one it converges too. "
        "In between, from c = 0.410 to c = 0.994, the two networks amplify each other's oscillations.",
        "resonance", 0.9, 0.1, 0.9,
    ),
    Story(
        "smaller-alpha", "A smaller α makes it diverge",
        "The usual cure for divergence is a smaller step. Here c = 0.9 diverges with α = 0.01 and converges with "
        "α = 0.1: when the steps are small the target hardly lags behind, and without a lag this problem diverges. "
        "Move α to the right.",
        "only_target", 0.9, 0.01, 0.9,
    ),
    Story(
        "baird", "Baird's star",
        "Seven states: the classic example of divergence. From γ = 15/17 on, one network diverges at every learning "
        "rate. A slow target network works: at α = 0.01 it needs c above 0.980.",
        "baird", 0.99, 0.01, 0.995,
    ),
)  # fmt: skip


def stories() -> dict[str, Any]:
    """Return all stories, in order."""
    return {"stories": [story._asdict() for story in STORIES]}
