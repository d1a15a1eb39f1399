"""TF-Agents: the DQN agent."""

from __future__ import annotations

from softstep.conventions.libraries.pace import weight_of_new
from softstep.conventions.libraries.shared import CALLER_PACE, weight
from softstep.conventions.library import Library, Setting

_read, _write = weight_of_new("target_update_tau", "target_update_period")

DQN = Library(
    title="TF-Agents, DqnAgent",
    version="eb24cf5f",
    source="tensorflow/agents:tf_agents/agents/dqn/dqn_agent.py:111-112, 385-409, tf_agents/utils/common.py:490-502",
    settings={"target_update_tau": weight(1.0), "target_update_period": Setting(1), **CALLER_PACE},
    weighs="target_update_tau: new",
    clock="calls of train()",
    meaning=_read,
    write=_write,
    remarks=("its defaults, τ = 1 at every call, mean no target network",),
)
