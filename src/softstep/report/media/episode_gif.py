"""A greedy episode as an animated GIF: the environment's picture, and beside it the action values.

Of continuous actions, it shows the action and its value.
"""

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

from softstep.envs import EnvSpec, make_gymnasium
from softstep.envs.actions import box_bounds
from softstep.envs.contract import ActionBounds
from softstep.errors import ConfigError, EnvironmentFailed
from softstep.policies.policy import Policy
from softstep.report.media.episode_frame import EpisodeStep, FrameRenderer
from softstep.report.shared.output_file import check_output, write_output
from softstep.user_code import close, guarded

MAX_BYTES = 3_000_000
"""Largest size of the file in bytes; above it, frames are dropped."""

MAX_FRAMES = 300
"""Largest number of frames; above it, every other one is dropped."""

LAST_FRAME = 2_500
"""Duration of the last frame in milliseconds."""

COLOURS = 128
"""Number of colours of the animation."""

ACTION_NAMES = {
    "LunarLander": ("nothing", "left engine", "main engine", "right engine"),
    "CartPole": ("push left", "push right"),
    "MountainCar": ("push left", "nothing", "push right"),
    "Acrobot": ("torque −1", "torque 0", "torque +1"),
}
"""What the actions do, by the environment's name without its version."""

COMPONENT_NAMES = {
    "Pendulum": ("torque",),
    "MountainCarContinuous": ("force",),
    "LunarLander": ("main engine", "side engines"),
    "BipedalWalker": ("hip 1", "knee 1", "hip 2", "knee 2"),
}
"""What the components of continuous actions do."""

Agent = Policy | Callable[[np.ndarray], np.ndarray]
"""A policy, or a function that returns the action values (A,) of an observation (O,)."""


class Episode(NamedTuple):
    """A played episode with pictures of some of its steps."""

    steps: list[EpisodeStep]
    """All steps; the last one appears twice, so that the final picture has an entry."""
    pictures: dict[int, np.ndarray]
    """Pictures (height, width, 3) in RGB by index of the step; the first and the last step always have one."""
    terminated: bool
    truncated: bool
    frames_per_second: float
    """The environment's own frame rate."""
    bounds: ActionBounds | None = None
    """The range of continuous actions; None for discrete ones."""


def landing_gif(
    agent: Agent,
    env_id: str | EnvSpec,
    out: Path,
    seed: int = 0,
    fps: int = 30,
    max_steps: int = 1_000,
) -> dict[str, Any]:
    """Play one greedy episode of a Gymnasium environment and write it as a GIF, completely or not at all.

    Args:
        agent: A policy, or a function that returns the action values (A,) of an observation (O,).
        env_id: The environment's id, or the description of an environment with arguments (`policy.spec`).
        out: The file to write.
        seed: Seed of the episode.
        fps: Frames per second of play, approximately; fewer if there would be more than `MAX_FRAMES` or `MAX_BYTES`.
        max_steps: Steps after which the episode ends.

    Returns:
        path, return, steps, terminated, truncated, frames and bytes.

    Raises:
        ConfigError: If the environment draws no pictures, or if the action values are not finite.
        EnvironmentFailed: If the environment raises in a step.
    """
    if fps < 1 or max_steps < 1:
        raise ConfigError(f"fps = {fps} and max_steps = {max_steps} must be at least 1")
    out = check_output(Path(out))
    episode = play(agent, env_id, seed, fps, max_steps)
    name = _description(env_id).name
    step, bounds = episode.steps[0], episode.bounds
    names = component_names(name, len(bounds.low)) if bounds else action_names(name, len(step.q_values))
    renderer = FrameRenderer(name, names, episode.steps, bounds)
    shown = sorted(episode.pictures)
    content = _encode(renderer, episode, shown)
    while len(content) > MAX_BYTES and len(shown) > 2:
        shown = _every_other(shown)
        content = _encode(renderer, episode, shown)
    write_output(out, content)
    return {
        "path": str(out),
        "return": episode.steps[-1].total,
        "steps": episode.steps[-1].number,
        "terminated": episode.terminated,
        "truncated": episode.truncated,
        "frames": len(shown),
        "bytes": len(content),
    }


def play(
    agent: Agent,
    env_id: str | EnvSpec,
    seed: int = 0,
    fps: int = 30,
    max_steps: int = 1_000,
) -> Episode:
    """Play one greedy episode.

    Args:
        agent: A policy, or a function that returns the action values (A,) of an observation (O,).
        env_id: The environment's id, or its description.
        seed: Seed of the episode.
        fps: Pictures per second of play, approximately; fewer if there would be more than about `MAX_FRAMES`.
        max_steps: Steps after which the episode ends.
    """
    with _headless():
        env = _make(_description(env_id))
        try:
            return _play(agent, env, seed, fps, max_steps)
        finally:
            close(env)


def _play(agent: Agent, env: Any, seed: int, fps: int, max_steps: int) -> Episode:
    choose, bounds = _chooser(agent, env), _bounds(agent)
    with guarded(f"{_name(env)} cannot be reset"):
        observation, _ = env.reset(seed=seed)
    rate = float(env.metadata.get("render_fps") or 30)
    stride = max(1, round(rate / fps))
    steps: list[EpisodeStep] = []
    pictures: dict[int, np.ndarray] = {}
    total, terminated, truncated = 0.0, False, False
    while not (terminated or truncated) and len(steps) < max_steps:
        values, action, native = choose(np.asarray(observation, np.float32).ravel())
        if len(steps) % stride == 0:
            pictures[len(steps)] = _picture(env)
        if len(pictures) > MAX_FRAMES:
            stride *= 2
            pictures = {index: picture for index, picture in pictures.items() if index % stride == 0}
        with guarded(f"{_name(env)} failed at step {len(steps) + 1} of the episode", EnvironmentFailed):
            observation, reward, terminated, truncated, _ = env.step(native)
            total += float(reward)
        steps.append(EpisodeStep(values, action, len(steps) + 1, total))
    pictures[len(steps)] = _picture(env)
    steps.append(steps[-1])
    return Episode(steps, pictures, bool(terminated), bool(truncated), rate, bounds)


