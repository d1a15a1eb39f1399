"""Named configurations.

`lab` follows the course's practice lab and `fast` solves Lunar Lander fastest; `demo` and `full` are the lab's settings
for a comparison of a few minutes and of two hours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from softstep.config import Config
from softstep.errors import ConfigError, near
from softstep.settings import Exploration
from softstep.target import TargetUpdate

_MAIN_ARMS = ("soft", "smaller-alpha", "same-alpha")
_FIXED_ARMS = (*_MAIN_ARMS, "blended", "hard")
_ALL_ARMS = (*_FIXED_ARMS, "best-alpha", "best-soft")


@dataclass(frozen=True)
class Preset:
    """A configuration with a name and a one-line summary."""

    name: str
    summary: str
    config: Config
    arms: tuple[str, ...] = _MAIN_ARMS
    """Names of the arms that `softstep compare` compares with this preset."""


_LAB = Config(
    total_steps=600_000,
    learning_rate=1e-3,
    target=TargetUpdate(tau=1e-3),
    gamma=0.995,
    batch_size=64,
    memory_size=100_000,
    learning_starts=65,
    train_every=16,
    gradient_steps=4,
    loss="mse",
    hidden=(64, 64),
    initializer="glorot",
    exploration=Exploration(schedule="geometric", start=1.0, end=0.01, decay=0.995),
    time_limit_is_terminal=True,
    eval_every=50_000,
)

_FAST = Config(
    total_steps=800_000,
    num_envs=16,
    learning_rate=1e-3,
    learning_rate_decay=0.1,
    learning_rate_decay_steps=300_000,
    reward_scale=0.1,
    target=TargetUpdate(tau=0.01),
    gamma=0.99,
    batch_size=64,
    memory_size=100_000,
    learning_starts=1_000,
    train_every=4,
    loss="huber",
    max_grad_norm=1.0,
    double_q=True,
    hidden=(128, 128),
    exploration=Exploration(end=0.02, steps=20_000),
    eval_every=10_000,
    eval_episodes=30,
    eval_network="target",
    eval_gate=190.0,
    solve_at=225.0,
)


_DEMO = replace(_LAB, total_steps=250_000, seeds=6, block_width=9, eval_every=50_000, eval_episodes=5)


_FULL = replace(_LAB, total_steps=500_000, seeds=20, block_width=10, eval_every=25_000, eval_episodes=30)

PRESETS = {
    preset.name: preset
    for preset in (
        Preset("lab", "the course's practice lab, line by line (Lunar Lander, 64-64, c = 0.999)", _LAB, _FIXED_ARMS),
        Preset("fast", "our fastest settings for Lunar Lander: stops at a greedy return of 225, confirmed once", _FAST),
        Preset("demo", "the lab's settings, 6 seeds: a few minutes of `softstep compare`", _DEMO),
        Preset("full", "the lab's settings, all arms, 20 seeds: two hours of `softstep compare`", _FULL, _ALL_ARMS),
    )
}


def get(name: str) -> Config:
    """Return a preset's configuration; raise ConfigError for an unknown name."""
    return preset(name).config


def preset(name: str) -> Preset:
    """Return a preset; raise ConfigError for an unknown name."""
    if name not in PRESETS:
        raise ConfigError(f"preset = {name!r} is not one of {', '.join(PRESETS)}{near(name, list(PRESETS))}")
    return PRESETS[name]
