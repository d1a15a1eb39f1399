"""rejax."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import COUNT, by_env_steps, share, weight, whole
from softstep.conventions.library import Library, Settings, Written
from softstep.conventions.meaning import Meaning


def _rejax(s: Settings) -> Meaning:
    envs, epochs = max(1, int(s["num_envs"])), Fraction(max(1, int(s["num_epochs"])))
    return Meaning(
        weight("polyak", 1 - s["polyak"]), max(int(s["target_update_freq"]), envs) * epochs / envs, envs, epochs
    )


def _to_rejax(m: Meaning) -> Written:
    epochs = whole(m.gradient_steps)
    if epochs is None:
        return "at least one gradient step at every step of the environments"
    tau, steps = by_env_steps(m)
    frequency = whole(steps)
    if frequency is None or frequency < m.num_envs:
        tau, frequency = m.update.at_cadence(epochs).tau, m.num_envs
    return {"polyak": 1 - tau, "target_update_freq": frequency, "num_envs": m.num_envs, "num_epochs": epochs}


DQN = Library(
    "rejax, DQN", "0.1.3", "algos/mixins.py:165-177, algos/dqn.py:109-113",
    {"polyak": share(0.99), "target_update_freq": COUNT, "num_envs": COUNT, "num_epochs": COUNT},
    "polyak: old", "environment steps of all environments, at most once per step of them", _rejax, _to_rejax,
    ("several gradient steps of one iteration (num_epochs) get one target update",
     "it also moves before learning starts, which changes nothing: both networks are still equal"),
)  # fmt: skip