def _bounds(agent: Agent) -> ActionBounds | None:
    return agent.spec.action_bounds if isinstance(agent, Policy) else None


def _chooser(agent: Agent, env: Any) -> Callable[[np.ndarray], tuple[np.ndarray, Any, Any]]:
    """Return a function: observation → values and action as in `EpisodeStep`, and the action that `env` takes.

    Raises:
        ConfigError: The environment does not take the agent's continuous actions.
    """
    space, bounds = env.action_space, _bounds(agent)
    if bounds is not None and not (isinstance(space, gymnasium.spaces.Box) and box_bounds(space) == bounds):
        raise ConfigError(
            f"{_name(env)} cannot be watched: its actions are {space}, and the agent's are from {list(bounds.low)} to"
            f" {list(bounds.high)}"
        )

    def number(observation: np.ndarray) -> tuple[np.ndarray, Any, Any]:
        values = _finite(agent.q_values(observation) if isinstance(agent, Policy) else agent(observation))
        action = int(np.argmax(values))
        return values, action, int(getattr(space, "start", 0)) + action

    def components(observation: np.ndarray) -> tuple[np.ndarray, Any, Any]:
        assert isinstance(agent, Policy)
        values = _finite(np.array([agent.value(observation)]))
        action = agent(observation)
        return values, action, action.reshape(space.shape).astype(space.dtype)

    return number if bounds is None else components


def _finite(values: Any) -> np.ndarray:
    """Return action values as floats; raise ConfigError if they are not finite."""
    values = np.asarray(values, float)
    if not np.isfinite(values).all():
        raise ConfigError("this agent's action values are not finite because it diverged: watch another agent")
    return values


def _picture(env: Any) -> np.ndarray:
    """Return the environment's picture (height, width, 3); raise ConfigError if it draws none."""
    with guarded(f"{_name(env)} cannot be watched, its render() fails"):
        picture = np.asarray(env.render())
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise ConfigError(f"{_name(env)} cannot be watched: its render() returns no RGB array (height, width, 3)")
    return picture


def _name(env: Any) -> str:
    return f"env = {env.spec.id!r}"


def _every_other(shown: Sequence[int]) -> list[int]:
    """Return every other index, and always the last one."""
    return [*shown[:-1:2], shown[-1]]


def _description(env: str | EnvSpec) -> EnvSpec:
    return EnvSpec(env, "gymnasium", 0, 0, exactly_resumable=False) if isinstance(env, str) else env


def _make(spec: EnvSpec) -> Any:
    """Make an environment that draws; an id with a module in front is rejected, because Gymnasium would import it."""
    env_id = spec.name
    if ":" in env_id:
        raise ConfigError(
            f"env = {env_id!r} cannot be watched: only Gymnasium's environments draw pictures; give a bare id"
        )
    no_pictures = ConfigError(f"env = {env_id!r} draws no pictures: it has no render mode rgb_array")
    with guarded(f"env = {env_id!r} cannot be watched"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the errors below say the same
        try:
            env = make_gymnasium(spec, render_mode="rgb_array")
        except TypeError as error:
            if "render_mode" in str(error):
                raise no_pictures from None
            raise
    if "rgb_array" not in (env.metadata.get("render_modes") or []):
        close(env)
        raise no_pictures
    return env


@contextlib.contextmanager
def _headless() -> Iterator[None]:
    """Let pygame draw without a screen and without its greeting."""
    settings = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def action_names(env_id: str, count: int) -> Sequence[str]:
    """Return what the actions do, or "action 0" and so on if that is unknown."""
    names = ACTION_NAMES.get(env_id.rpartition("-v")[0], ())
    return names if len(names) == count else [f"action {number}" for number in range(count)]


def component_names(env_id: str, count: int) -> Sequence[str]:
    """Return what the components of a continuous action do, or "action 0" and so on if that is unknown."""
    names = COMPONENT_NAMES.get(env_id.rpartition("-v")[0], ())
    return names if len(names) == count else [f"action {number}" for number in range(count)]


def _encode(renderer: FrameRenderer, episode: Episode, shown: Sequence[int]) -> bytes:
    """Return the animation of the steps `shown` as the bytes of a GIF."""

    def frame(index: int) -> Image.Image:
        return renderer.frame(index, episode.pictures[index])

    palette = _common_palette([frame(index) for index in shown[:: max(1, len(shown) // 8)]])
    frames = (frame(index).quantize(palette=palette, dither=Image.Dither.NONE) for index in shown)
    stride = shown[1] - shown[0]
    tick = max(20, 10 * round(100 * stride / episode.frames_per_second))
    durations = [tick] * (len(shown) - 1) + [LAST_FRAME]
    first, buffer = next(frames), io.BytesIO()
    first.save(
        buffer, "GIF", save_all=True, append_images=frames, duration=durations, loop=0, optimize=False, disposal=1
    )
    return buffer.getvalue()


def _common_palette(samples: Sequence[Image.Image]) -> Image.Image:
    """Return one palette for all frames, from a sheet of a few of them."""
    width, height = samples[0].size
    sheet = Image.new("RGB", (width, height * len(samples)))
    for number, sample in enumerate(samples):
        sheet.paste(sample, (0, height * number))
    return sheet.quantize(COLOURS, dither=Image.Dither.NONE)
