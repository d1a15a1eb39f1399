"""One frame of the animation: the environment's picture, and a panel with action values, return and step.

Of continuous actions, the panel shows the action's components and its value.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from softstep.envs.contract import ActionBounds
from softstep.report.shared.palette import ACCENT_ON_DARK, DARK_GROUND, DARK_INK

HEIGHT = 360
"""Height of the frame in pixels, to which the environment's picture is scaled."""

MAX_WIDTH = 560
"""Largest width of the environment's picture in pixels."""

PANEL = 264
"""Width of the panel in pixels."""

FINE = 2
"""Factor by which the panel is drawn larger and then reduced, for smooth edges; lengths below are in its pixels."""

_FAINT, _MUTED, _BAR = "#1e2838", "#8c98ad", "#4d5c76"
_LEFT, _RIGHT = 20 * FINE, (PANEL - 20) * FINE


class EpisodeStep(NamedTuple):
    """One step of an episode."""

    q_values: np.ndarray
    """Action values (A,), or the value (1,) of a continuous action."""
    action: int | np.ndarray
    """The action's number, or its components (A,) as the environment takes them."""
    number: int
    """Steps so far, this one included."""
    total: float
    """Return so far, this step's reward included."""


class FrameRenderer:
    """Renders the steps of one episode, all on the same scales.

    Args:
        title: The environment's id.
        actions: What the actions do, or the components of a continuous one.
        steps: All steps of the episode.
        bounds: The range of continuous actions; None for discrete ones.
    """

    def __init__(
        self, title: str, actions: Sequence[str], steps: Sequence[EpisodeStep], bounds: ActionBounds | None = None
    ) -> None:
        self._title, self._actions, self._steps, self._bounds = title, actions, steps, bounds
        values = np.stack([step.q_values for step in steps])
        deviations = np.abs(values - values.mean(axis=1, keepdims=True))
        self._scale = float(np.quantile(deviations.max(axis=1), 0.95)) or 1.0
        self._best = values.max(axis=1)

    def frame(self, index: int, picture: np.ndarray) -> Image.Image:
        """Return the frame of step `index`, with the environment's picture (height, width, 3) of that step."""
        scene = _fitted(picture)
        frame = Image.new("RGB", (scene.width + PANEL, HEIGHT), DARK_GROUND)
        frame.paste(scene, (0, (HEIGHT - scene.height) // 2))
        frame.paste(self._panel(index), (scene.width, 0))
        return frame

    def _panel(self, index: int) -> Image.Image:
        panel = Image.new("RGB", (PANEL * FINE, HEIGHT * FINE), DARK_GROUND)
        draw, step = ImageDraw.Draw(panel), self._steps[index]
        self._head(draw, step)
        pitch = min(84, 330 // len(self._actions))
        if self._bounds is None:
            _text(draw, _LEFT, 190, "Q of each action; bars: Q − mean", 22)
            for action, name in enumerate(self._actions):
                self._bar(draw, step, action, name, top=214 + action * pitch, pitch=pitch)
            self._history(draw, index, "largest Q so far in the episode", top=600, bottom=676)
        else:
            _text(draw, _LEFT, 190, "action; bars: from 0, within bounds", 22)
            for number, name in enumerate(self._actions):
                self._component(draw, step, number, name, top=214 + number * pitch, pitch=pitch)
            self._history(draw, index, "min Q(s, a) of the critics", top=600, bottom=676)
            _text(draw, _RIGHT, 582, _signed(float(step.q_values[0]), 1), 26, DARK_INK)
        return panel.resize((PANEL, HEIGHT), Image.Resampling.BOX)

    def _head(self, draw: ImageDraw.ImageDraw, step: EpisodeStep) -> None:
        _text(draw, _LEFT, 62, self._title, 26, DARK_INK)
        _text(draw, _RIGHT, 62, f"step {step.number}", 26)
        _text(draw, _LEFT, 128, "return", 26)
        _text(draw, _RIGHT, 130, _signed(step.total, 0), 60, DARK_INK)

    def _bar(self, draw: ImageDraw.ImageDraw, step: EpisodeStep, action: int, name: str, top: int, pitch: int) -> None:
        """Draw an action's name and value, and below them a bar from the mean of all actions; right is better.

        Args:
            draw: The panel.
            step: The step of the episode.
            action: Number of the action.
            name: What the action does.
            top: Upper edge in pixels.
            pitch: Pixels from one action to the next.
        """
        chosen, value = action == step.action, float(step.q_values[action])
        share = float(np.clip((value - step.q_values.mean()) / self._scale, -1, 1))
        middle = (_LEFT + _RIGHT) // 2
        end = middle + round(share * (_RIGHT - middle))
        ink, colour = (DARK_INK, ACCENT_ON_DARK) if chosen else (_MUTED, _BAR)
        _labelled_bar(draw, (name, _signed(value, 1)), (middle, end), (top, pitch), (ink, colour))

    def _component(
        self, draw: ImageDraw.ImageDraw, step: EpisodeStep, number: int, name: str, top: int, pitch: int
    ) -> None:
        """Draw the name and the value of an action's component, and below them a bar from 0 within its range.

        Args:
            draw: The panel.
            step: The step of the episode.
            number: Number of the component.
            name: What it does.
            top: Upper edge in pixels.
            pitch: Pixels from one component to the next.
        """
        assert self._bounds is not None
        low, high = self._bounds.low[number], self._bounds.high[number]
        value = float(np.asarray(step.action)[number])

        def position(component: float) -> int:
            return _LEFT + round((float(np.clip(component, low, high)) - low) / (high - low) * (_RIGHT - _LEFT))

        ends = (position(0), position(value))
        _labelled_bar(draw, (name, _signed(value, 2)), ends, (top, pitch), (DARK_INK, ACCENT_ON_DARK))

    def _history(self, draw: ImageDraw.ImageDraw, index: int, title: str, top: int, bottom: int) -> None:
        """Draw the largest action value over the episode up to this step, or the value of a continuous action.

        Args:
            draw: The panel.
            index: Index of the step.
            title: What is drawn.
            top: Upper edge in pixels.
            bottom: Lower edge in pixels.
        """
        _text(draw, _LEFT, top - 18, title, 22)
        low, high = float(self._best.min()), float(self._best.max())
        height = (bottom - top) / (high - low or 1.0)
        x = np.linspace(_LEFT, _RIGHT - 6, len(self._best))
        points = [(x[i], bottom - (self._best[i] - low) * height) for i in range(index + 1)]
        draw.line((_LEFT, bottom + 8, _RIGHT, bottom + 8), fill=_FAINT, width=2)
        if len(points) > 1:
            draw.line(points, fill=ACCENT_ON_DARK, width=4, joint="curve")
        px, py = points[-1]
        draw.ellipse((px - 7, py - 7, px + 7, py + 7), fill=DARK_INK)


def _labelled_bar(
    draw: ImageDraw.ImageDraw,
    texts: tuple[str, str],
    ends: tuple[int, int],
    place: tuple[int, int],
    colours: tuple[str, str],
) -> None:
    """Draw two texts, and below them a bar.

    Args:
        draw: The panel.
        texts: On the left and on the right.
        ends: Where the bar starts, with a mark, and where it ends; in either order.
        place: The upper edge, and the pixels from one bar to the next.
        colours: Of the texts and of the bar.
    """
    (left, right), (start, end), (top, pitch), (ink, colour) = texts, ends, place, colours
    size = 26 if pitch >= 56 else max(12, pitch // 2)
    _text(draw, _LEFT, top + size, left, size, ink)
    _text(draw, _RIGHT, top + size, right, size, ink)
    upper, lower = top + size + 10, top + size + 10 + max(4, pitch // 5)
    draw.rectangle((_LEFT, upper, _RIGHT, lower), fill=_FAINT)
    draw.rectangle((min(start, end), upper, max(start, end), lower), fill=colour)
    draw.line((start, upper - 4, start, lower + 4), fill=_MUTED, width=2)


def _text(draw: ImageDraw.ImageDraw, x: int, y: int, text: str, size: int, ink: str = _MUTED) -> None:
    """Draw one line of text.

    Args:
        draw: The panel.
        x: The left margin, where the text starts, or any other position, where it ends.
        y: The baseline.
        text: The text.
        size: Size of the font in pixels.
        ink: Colour of the text.
    """
    text = text.replace("−", "-")  # the font has no minus sign
    draw.text((x, y), text, ink, _font(size), anchor="ls" if x == _LEFT else "rs")


def _fitted(picture: np.ndarray) -> Image.Image:
    """Return the environment's picture, scaled to the frame."""
    image = Image.fromarray(np.asarray(picture, np.uint8)).convert("RGB")
    scale = min(HEIGHT / image.height, MAX_WIDTH / image.width)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)


def _signed(value: float, digits: int) -> str:
    """Return a rounded value, without the sign of a negative zero."""
    text = f"{value:.{digits}f}"
    return text if float(text) else text.removeprefix("-")


@functools.lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
