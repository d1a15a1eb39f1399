"""sbx: SAC, TD3 and DDPG, in the loop of stable-baselines3, with a move of the targets after every gradient step."""

from __future__ import annotations

from dataclasses import replace

from softstep.conventions.libraries import stable_baselines3

_EVERY_STEP = replace(stable_baselines3.DDPG, version="0.28.0", without_effect=("policy_delay",))

SAC = replace(
    _EVERY_STEP,
    title="sbx, SAC",
    source="sac/sac.py:348-350, 418-462, common/off_policy_algorithm.py:18",
    remarks=("policy_delay delays the actor and the temperature, not the target (#87)",),
)

TD3 = replace(
    _EVERY_STEP,
    title="sbx, TD3",
    source="td3/td3.py:261-266, 296-338",
    remarks=(
        "policy_delay delays the actor, not the targets: with the same tau they follow policy_delay times as fast as in"
        " stable-baselines3",
        "the targets move before the actor's step: the actor's target is one step of the actor older",
    ),
)

DDPG = replace(
    TD3,
    title="sbx, DDPG",
    source="ddpg/ddpg.py:53-57, td3/td3.py:261-266, 296-338",
    remarks=(
        "it is TD3 with policy_delay = 1",
        "the targets move before the actor's step: the actor's target is one step of the actor older",
    ),
)
