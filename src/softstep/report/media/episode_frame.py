"""One frame of the animation: the environment's picture, and a panel with action values, return and step."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from softstep.report.shared.palette import ACCENT_ON_DARK, DARK_GROUND, DARK_INK

HEIGHT = 360
"""Pixels of the whole frame; the environment's picture is scaled to it."""

MAX_WIDTH = 560
"""Pixels of the environment's picture at most."""

PANEL = 264
"""Pixels of the panel's width."""

FINE = 2
"""The panel is drawn this much larger and then reduced, for smooth edges; lengths below are in its pixels."""

_FAINT, _MUTED, _BAR = "#1e2838", "#8c98ad", "#4d5c76"
_LEFT, _RIGHT = 20 * FINE, (PANEL - 20) * FINE


class Moment(NamedTuple):
    """One step of the episode."""

    q_values: np.ndarray
    """(A,)"""
    action: int
    step: int
    total: float
    """Return so far, this step's reward included."""


class Stage:
    """Draws the moments of one episode, all on the same scales."""

    def __init__(self, title: str, actions: Sequence[str], moments: Sequence[Moment]) -> None:
        self._title, self._actions, self._moments = title, actions, moments
        values = np.stack([moment.q_values for moment in moments])
        away = np.abs(values - values.mean(axis=1, keepdims=True))
        self._scale = float(np.quantile(away.max(axis=1), 0.95)) or 1.0
        self._best = values.max(axis=1)

    def frame(self, number: int, scene: np.ndarray) -> Image.Image:
        """Moment `number`, of which `scene` (height, width, 3) is the environment's picture."""
        picture = _fitted(scene)
        frame = Image.new("RGB", (picture.width + PANEL, HEIGHT), DARK_GROUND)
        frame.paste(picture, (0, (HEIGHT - picture.height) // 2))
        frame.paste(self._panel(number), (picture.width, 0))
        return frame

    def _panel(self, number: int) -> Image.Image:
        panel = Image.new("RGB", (PANEL * FINE, HEIGHT * FINE), DARK_GROUND)
        draw, moment = ImageDraw.Draw(panel), self._moments[number]
        self._head(draw, moment)
        _words(draw, _LEFT, 190, "Q of each action; bars: against their mean", 22)
        pitch = min(84, 330 // len(self._actions))
        for action, name in enumerate(self._actions):
            self._bar(draw, moment, action, name, top=214 + action * pitch, pitch=pitch)
        self._history(draw, number, top=600, bottom=676)
        return panel.resize((PANEL, HEIGHT), Image.Resampling.BOX)

    def _head(self, draw: ImageDraw.ImageDraw, moment: Moment) -> None:
        _words(draw, _LEFT, 62, self._title, 26, DARK_INK)
        _words(draw, _RIGHT, 62, f"step {moment.step}", 26)
        _words(draw, _LEFT, 128, "return", 26)
        _words(draw, _RIGHT, 130, _signed(moment.total, 0), 60, DARK_INK)

    def _bar(self, draw: ImageDraw.ImageDraw, moment: Moment, action: int, name: str, top: int, pitch: int) -> None:
        """Name and value in a line, and under it a bar from the mean of all actions: right is better."""
        chosen, value = action == moment.action, float(moment.q_values[action])
        size = 26 if pitch >= 56 else max(12, pitch // 2)
        ink = DARK_INK if chosen else _MUTED
        _words(draw, _LEFT, top + size, name, size, ink)
        _words(draw, _RIGHT, top + size, _signed(value, 1), size, ink)
        share = float(np.clip((value - moment.q_values.mean()) / self._scale, -1, 1))
        middle = (_LEFT + _RIGHT) // 2
        end = middle + round(share * (_RIGHT - middle))
        upper, lower = top + size + 10, top + size + 10 + max(4, pitch // 5)
        draw.rectangle((_LEFT, upper, _RIGHT, lower), fill=_FAINT)
        draw.rectangle((min(middle, end), upper, max(middle, end), lower), fill=ACCENT_ON_DARK if chosen else _BAR)
        draw.line((middle, upper - 4, middle, lower + 4), fill=_MUTED, width=2)

    def _history(self, draw: ImageDraw.ImageDraw, number: int, top: int, bottom: int) -> None:
        """The best action's value over the episode, up to this moment."""
        _words(draw, _LEFT, top - 18, "largest Q, so far in the episode", 22)
        low, high = float(self._best.min()), float(self._best.max())
        height = (bottom - top) / (high - low or 1.0)
        x = np.linspace(_LEFT, _RIGHT - 6, len(self._best))
        points = [(x[i], bottom - (self._best[i] - low) * height) for i in range(number + 1)]
        draw.line((_LEFT, bottom + 8, _RIGHT, bottom + 8), fill=_FAINT, width=2)
        if len(points) > 1:
            draw.line(points, fill=ACCENT_ON_DARK, width=4, joint="curve")
        px, py = points[-1]
        draw.ellipse((px - 7, py - 7, px + 7, py + 7), fill=DARK_INK)


def _words(draw: ImageDraw.ImageDraw, x: int, y: int, text: str, size: int, ink: str = _MUTED) -> None:
    """Text on the line y, from the left margin on or up to the right one."""
    draw.text((x, y), text, ink, _font(size), anchor="ls" if x == _LEFT else "rs")


def _fitted(scene: np.ndarray) -> Image.Image:
    """The environment's picture, as large as fits."""
    image = Image.fromarray(np.asarray(scene, np.uint8)).convert("RGB")
    scale = min(HEIGHT / image.height, MAX_WIDTH / image.width)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)


def _signed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return "-" + text[1:] if text.startswith("-") and float(text) else text.removeprefix("-")


@functools.lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
