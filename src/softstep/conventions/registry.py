"""All conventions by name.

Every rule names the library's version and the lines it was read from. If the library can be installed beside this one,
a test runs it and observes when its target moves.
"""

from __future__ import annotations

from collections.abc import Mapping

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
from softstep.errors import ConfigError, near

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
    "softstep": softstep.CONFIG,
}
"""Every convention by its short name."""


def get_library(name: str) -> Library:
    """Return the library of that name. Raises ConfigError, with similar names, if it is unknown."""
    if name not in LIBRARIES:
        raise ConfigError(f"library {name!r} is unknown{near(name, list(LIBRARIES))}: {', '.join(LIBRARIES)}")
    return LIBRARIES[name]
