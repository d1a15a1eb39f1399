"""Rooms 1 and 2 in GeoGebra's formulas: one network that is blended with itself, and two networks.

They are the rooms' own recursions, written once more in GeoGebra's language, so that they can be changed there. Tests
evaluate them apart from GeoGebra and compare every point with `softstep.theory`.
"""

from __future__ import annotations

import math
from pathlib import Path

from softstep import theory
from softstep.errors import ConfigError
from softstep.explorer.geogebra.worksheet import Command, Formula, Item, Look, Slider, View, worksheet
from softstep.explorer.rooms import one_network, two_networks
from softstep.files import write_file
from softstep.report.shared.palette import ARMS

SOFT, SMALLER, PLAIN = (ARMS[name].colour for name in ("soft", "smaller-alpha", "same-alpha"))
SUFFIX = ".ggb"
MOST_STEPS = 200
"""Largest number of gradient steps that the sliders offer."""
_LEFT = 30
"""Position of sliders and texts in pixels from the left of their view."""


def write_construction(path: Path, alpha: float, c: float) -> None:
    """Write rooms 1 and 2 as a GeoGebra construction whose sliders begin at (α, c).

    Raises:
        ConfigError: The name does not end in .ggb, or there is a file of that name.
        ValueError: α or c is out of range.
        StoreError: The file cannot be written.
    """
    check_free(path)
    write_file(path, construction(alpha, c))


def check_free(path: Path) -> None:
    """Raise ConfigError unless a construction may be written to `path`."""
    if path.suffix != SUFFIX:
        raise ConfigError(f"--geogebra {path} must end in {SUFFIX}, by which GeoGebra knows its files")
    if path.exists():
        raise ConfigError(f"--geogebra {path} exists already: choose another name, or delete it")


def construction(alpha: float, c: float) -> bytes:
    """Return the file with both rooms, the first in the left view and the second in the right one.

    Raises:
        ValueError: α or c is out of range.
    """
    theory.blended_alpha(alpha, c)  # raises, in one line, if one of them is out of range
    rooms = View(-3.4, 3.4, -2.0, 6.0, ("x", "loss")), View(-2.0, 42.0, -0.6, 1.7, ("gradient steps", ""))
    items = [*_pair(alpha, c), *_one_network(), *_two_networks()]
    return worksheet("Soft update, or just a smaller step?", items, rooms)


def _pair(alpha: float, c: float) -> list[Item]:
    """Return the sliders of α and c, which both rooms share."""
    return [
        _slider("α", alpha, 0.0, max(2.5, 2 * alpha), Look(), 30),
        _slider("c", c, 0.0, 0.9999 if c > 0.99 else 0.99, Look(), 70),
    ]


def _slider(label: str, value: float, low: float, high: float, look: Look, y: int, step: float = 0.01) -> Slider:
    """Return a slider with steps so fine that they reach its first value."""
    while step > 1e-9 and not math.isclose(value / step, round(value / step), abs_tol=1e-9):
        step /= 10
    return Slider(label, value, low, high, step, look, (_LEFT, y))


def _hidden(view: int) -> Look:
    return Look(view=view, visible=False)


def _points(label: str, x: str, y: str, count: str, look: Look) -> Command:
    """Return the list of points (x, y) for i = 1 to `count` + 1."""
    return Command(label, "Sequence", (f"({x}, {y})", "i", "1", f"{count} + 1"), look)


def _one_network() -> list[Item]:
    """Return room 1: the soft update, descent at α and descent at (1 − c)·α on a loss f that can be edited."""
    defaults = one_network.PathParameters()
    reach, hidden = one_network.REACH, _hidden(1)
    items: list[Item] = [
        _slider("x_0", defaults.x, -reach, reach, Look(), 110),
        _slider("n", defaults.steps, 1, MOST_STEPS, Look(), 150, step=1),
        Formula("f", f"f(x) = {one_network.FORMULAS['bowl', 1]}", "function", Look(thickness=3)),
        Formula("plain", "plain(x) = x - α * f'(x)", "function", hidden),
        Formula("blended", "blended(x) = c * x + (1 - c) * (x - α * f'(x))", "function", hidden),
        Formula("smaller", "smaller(x) = x - (1 - c) * α * f'(x)", "function", hidden),
    ]
    for label, function, colour, size in (
        ("plainPath", "plain", PLAIN, 4),
        ("blendedPath", "blended", SOFT, 7),
        ("smallerPath", "smaller", SMALLER, 3),
    ):
        x = f"Element({label}, i)"
        items += [
            Command(label, "IterationList", (function, "x_0", "n"), hidden),
            _points(f"{label}Points", x, f"f({x})", "n", Look(colour=colour, thickness=size)),
        ]
    apart = "abs(Element(blendedPath, i) - Element(smallerPath, i))"
    return [
        *items,
        Command("apart", "Sequence", (apart, "i", "1", "n + 1"), hidden),
        Formula("room1", _text("Room 1, one network: α′ = (1 − c) α = ", "(1 - c) * α"), "text", _at(1, 505)),
        Formula("legend1", '"red: descent at α, blue: soft update, orange: descent at α′"', "text", _at(1, 535)),
        Formula("same", _text("largest distance of blue and orange: ", "Max(apart)"), "text", _at(1, 565)),
    ]


def _two_networks() -> list[Item]:
    """Return room 2: Q and T, and the single network X at (1 − c)·α, for step(q, t) = a·t − b·q."""
    defaults, hidden = two_networks.StepParameters(), _hidden(2)
    after = "(x(P) + α * step(x(P), y(P)), c * y(P) + (1 - c) * (x(P) + α * step(x(P), y(P))))"
    pair, single = "Element(pairs, i)", "Element(single, i)"
    items: list[Item] = [
        _slider("a", defaults.a, -2, 2, Look(view=2), 30),
        _slider("b", defaults.b, 0.05, 3, Look(view=2), 70),
        _slider("q_0", defaults.start, -10, 10, Look(view=2), 110),
        _slider("m", two_networks.SHORTEST, 2, MOST_STEPS, Look(view=2), 150, step=1),
        Formula("step", "step(q, t) = a * t - b * q", "functionnvar", hidden),
        Command("pairs", "IterationList", (after, "P", "{(q_0, q_0)}", "m"), hidden),
        Command("single", "IterationList", ("u + (1 - c) * α * step(u, u)", "u", "{q_0}", "m"), hidden),
        _points("Q", "i - 1", f"x({pair})", "m", Look(view=2, colour=PLAIN, thickness=4)),
        _points("T", "i - 1", f"y({pair})", "m", Look(view=2, colour=SOFT, thickness=5)),
        _points("X", "i - 1", single, "m", Look(view=2, colour=SMALLER, thickness=3)),
    ]
    second = "y(Element(pairs, 3)) - Element(single, 3)"
    return [
        *items,
        Formula("room2", '"Room 2, two networks: step(Q, T) = a T − b Q"', "text", _at(2, 505)),
        Formula("legend2", '"red: Q, blue: T, orange: the single network X at α′ = (1 − c) α"', "text", _at(2, 535)),
        Formula("difference", _text("T − X after two steps: ", second), "text", _at(2, 565)),
    ]


def _at(view: int, y: int) -> Look:
    return Look(view=view, text_at=(_LEFT, y))


def _text(words: str, number: str) -> str:
    """Return a text that ends in a number."""
    return f'"{words}" + ({number})'
