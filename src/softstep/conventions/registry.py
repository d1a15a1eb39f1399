"""All conventions by name.

Every rule names the library's version and the lines it was read from. If the library can be installed beside this one,
a test runs it and observes when its target moves.
"""

from __future__ import annotations

from collections.abc import Mapping

from softstep.conventions.libraries import (
    acme,
    agilerl,
    brax,
    byol,
    cleanrl,
    coax,
    corl,
    course_lab,
    d3rlpy,
    di_engine,
    dopamine,
    dqn_zoo,
    dreamerv3,
    elegantrl,
    ema_with_warmup,
    epymarl,
    keras_rl,
    mushroom_rl,
    optax,
    pfrl,
    purejaxrl,
    rejax,
    rllib,
    sb3_contrib,
    sbx,
    skrl,
    softstep,
    spinning_up,
    stable_baselines3,
    stoix,
    tf_agents,
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
    "sb3-ddpg": stable_baselines3.DDPG,
    "sb3-qrdqn": sb3_contrib.QRDQN,
    "sb3-tqc": sb3_contrib.TQC,
    "sbx-sac": sbx.SAC,
    "sbx-td3": sbx.TD3,
    "sbx-ddpg": sbx.DDPG,
    "cleanrl": cleanrl.DQN,
    "cleanrl-sac": cleanrl.SAC,
    "cleanrl-sac-atari": cleanrl.SAC_ATARI,
    "cleanrl-td3": cleanrl.TD3,
    "cleanrl-ddpg": cleanrl.DDPG,
    "rejax": rejax.DQN,
    "rejax-sac": rejax.SAC,
    "rejax-td3": rejax.TD3,
    "rllib": rllib.DQN,
    "rllib-sac": rllib.SAC,
    "tianshou": tianshou.DQN,
    "tianshou-sac": tianshou.SAC,
    "torchrl-soft": torchrl.SOFT_UPDATE,
    "torchrl-hard": torchrl.HARD_UPDATE,
    "dopamine": dopamine.DQN,
    "optax": optax.UPDATES,
    "purejaxrl": purejaxrl.DQN,
    "torch-ema": torch.AVERAGED_MODEL,
    "skrl": skrl.DQN,
    "skrl-sac": skrl.SAC,
    "keras-rl": keras_rl.DQN,
    "d3rlpy": d3rlpy.DQN,
    "d3rlpy-sac": d3rlpy.SAC,
    "acme": acme.DQN,
    "dqn-zoo": dqn_zoo.DQN,
    "tf-agents": tf_agents.DQN,
    "spinup": spinning_up.SAC,
    "spinup-td3": spinning_up.TD3,
    "mushroom-rl": mushroom_rl.DQN,
    "agilerl": agilerl.DQN,
    "dreamerv3": dreamerv3.SLOW_VALUE,
    "epymarl": epymarl.Q_LEARNER,
    "pfrl": pfrl.DQN,
    "pfrl-sac": pfrl.SAC,
    "di-engine": di_engine.DQN,
    "di-engine-sac": di_engine.SAC,
    "stoix": stoix.DQN,
    "brax": brax.SAC,
    "elegantrl": elegantrl.OFF_POLICY,
    "coax": coax.SOFT_UPDATE,
    "corl": corl.IQL,
    "corl-td3-bc": corl.TD3_BC,
    "corl-cql": corl.CQL,
    "diffusers": ema_with_warmup.DIFFUSERS,
    "timm": ema_with_warmup.TIMM,
    "byol": byol.BYOL,
    "moco": byol.MOCO,
    "dino": byol.DINO,
    "lab": course_lab.LAB,
    "softstep": softstep.CONFIG,
}
"""Every convention by its short name."""
ANY_LIBRARY = "optax serves any library: give step_size, update_period and env_steps_per_gradient_step"
"""What to do about a library that is not in the list."""


def get_library(name: str) -> Library:
    """Return the library of that name. Raises ConfigError, with similar names, if it is unknown."""
    if name not in LIBRARIES:
        names = ", ".join(LIBRARIES)
        raise ConfigError(f"library {name!r} is unknown{near(name, list(LIBRARIES))}: {names}. {ANY_LIBRARY}")
    return LIBRARIES[name]
