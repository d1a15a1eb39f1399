"""Named configurations: `lab` follows the course's practice lab, `fast` is our best on the lander, `demo` asks the
founding question in a few minutes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from softstep.config import Config, Exploration
from softstep.errors import ConfigError, near
from softstep.target import TargetUpdate

_THREE = ("soft", "smaller-alpha", "same-alpha")
_FIVE = (*_THREE, "blended", "hard")
_ALL = (*_FIVE, "best-alpha", "best-soft")


@dataclass(frozen=True)
class Preset:
    """A configuration with a name and a reason."""

    name: str
    summary: str
    config: Config
    arms: tuple[str, ...] = _THREE
    """What `softstep compare` compares under it."""


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
        Preset("lab", "the course's practice lab, line by line (Lunar Lander, 64-64, c = 0.999)", _LAB, _FIVE),
        Preset("fast", "our fastest way to a landing: stops at a greedy return of 225, twice in a row", _FAST),
        Preset("demo", "the lab's settings, 6 seeds, a few minutes: for `softstep compare`", _DEMO),
        Preset("full", "the lab's settings, every arm, 20 judging seeds: two hours of `softstep compare`", _FULL, _ALL),
    )
}


def get(name: str) -> Config:
    """The preset's configuration; ConfigError for an unknown name."""
    return preset(name).config


def preset(name: str) -> Preset:
    """The preset; ConfigError for an unknown name."""
    if name not in PRESETS:
        raise ConfigError(f"preset = {name!r} is none of {', '.join(PRESETS)}{near(name, list(PRESETS))}")
    return PRESETS[name]
