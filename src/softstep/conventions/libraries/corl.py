"""CORL: offline algorithms in one file each."""

from __future__ import annotations

from softstep.conventions.libraries.pace import weight_of_new
from softstep.conventions.libraries.shared import CALLER_PACE, weight
from softstep.conventions.library import Library, Setting

_VERSION = "6afec904"
_OFFLINE = "it learns offline: env_steps_per_gradient_step only says how environment steps are to be counted"

_read, _write = weight_of_new("tau")
_read_td3_bc, _write_td3_bc = weight_of_new("tau", "policy_freq")
_read_cql, _write_cql = weight_of_new("soft_target_update_rate", "target_update_period")

IQL = Library(
    title="CORL, IQL, AWAC and SAC-N",
    version=_VERSION,
    source="tinkoff-ai/CORL:algorithms/offline/iql.py:45, 66-68, 440, awac.py:286-287, sac_n.py:406",
    settings={"tau": weight(0.005), **CALLER_PACE},
    weighs="tau: new",
    clock="gradient steps",
    meaning=_read,
    write=_write,
    remarks=("iql_tau is the expectile of the loss, not of the target", _OFFLINE),
    without_effect=("iql_tau",),
)

TD3_BC = Library(
    title="CORL, TD3+BC",
    version=_VERSION,
    source="tinkoff-ai/CORL:algorithms/offline/td3_bc.py:39-42, 307, 343, 357-359",
    settings={"tau": weight(0.005), "policy_freq": Setting(2), **CALLER_PACE},
    weighs="tau: new",
    clock="gradient steps, with the delayed actor",
    meaning=_read_td3_bc,
    write=_write_td3_bc,
    remarks=(_OFFLINE,),
)

CQL = Library(
    title="CORL, CQL",
    version=_VERSION,
    source="tinkoff-ai/CORL:algorithms/offline/cql.py:45-46, 521-523, 748, 786-787",
    settings={"soft_target_update_rate": weight(0.005), "target_update_period": Setting(1), **CALLER_PACE},
    weighs="soft_target_update_rate: new",
    clock="gradient steps",
    meaning=_read_cql,
    write=_write_cql,
    remarks=(_OFFLINE,),
)
