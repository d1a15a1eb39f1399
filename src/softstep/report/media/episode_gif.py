"""A greedy episode as an animated GIF: the picture of the environment, and beside it what the network thinks."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from PIL import Image

from softstep.errors import ConfigError
from softstep.report.media.episode_frame import Moment, Stage
from softstep.report.shared.output_file import check_output, write_output

MAX_BYTES = 3_000_000
"""Size above which frames are left out."""

MAX_FRAMES = 300
"""Frames above which every other one is left out."""

LAST_FRAME = 2_500
"""Milliseconds for which the end stays."""

COLOURS = 128
"""Palette of the whole animation."""

ACTION_NAMES = {
    "LunarLander": ("nothing", "left engine", "main engine", "right engine"),
    "CartPole": ("push left", "push right"),
    "MountainCar": ("push left", "nothing", "push right"),
    "Acrobot": ("torque −1", "torque 0", "torque +1"),
}
"""What the actions of an environment (its name without version) do."""


class Episode(NamedTuple):
    """What happened, moment by moment."""

    moments: list[Moment]
    pictures: dict[int, np.ndarray]
    """RGB (height, width, 3) of some moments, the first and the last among them, by number."""
    terminated: bool
    truncated: bool
    frames_per_second: float
    """The environment's own."""


def landing_gif(
    q_values: Callable[[np.ndarray], np.ndarray],
    env_id: str,
    out: Path,
    seed: int = 0,
    fps: int = 30,
    max_steps: int = 1_000,
) -> dict[str, Any]:
    """Play one greedy episode of the Gymnasium environment `env_id` from `seed` and write it to `out`.

    `q_values` gives the action values (A,) of an observation (O,). At most about `fps` frames per second of play are
    kept, fewer where there would be more than `MAX_FRAMES` or `MAX_BYTES`; the file appears whole or not at all.

    Returns: path, return, steps, terminated, truncated, frames and bytes.
    Errors: ConfigError where the environment draws no pictures or the action values are not finite.
    """
    if fps < 1 or max_steps < 1:
        raise ConfigError(f"fps = {fps} and max_steps = {max_steps} must be at least 1")
    out = check_output(Path(out))
    episode = play(q_values, env_id, seed, fps, max_steps)
    stage = Stage(env_id, action_names(env_id, len(episode.moments[0].q_values)), episode.moments)
    shown = sorted(episode.pictures)
    content = _encode(stage, episode, shown)
    while len(content) > MAX_BYTES and len(shown) > 2:
        shown = _every_other(shown)
        content = _encode(stage, episode, shown)
    write_output(out, content)
    return {
        "path": str(out),
        "return": episode.moments[-1].total,
        "steps": episode.moments[-1].step,
        "terminated": episode.terminated,
        "truncated": episode.truncated,
        "frames": len(shown),
        "bytes": len(content),
    }


def play(
    q_values: Callable[[np.ndarray], np.ndarray], env_id: str, seed: int = 0, fps: int = 30, max_steps: int = 1_000
) -> Episode:
    """One greedy episode with about `fps` pictures per second of play, `MAX_FRAMES` at most."""
    with _headless():
        env = _make(env_id)
        try:
            return _play(q_values, env, seed, fps, max_steps)
        finally:
            env.close()


def _play(q_values: Callable[[np.ndarray], np.ndarray], env: Any, seed: int, fps: int, max_steps: int) -> Episode:
    observation, _ = env.reset(seed=seed)
    first_action = int(getattr(env.action_space, "start", 0))
    rate = float(env.metadata.get("render_fps") or 30)
    stride = max(1, round(rate / fps))
    moments: list[Moment] = []
    pictures: dict[int, np.ndarray] = {}
    total, terminated, truncated = 0.0, False, False
    while not (terminated or truncated) and len(moments) < max_steps:
        values = np.asarray(q_values(np.asarray(observation, np.float32).ravel()), float)
        if not np.isfinite(values).all():
            raise ConfigError("this agent's action values are not finite: it diverged; watch another one")
        action = int(np.argmax(values))
        if len(moments) % stride == 0:
            pictures[len(moments)] = env.render()
        if len(pictures) > MAX_FRAMES:
            stride *= 2
            pictures = {number: picture for number, picture in pictures.items() if number % stride == 0}
        observation, reward, terminated, truncated, _ = env.step(first_action + action)
        total += float(reward)
        moments.append(Moment(values, action, len(moments) + 1, total))
    pictures[len(moments)] = env.render()
    moments.append(moments[-1])
    return Episode(moments, pictures, bool(terminated), bool(truncated), rate)


def _every_other(shown: Sequence[int]) -> list[int]:
    """Half of the moments, the last one kept."""
    return [*shown[:-1:2], shown[-1]]


def _make(env_id: str) -> Any:
    """The environment, drawing; an id with a module in front is refused, because Gymnasium would import it."""
    if ":" in env_id:
        raise ConfigError(
            f"env = {env_id!r} cannot be watched: only Gymnasium's environments draw pictures (a bare id)"
        )
    blind = ConfigError(f"env = {env_id!r} draws no pictures: it has no render mode rgb_array")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say is said below
            env = gymnasium.make(env_id, render_mode="rgb_array")
    except TypeError:
        raise blind from None
    except Exception as error:
        raise ConfigError(f"env = {env_id!r} cannot be watched: {error}".splitlines()[0]) from None
    if "rgb_array" not in (env.metadata.get("render_modes") or []):
        env.close()
        raise blind
    return env


@contextlib.contextmanager
def _headless() -> Iterator[None]:
    """Let pygame draw without a screen, and without its greeting."""
    wanted = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def action_names(env_id: str, count: int) -> Sequence[str]:
    """What the actions do; "action 0" and so on where that is not known."""
    names = ACTION_NAMES.get(env_id.rpartition("-v")[0], ())
    return names if len(names) == count else [f"action {number}" for number in range(count)]


def _encode(stage: Stage, episode: Episode, shown: Sequence[int]) -> bytes:
    """The animation of the moments `shown` as a GIF's bytes."""
    samples = [stage.frame(number, episode.pictures[number]) for number in shown[:: max(1, len(shown) // 8)]]
    palette = _common_palette(samples)

    def frames() -> Iterator[Image.Image]:
        for number in shown:
            yield stage.frame(number, episode.pictures[number]).quantize(palette=palette, dither=Image.Dither.NONE)

    stride = shown[1] - shown[0]
    tick = max(20, 10 * round(100 * stride / episode.frames_per_second))
    durations = [tick] * (len(shown) - 1) + [LAST_FRAME]
    rest, buffer = frames(), io.BytesIO()
    first = next(rest)
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=False, disposal=1)
    return buffer.getvalue()


def _common_palette(samples: Sequence[Image.Image]) -> Image.Image:
    """One palette for all frames: from a few of them, side by side."""
    width, height = samples[0].size
    sheet = Image.new("RGB", (width, height * len(samples)))
    for number, sample in enumerate(samples):
        sheet.paste(sample, (0, height * number))
    return sheet.quantize(COLOURS, dither=Image.Dither.NONE)
