"""Configurations of live runs: the environments they offer, and arms with the settings a client sent.

The environment decides the algorithm: DQN for discrete actions, SAC for continuous ones. α and c of an arm of SAC are
those of its critics, as everywhere in softstep: their parameters reappear in y, and their targets follow them. Actor
and temperature keep the α of the base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from softstep import presets
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.settings import Arm, Exploration
from softstep.target import TargetUpdate

MAX_ARMS = 4
"""Largest number of arms in a live run; they train side by side in one block."""

ENDLESS = 1_000_000_000
"""Environment steps of a run that continues until its last watcher leaves."""

_CART_POLE = Config(
    env="CartPole-v1", total_steps=ENDLESS, learning_rate=1e-3, gamma=0.99, batch_size=64, memory_size=20_000,
    learning_starts=500, train_every=2, hidden=(64, 64), exploration=Exploration(end=0.02, steps=4_000),
    record_every=500,
)  # fmt: skip
_LANDER = replace(
    presets.get("fast"), total_steps=ENDLESS, learning_rate_decay=1.0, record_every=1_000,
    eval_every=0, eval_gate=None, eval_network="online", solve_at=None,
)  # fmt: skip
_SAC = Config(
    algorithm="sac", total_steps=ENDLESS, learning_rate=1e-3, gamma=0.99, batch_size=64, memory_size=50_000,
    learning_starts=500, train_every=1, hidden=(64, 64), record_every=500,
)  # fmt: skip
_PENDULUM = replace(_SAC, env="Pendulum-v1")
_CONTINUOUS_LANDER = replace(
    _SAC, env="LunarLander-v3", env_args={"continuous": True}, batch_size=128, memory_size=200_000,
    learning_starts=2_000, record_every=1_000,
)  # fmt: skip
BASES = {
    "CartPole-v1": _CART_POLE,
    "LunarLander-v3": _LANDER,
    "Pendulum-v1": _PENDULUM,
    "LunarLanderContinuous-v3": _CONTINUOUS_LANDER,
}
"""The configuration of each environment that can be trained live, without its seed and arms; by Gymnasium's id."""


def live_config(env: str, seed: int, arms: Sequence[Mapping[str, Any]]) -> Config:
    """Return the configuration of a live run, whose arms share one seed.

    Each arm has a `name`, `alpha`, `c`, `target` (whether it has target networks), and maybe a `schedule` of c.
    ConfigError if the environment cannot be trained live or there are too many arms.
    """
    if env not in BASES:
        raise ConfigError(f"env = {env!r} cannot be trained live: choose {' or '.join(BASES)}")
    if not 1 <= len(arms) <= MAX_ARMS:
        raise ConfigError(f"{len(arms)} arms: a live run has 1 to {MAX_ARMS}")
    gamma = BASES[env].gamma
    config_arms = tuple(
        Arm(str(arm["name"]), float(arm["alpha"]), target_of(arm["c"], arm["target"], arm.get("schedule"), gamma))
        for arm in arms
    )
    return replace(BASES[env], seed=seed, arms=config_arms, block_width=len(config_arms))


def target_of(c: float, target: bool, schedule: str | None = None, gamma: float = 0.0) -> TargetUpdate:
    """Return the soft update with weight `c` on the old target, or no target network if `target` is False.

    If `schedule` is "harmonic", `c` is that of its first update, and the update falls with `gamma`.
    """
    if not target:
        return TargetUpdate.none()
    soft = TargetUpdate.from_c(c)
    return TargetUpdate.harmonic(gamma, soft.tau) if schedule == "harmonic" else soft
