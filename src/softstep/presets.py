"""Named configurations.

`lab` follows the course's practice lab and `fast` solves Lunar Lander fastest; `demo` and `full` are the lab's settings
for a comparison of a few minutes and of two hours. `sac-lander` and its like follow rl-baselines3-zoo
(DLR-RM/rl-baselines3-zoo:hyperparams/{sac,td3,ddpg}.yml) and, where the zoo is silent, stable-baselines3's defaults;
docs/howto/presets.md numbers the deviations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from softstep.config import Config
from softstep.errors import ConfigError, near
from softstep.settings import Exploration
from softstep.target import TargetUpdate

_MAIN_ARMS = ("soft", "smaller-alpha", "same-alpha")
_FIXED_ARMS = (*_MAIN_ARMS, "blended", "hard")
_ALL_ARMS = (*_FIXED_ARMS, "best-alpha", "best-soft")


@dataclass(frozen=True)
class Preset:
    """A configuration with a name and a one-line summary; `config.env` is the environment it is meant for."""

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
    double_q=True,
    hidden=(128, 128),
    exploration=Exploration(end=0.02, steps=20_000),
    eval_every=10_000,
    eval_episodes=50,
    eval_network="target",
    eval_gate=190.0,
    solve_at=225.0,
)


_DEMO = replace(_LAB, total_steps=250_000, seeds=6, block_width=9, eval_every=50_000, eval_episodes=5)


_FULL = replace(_LAB, total_steps=500_000, seeds=20, block_width=10, eval_every=25_000, eval_episodes=30)

_PENDULUM: dict[str, Any] = {
    "env": "Pendulum-v1", "total_steps": 20_000, "learning_rate": 1e-3, "memory_size": 20_000, "record_every": 1_000,
    "eval_every": 2_000,
}  # fmt: skip

_LANDER: dict[str, Any] = {
    "env": "LunarLander-v3", "env_args": {"continuous": True}, "hidden": (400, 300), "learning_starts": 10_000,
    "eval_every": 25_000,
}  # fmt: skip

_WALKER: dict[str, Any] = {
    "env": "BipedalWalker-v3", "hidden": (400, 300), "gamma": 0.98, "learning_starts": 10_000, "eval_every": 50_000,
}  # fmt: skip

_EVERY_STEP: dict[str, Any] = {"batch_size": 256, "train_every": 1}
"""One gradient step per environment step, on 256 transitions."""

_SAC = Config(algorithm="sac", hidden=(256, 256), learning_starts=100, **_EVERY_STEP)

_TD3 = Config(
    algorithm="td3",
    learning_rate=1e-3,
    target=TargetUpdate(tau=0.005, period=2),
    policy_delay=2,
    gamma=0.98,
    memory_size=200_000,
    learning_starts=10_000,
    hidden=(400, 300),
    action_noise=0.1,
    **_EVERY_STEP,
)

_DDPG = replace(_TD3, algorithm="ddpg", target=TargetUpdate(tau=0.005), policy_delay=1)

_SAC_LANDER = replace(
    _SAC,
    **_LANDER,
    total_steps=500_000,
    learning_rate=7.3e-4,
    learning_rate_decay=1e-3,
    learning_rate_decay_steps=500_000,
    target=TargetUpdate(tau=0.01),
    memory_size=500_000,
)

_SAC_WALKER = replace(
    _SAC,
    **_WALKER,
    total_steps=500_000,
    learning_rate=7.3e-4,
    target=TargetUpdate(tau=0.02),
    memory_size=300_000,
    train_every=64,
    gradient_steps=64,
)

_ZOO = (
    Preset("sac-pendulum", "SAC on Pendulum, 20 000 steps (rl-baselines3-zoo)", replace(_SAC, **_PENDULUM)),
    Preset("sac-lander", "SAC on the continuous Lunar Lander, 500 000 steps (rl-baselines3-zoo)", _SAC_LANDER),
    Preset("sac-walker", "SAC on BipedalWalker, 500 000 steps (rl-baselines3-zoo, without gSDE)", _SAC_WALKER),
    *(
        Preset(f"{config.algorithm}-{name}", f"{config.algorithm.upper()} on {where} (rl-baselines3-zoo)", config)
        for base in (_TD3, _DDPG)
        for name, where, config in (
            ("pendulum", "Pendulum, 20 000 steps", replace(base, **_PENDULUM)),
            ("lander", "the continuous Lunar Lander, 300 000 steps", replace(base, **_LANDER, total_steps=300_000)),
            ("walker", "BipedalWalker, 1 000 000 steps", replace(base, **_WALKER, total_steps=1_000_000)),
        )
    ),
)

PRESETS = {
    preset.name: preset
    for preset in (
        Preset("lab", "the course's practice lab, line by line (Lunar Lander, 64-64, c = 0.999)", _LAB, _FIXED_ARMS),
        Preset("fast", "our fastest settings for Lunar Lander: stops at a greedy return of 225, confirmed once", _FAST),
        Preset("demo", "the lab's settings, 6 seeds: a few minutes of `softstep compare`", _DEMO),
        Preset("full", "the lab's settings, all arms, 20 seeds: two hours of `softstep compare`", _FULL, _ALL_ARMS),
        *_ZOO,
    )
}


def get(name: str) -> Config:
    """Return a preset's configuration; raise ConfigError for an unknown name."""
    return preset(name).config


def measured_as(name: str) -> Config:
    """Return the default settings, with the length, seeds and evaluations of a preset."""
    like = get(name)
    return Config(
        total_steps=like.total_steps, seeds=like.seeds, eval_every=like.eval_every, eval_episodes=like.eval_episodes
    )


def preset(name: str) -> Preset:
    """Return a preset; raise ConfigError for an unknown name."""
    if name not in PRESETS:
        raise ConfigError(f"preset = {name!r} is not one of {', '.join(PRESETS)}{near(name, list(PRESETS))}")
    return PRESETS[name]
