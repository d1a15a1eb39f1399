"""One colour and one letter per arm, the same in every picture, page and terminal.

The colour of every named arm has a contrast of at least 3 : 1 on white and on the dark ground below. Any two of them
stay distinguishable under protanopia, deuteranopia and tritanopia. A test computes both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LIGHT_GROUND, LIGHT_INK = "#ffffff", "#1b2333"
DARK_GROUND, DARK_INK = "#0e1420", "#e8edf6"


class ArmStyle(NamedTuple):
    """How an arm is drawn."""

    colour: str
    """#rrggbb, for light and dark grounds."""
    letter: str
    """One character that identifies the arm without colour."""


ARMS = {
    "soft": ArmStyle("#1f63e0", "S"),
    "smaller-alpha": ArmStyle("#da7b00", "<"),
    "same-alpha": ArmStyle("#e0246a", "="),
    "hard": ArmStyle("#0fa08a", "H"),
    "blended": ArmStyle("#c76fe0", "B"),
    "best-alpha": ArmStyle("#8a5a00", "*"),
    "best-soft": ArmStyle("#666699", "+"),
    "critic-target": ArmStyle("#7e1bfc", "C"),
    "actor-target": ArmStyle("#c68751", "A"),
}
"""The arms of comparisons."""

ACCENT = ARMS["soft"].colour
"""Colour of bars, borders and outlines that belong to no arm."""

ACCENT_ON_DARK = "#5b93ff"
"""A lighter accent, for text and thin lines on the dark ground."""

FALLBACK = (
    *(
        ARMS[arm].colour
        for arm in ("soft", "smaller-alpha", "hard", "same-alpha", "best-alpha", "blended", "best-soft")
    ),
    "#5c8a00",
)
"""Colours for arms of other names, in this order; colours of named arms that are present are used last."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def arm_styles(arms: Sequence[str]) -> dict[str, ArmStyle]:
    """Return a style for each arm: its own if it has one, otherwise an unused colour and an unused letter.

    Colours repeat when there are more arms than colours; letters do not.
    """
    styles = {arm: ARMS[arm] for arm in arms if arm in ARMS}
    taken = {style.colour for style in styles.values()}
    free = [colour for colour in FALLBACK if colour not in taken] or list(FALLBACK)
    others = [arm for arm in arms if arm not in ARMS]
    for number, arm in enumerate(others):
        used = {style.letter for style in styles.values()}
        styles[arm] = ArmStyle(free[number % len(free)], _free_letter(arm, used))
    return {arm: styles[arm] for arm in arms}


def _free_letter(arm: str, used: set[str]) -> str:
    """Return the first unused letter of the arm's name, otherwise any unused letter, otherwise ·."""
    return next((c for c in arm.upper() + _LETTERS if c in _LETTERS and c not in used), "·")


def css_variables() -> str:
    """Return a CSS rule that gives the grounds, the inks and the accent to a style sheet."""
    return (
        f":root{{--accent:{ACCENT};--light-ground:{LIGHT_GROUND};--light-ink:{LIGHT_INK};"
        f"--dark-ground:{DARK_GROUND};--dark-ink:{DARK_INK}}}\n"
    )
