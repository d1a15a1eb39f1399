"""One colour and one letter per arm, the same in every picture of the product.

Each named colour has a contrast of at least 3 : 1 on white and on the dark ground below, and any two of them stay
apart under protanopia, deuteranopia and tritanopia; a test computes both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LIGHT_GROUND, LIGHT_INK = "#ffffff", "#1b2333"
DARK_GROUND, DARK_INK = "#0e1420", "#e8edf6"


class ArmStyle(NamedTuple):
    """How an arm is drawn."""

    colour: str
    """#rrggbb, for light and dark grounds alike."""
    letter: str
    """One character that tells the arm without colour."""


ARMS = {
    "soft": ArmStyle("#1f63e0", "S"),
    "smaller-alpha": ArmStyle("#da7b00", "<"),
    "same-alpha": ArmStyle("#e0246a", "="),
    "hard": ArmStyle("#0fa08a", "H"),
    "blended": ArmStyle("#c76fe0", "B"),
    "best-alpha": ArmStyle("#8a5a00", "*"),
    "best-soft": ArmStyle("#666699", "+"),
}
"""The arms of the founding question."""

FALLBACK = ("#1f63e0", "#da7b00", "#0fa08a", "#e0246a", "#8a5a00", "#c76fe0", "#666699", "#5c8a00")
"""For arms of other names, in this order, colours of the named arms present left out while others are left."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def arm_styles(arms: Sequence[str]) -> dict[str, ArmStyle]:
    """A style for each of `arms`: its own where it has one, else a colour and a letter not yet taken."""
    styles = {arm: ARMS[arm] for arm in arms if arm in ARMS}
    taken = {style.colour for style in styles.values()}
    free = [colour for colour in FALLBACK if colour not in taken] or list(FALLBACK)
    others = [arm for arm in arms if arm not in ARMS]
    for number, arm in enumerate(others):
        used = {style.letter for style in styles.values()}
        styles[arm] = ArmStyle(free[number % len(free)], _letter(arm, used))
    return {arm: styles[arm] for arm in arms}


def _letter(arm: str, used: set[str]) -> str:
    """The first letter of the arm's name that is not used yet, else any unused one, else ·."""
    return next((c for c in arm.upper() + _LETTERS if c in _LETTERS and c not in used), "·")
