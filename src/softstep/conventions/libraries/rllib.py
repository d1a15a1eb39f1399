"""Ray RLlib."""

from __future__ import annotations

from fractions import Fraction

from softstep.conventions.libraries.shared import COUNT, by_env_steps, share, weight
from softstep.conventions.library import Library, Setting, Settings, Written
from softstep.conventions.meaning import Meaning


def _rllib(s: Settings) -> Meaning:
    sampled = int(s["rollout_fragment_length"] * s["num_envs_per_env_runner"] * max(s["num_env_runners"], 1))
    store, train = _rllib_weights(s)
    stride = sampled * store
    rounds = -(-int(s["target_network_update_freq"]) // stride)
    period = Fraction(rounds * train) if rounds else Fraction(1)
    return Meaning(weight("tau", s["tau"]), period, sampled, Fraction(train, store))


def _rllib_weights(s: Settings) -> tuple[int, int]:
    """Rounds of sampling, and gradient steps, in one training step."""
    if not s["training_intensity"]:
        return 1, 1
    native = s["train_batch_size"] / (
        s["rollout_fragment_length"] * s["num_envs_per_env_runner"] * (s["num_env_runners"] + 1)
    )
    weight = s["training_intensity"] / native
    return (round(1 / weight), 1) if weight < 1 else (1, round(weight))


def _to_rllib(m: Meaning) -> Written:
    pace, batch = m.gradient_steps, 32
    if pace.denominator > 1 and pace.numerator > 1:
        return "a whole number of gradient steps per round of sampling, or of rounds per gradient step"
    tau, steps = by_env_steps(m) if m.period > 1 else (m.update.tau, Fraction(0))
    intensity = 0.0 if pace == 1 else float(pace) * batch / m.num_envs
    return {
        "tau": tau, "target_network_update_freq": round(steps), "num_envs_per_env_runner": m.num_envs,
        "training_intensity": intensity, "train_batch_size": batch,
    }  # fmt: skip


DQN = Library(
    "Ray RLlib, DQN (new stack)", "2.60.0", "algorithms/dqn/dqn_learner.py:87-119, dqn.py:568-592, 648-733",
    {"tau": share(1.0), "target_network_update_freq": Setting(500), "num_env_runners": Setting(0),
     "num_envs_per_env_runner": COUNT, "rollout_fragment_length": COUNT, "training_intensity": share(0.0),
     "train_batch_size": Setting(32)},
    "tau: new", "sampled environment steps since the last update, rounded up", _rllib, _to_rllib,
    ("the target also moves right after the first gradient step",
     "of several gradient steps in one training step only the first can move the target"),
)  # fmt: skip
