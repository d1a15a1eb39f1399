"""ElegantRL: DQN, DDPG, TD3 and SAC."""

from __future__ import annotations

from softstep.conventions.libraries.pace import weight_of_new
from softstep.conventions.libraries.shared import CALLER_PACE, weight
from softstep.conventions.library import Library

_read, _write = weight_of_new("soft_update_tau")

OFF_POLICY = Library(
    title="ElegantRL, DQN, DDPG and SAC",
    version="7c64395f",
    source="AI4Finance-Foundation/ElegantRL:elegantrl/agents/AgentBase.py:180-181, 214-221, 270-278, AgentDQN.py:60",
    settings={"soft_update_tau": weight(5e-3), **CALLER_PACE},
    weighs="soft_update_tau: new",
    clock="gradient steps",
    meaning=_read,
    write=_write,
    remarks=(
        "the pace grows with the replay buffer: buffer size · repeat_times / batch_size gradient steps every"
        " horizon_len steps, so give env_steps_per_gradient_step for the size you mean",
    ),
    without_effect=("state_value_tau",),
)
