"""The settings of each library, what they mean, and who would set the same there.

Every rule names the library's version and the lines it was read from; where the library can be installed beside this
one, a test runs it and watches when its target moves.
"""

from __future__ import annotations

from collections.abc import Mapping

from softstep.config import ConfigError, near
from softstep.conventions.libraries import (
    cleanrl,
    course_lab,
    dopamine,
    optax,
    purejaxrl,
    rejax,
    rllib,
    softstep,
    stable_baselines3,
    tianshou,
    torch,
    torchrl,
)
from softstep.conventions.library import Library

LIBRARIES: Mapping[str, Library] = {
    "sb3": stable_baselines3.DQN,
    "sb3-sac": stable_baselines3.SAC,
    "sb3-td3": stable_baselines3.TD3,
    "cleanrl": cleanrl.DQN,
    "rejax": rejax.DQN,
    "rllib": rllib.DQN,
    "tianshou": tianshou.DQN,
    "tianshou-sac": tianshou.SAC,
    "torchrl-soft": torchrl.SOFT_UPDATE,
    "torchrl-hard": torchrl.HARD_UPDATE,
    "dopamine": dopamine.DQN,
    "optax": optax.UPDATES,
    "purejaxrl": purejaxrl.DQN,
    "torch-ema": torch.AVERAGED_MODEL,
    "lab": course_lab.LAB,
    "softstep": softstep.SOFTSTEP,
}
"""Every convention by its short name."""


def library(name: str) -> Library:
    """The library of that name. ConfigError with near names where there is none."""
    if name not in LIBRARIES:
        raise ConfigError(f"library {name!r} is not known{near(name, list(LIBRARIES))}: {', '.join(LIBRARIES)}")
    return LIBRARIES[name]
