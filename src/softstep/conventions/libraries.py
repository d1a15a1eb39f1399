"""The settings of each library, what they mean, and who would set the same there.

Every rule names the library's version and the lines it was read from; where the library can be installed beside this
one, a test runs it and watches when its target moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from softstep.conventions.meaning import Meaning
from softstep.errors import ConfigError, near
from softstep.target import TargetUpdate

Settings = Mapping[str, float]
Written = dict[str, float] | str
"""Settings, or why there are none."""


@dataclass(frozen=True)
class Setting:
    """One setting."""

    default: float | None
    """None: it must be given."""
    whole: bool = True
    """Whether it counts something."""


@dataclass(frozen=True)
class Library:
    """A library's convention."""

    title: str
    version: str
    source: str
    """File and lines that the rules were read from."""
    settings: Mapping[str, Setting]
    weighs: str
    """The setting that is a weight, and of what: `tau: new` or `polyak: old`; empty for hard copies alone."""
    clock: str
    """What its period counts."""
    meaning: Callable[[Settings], Meaning]
    write: Callable[[Meaning], Written]
    remarks: tuple[str, ...] = ()
    """What is peculiar about it."""
    older: bool = False
    """Whether its target gets the network from before the gradient step that is due at the same moment."""


def read(name: str, given: Mapping[str, float | str]) -> Meaning:
    """What settings of the library `name` mean; those not given have its defaults. ConfigError for a wrong one."""
    return library(name).meaning(complete(name, given))


def library(name: str) -> Library:
    """The library of that name. ConfigError with near names where there is none."""
    if name not in LIBRARIES:
        raise ConfigError(f"library {name!r} is not known{near(name, list(LIBRARIES))}: {', '.join(LIBRARIES)}")
    return LIBRARIES[name]


def complete(name: str, given: Mapping[str, float | str]) -> dict[str, float]:
    """All settings of a library as numbers, defaults included."""
    known = library(name).settings
    for key in given:
        if key not in known:
            raise ConfigError(f"{name} has no setting {key!r}{near(key, list(known))}: {', '.join(known)}")
    found = {key: _number(key, given[key], setting) for key, setting in known.items() if key in given}
    missing = [key for key, setting in known.items() if key not in found and setting.default is None]
    if missing:
        raise ConfigError(f"{name} needs {missing[0]}, for example {missing[0]}=0.005")
    return {key: found.get(key, setting.default or 0.0) for key, setting in known.items()}


def _number(key: str, value: float | str, setting: Setting) -> float:
    try:
        number = float(str(value).replace("_", ""))
    except ValueError:
        raise ConfigError(f"{key} = {value!r} is no number") from None
    least = -1 if key == "gradient_steps" else 0
    if not math.isfinite(number) or number < least:
        raise ConfigError(f"{key} = {value} must be a finite number, at least {least}")
    if setting.whole and number != int(number):
        raise ConfigError(f"{key} = {value} must be a whole number")
    if not setting.whole and key in _WEIGHTS and number > 1:
        raise ConfigError(f"{key} = {value} must be in [0, 1]: it is a weight")
    return number


_WEIGHTS = ("tau", "TAU", "polyak", "decay", "eps", "step_size", "target.tau", "c")


def _weight(key: str, tau: float) -> float:
    """τ, where it can be meant."""
    if not 0 < tau <= 1:
        raise ConfigError(f"{key} leaves the target where it is for ever: τ = {tau:g}")
    return tau


def _lcm(a: float, b: float) -> int:
    return math.lcm(int(a), int(b))


def _whole(value: Fraction) -> int | None:
    return int(value) if value.denominator == 1 and value >= 1 else None


_COUNT = Setting(1)
_PACE = {"env_steps_per_gradient_step": Setting(1.0, whole=False)}
"""Of functions that a loop of the user's calls after each gradient step."""


def _paced(tau: float, period: float, s: Settings) -> Meaning:
    return Meaning(tau, Fraction(period), 1, 1 / Fraction(s["env_steps_per_gradient_step"]).limit_denominator(10**6))


def _pace(m: Meaning) -> dict[str, float]:
    return {"env_steps_per_gradient_step": float(m.env_steps_per_gradient_step)}


def _by_env_steps(m: Meaning) -> tuple[float, Fraction]:
    """τ, and environment steps from one update of the target to the next: whole ones, if need be of `m.update`."""
    steps = m.period * m.env_steps_per_gradient_step
    if steps.denominator == 1:
        return m.tau, steps
    return m.update.tau, m.update.period * m.env_steps_per_gradient_step


def _copies_only(m: Meaning) -> str:
    return f"it copies only; a copy every {m.update.lag_matched_period()} gradient steps has the same mean lag"


def _every_step(m: Meaning, settings: Callable[[float], dict[str, float]]) -> Written:
    """For libraries whose target moves after every gradient step: the same half-life there."""
    if m.update.kind == "hard":
        tau = TargetUpdate.from_lag(m.mean_lag).tau
        return f"it has no period; τ = {tau:.4g} after every gradient step has the same mean lag"
    return settings(m.update.at_cadence(1).tau)


# ---- stable-baselines3 ----


def _sb3(s: Settings) -> Meaning:
    envs = max(1, int(s["n_envs"]))
    vector_steps = max(int(s["target_update_interval"]) // envs, 1)
    pace = _sb3_pace(s)
    return Meaning(_weight("tau", s["tau"]), vector_steps * pace, envs, pace)


def _sb3_pace(s: Settings) -> Fraction:
    """Gradient steps per vector step; −1 makes as many as there were environment steps."""
    every = max(1, int(s["train_freq"]))
    return Fraction(int(s["n_envs"])) if s["gradient_steps"] < 0 else Fraction(int(s["gradient_steps"]), every)


def _sb3_loop(m: Meaning) -> dict[str, float]:
    pace = m.gradient_steps
    return {"train_freq": pace.denominator, "gradient_steps": pace.numerator, "n_envs": m.num_envs}


def _to_sb3(m: Meaning) -> Written:
    tau, interval = _by_env_steps(m)
    return {"tau": tau, "target_update_interval": max(1, round(interval)), **_sb3_loop(m)}


def _sb3_sac(s: Settings) -> Meaning:
    steps, interval = max(1, int(s["gradient_steps"])), max(1, int(s["target_update_interval"]))
    return Meaning(_weight("tau", s["tau"]), Fraction(steps, -(-steps // interval)), int(s["n_envs"]), _sb3_pace(s))


def _to_sb3_sac(m: Meaning) -> Written:
    return _every_step(m, lambda tau: {"tau": tau, "target_update_interval": 1, **_sb3_loop(m)})


def _sb3_td3(s: Settings) -> Meaning:
    return Meaning(_weight("tau", s["tau"]), Fraction(int(s["policy_delay"])), int(s["n_envs"]), _sb3_pace(s))


def _to_sb3_td3(m: Meaning) -> Written:
    return {"tau": m.update.tau, "policy_delay": m.update.period, **_sb3_loop(m)}


# ---- counted in environment steps ----


def _cleanrl(s: Settings) -> Meaning:
    pace = Fraction(1, max(1, int(s["train_frequency"])))
    return Meaning(_weight("tau", s["tau"]), max(1, int(s["target_network_frequency"])) * pace, 1, pace)


def _to_cleanrl(m: Meaning) -> Written:
    tau, steps = _by_env_steps(m)
    every, frequency = _whole(m.env_steps_per_gradient_step), _whole(steps)
    if every is None or frequency is None:
        return "one gradient step per whole number of environment steps, one environment"
    return {"tau": tau, "target_network_frequency": frequency, "train_frequency": every}


def _rejax(s: Settings) -> Meaning:
    envs, epochs = max(1, int(s["num_envs"])), Fraction(max(1, int(s["num_epochs"])))
    return Meaning(
        _weight("polyak", 1 - s["polyak"]), max(int(s["target_update_freq"]), envs) * epochs / envs, envs, epochs
    )


def _to_rejax(m: Meaning) -> Written:
    epochs = _whole(m.gradient_steps)
    if epochs is None:
        return "at least one gradient step at every step of the environments"
    tau, steps = _by_env_steps(m)
    frequency = _whole(steps)
    if frequency is None or frequency < m.num_envs:
        tau, frequency = m.update.at_cadence(epochs).tau, m.num_envs
    return {"polyak": 1 - tau, "target_update_freq": frequency, "num_envs": m.num_envs, "num_epochs": epochs}


def _rllib(s: Settings) -> Meaning:
    sampled = int(s["rollout_fragment_length"] * s["num_envs_per_env_runner"] * max(s["num_env_runners"], 1))
    store, train = _rllib_weights(s)
    stride = sampled * store
    rounds = -(-int(s["target_network_update_freq"]) // stride)
    period = Fraction(rounds * train) if rounds else Fraction(1)
    return Meaning(_weight("tau", s["tau"]), period, sampled, Fraction(train, store))


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
    tau, steps = _by_env_steps(m) if m.period > 1 else (m.update.tau, Fraction(0))
    intensity = 0.0 if pace == 1 else float(pace) * batch / m.num_envs
    return {
        "tau": tau, "target_network_update_freq": round(steps), "num_envs_per_env_runner": m.num_envs,
        "training_intensity": intensity, "train_batch_size": batch,
    }  # fmt: skip


def _dopamine(s: Settings) -> Meaning:
    pace = Fraction(1, max(1, int(s["update_period"])))
    return Meaning(1.0, max(1, int(s["target_update_period"])) * pace, 1, pace)


def _to_dopamine(m: Meaning) -> Written:
    every, period = _whole(m.env_steps_per_gradient_step), _whole(_by_env_steps(m)[1])
    if m.tau < 1:
        return _copies_only(m)
    if every is None or period is None:
        return "one gradient step per whole number of environment steps, one environment"
    return {"target_update_period": period, "update_period": every}


def _purejaxrl(s: Settings) -> Meaning:
    envs = max(1, int(s["NUM_ENVS"]))
    target, train = (_lcm(envs, max(1, s[key])) for key in ("TARGET_UPDATE_INTERVAL", "TRAINING_INTERVAL"))
    return Meaning(_weight("TAU", s["TAU"]), Fraction(target, train), envs, Fraction(envs, train))


def _to_purejaxrl(m: Meaning) -> Written:
    tau, steps = _by_env_steps(m)
    every, interval = _whole(m.env_steps_per_gradient_step), _whole(steps)
    if every is None or every % m.num_envs or interval is None:
        return "at most one gradient step at every step of the environments"
    return {
        "TAU": tau, "TARGET_UPDATE_INTERVAL": interval, "TRAINING_INTERVAL": every, "NUM_ENVS": m.num_envs,
    }  # fmt: skip


# ---- counted in gradient steps, or in the user's own calls ----


def _tianshou(s: Settings) -> Meaning:
    pace = Fraction(s["update_step_num_gradient_steps_per_sample"]).limit_denominator(10**6)
    return Meaning(1.0, Fraction(max(1, int(s["target_update_freq"]))), 1, pace)


def _to_tianshou(m: Meaning) -> Written:
    if m.update.tau < 1:
        return _copies_only(m)
    pace = float(1 / m.env_steps_per_gradient_step)
    return {"target_update_freq": m.update.period, "update_step_num_gradient_steps_per_sample": pace}


def _tianshou_sac(s: Settings) -> Meaning:
    pace = Fraction(s["update_step_num_gradient_steps_per_sample"]).limit_denominator(10**6)
    return Meaning(_weight("tau", s["tau"]), Fraction(1), 1, pace)


def _to_tianshou_sac(m: Meaning) -> Written:
    pace = float(1 / m.env_steps_per_gradient_step)
    return _every_step(m, lambda tau: {"tau": tau, "update_step_num_gradient_steps_per_sample": pace})


def _to_torchrl_hard(m: Meaning) -> Written:
    if m.update.tau < 1:
        return _copies_only(m)
    return {"value_network_update_interval": m.update.period - 1, **_pace(m)}


def _optax(s: Settings) -> Meaning:
    return _paced(_weight("step_size", s["step_size"]), max(1, s["update_period"]), s)


def _lab(s: Settings) -> Meaning:
    every = Fraction(1, max(1, int(s["NUM_STEPS_FOR_UPDATE"])))
    return Meaning(_weight("TAU", s["TAU"]), Fraction(1), 1, every)


def _to_lab(m: Meaning) -> Written:
    every = _whole(m.env_steps_per_gradient_step)
    if every is None:
        return "one gradient step per whole number of environment steps, one environment"
    return _every_step(m, lambda tau: {"TAU": tau, "NUM_STEPS_FOR_UPDATE": every})


def _softstep(s: Settings) -> Meaning:
    envs, every = max(1, int(s["num_envs"])), max(1, int(s["train_every"]))
    pace = Fraction(int(s["gradient_steps"]) * max(1, envs // every) * envs, max(1, every // envs) * envs)
    return Meaning(_weight("target.tau", s["target.tau"]), Fraction(int(s["target.period"])), envs, pace)


def _to_softstep(m: Meaning) -> Written:
    pace = m.gradient_steps
    return {
        "target.tau": m.update.tau, "target.period": m.update.period, "num_envs": m.num_envs,
        "train_every": m.num_envs * pace.denominator, "gradient_steps": pace.numerator,
    }  # fmt: skip


_SB3_LOOP = {"train_freq": Setting(4), "gradient_steps": Setting(1), "n_envs": _COUNT}
_SB3_LOOP_1 = _SB3_LOOP | {"train_freq": Setting(1)}


def _share(default: float | None) -> Setting:
    return Setting(default, whole=False)


LIBRARIES: Mapping[str, Library] = {
    "sb3": Library(
        "stable-baselines3, DQN", "2.9.2", "dqn/dqn.py:174-185, common/off_policy_algorithm.py:360-366",
        {"tau": _share(1.0), "target_update_interval": Setting(10_000), **_SB3_LOOP},
        "tau: new", "environment steps, divided by n_envs and rounded down", _sb3, _to_sb3,
        ("the target moves before the gradient steps that are due at the same moment",
         "it also moves before learning starts, which changes nothing: both networks are still equal",
         "with gradient_steps=-1 it makes as many gradient steps as there were environment steps"),
        older=True,
    ),
    "sb3-sac": Library(
        "stable-baselines3, SAC", "2.9.2", "sac/sac.py:219, 292-298",
        {"tau": _share(0.005), "target_update_interval": _COUNT, **_SB3_LOOP_1},
        "tau: new", "the gradient step's number within one call of train()", _sb3_sac, _to_sb3_sac,
        ("target_update_interval has no effect where gradient_steps is 1: it counts within a call of train()",),
    ),
    "sb3-td3": Library(
        "stable-baselines3, TD3", "2.9.2", "td3/td3.py:168-169, 200-214",
        {"tau": _share(0.005), "policy_delay": Setting(2), **_SB3_LOOP_1},
        "tau: new", "gradient steps of the critic", _sb3_td3, _to_sb3_td3,
        ("the targets move with the delayed actor: policy_delay changes both",),
    ),
    "cleanrl": Library(
        "CleanRL, dqn.py and dqn_jax.py", "fe8d8a03", "cleanrl/dqn.py:194-219, cleanrl/dqn_jax.py:237-240",
        {"tau": _share(1.0), "target_network_frequency": Setting(500), "train_frequency": Setting(10)},
        "tau: new", "environment steps (one environment)", _cleanrl, _to_cleanrl,
        ("up to v1.0.0 the target moved at common multiples of both frequencies only (#322, #323)",),
    ),
    "rejax": Library(
        "rejax, DQN", "0.1.3", "algos/mixins.py:165-177, algos/dqn.py:109-113",
        {"polyak": _share(0.99), "target_update_freq": _COUNT, "num_envs": _COUNT, "num_epochs": _COUNT},
        "polyak: old", "environment steps of all environments, at most once per step of them", _rejax, _to_rejax,
        ("several gradient steps of one iteration (num_epochs) get one target update",
         "it also moves before learning starts, which changes nothing: both networks are still equal"),
    ),
    "rllib": Library(
        "Ray RLlib, DQN (new stack)", "2.60.0", "algorithms/dqn/dqn_learner.py:87-119, dqn.py:568-592, 648-733",
        {"tau": _share(1.0), "target_network_update_freq": Setting(500), "num_env_runners": Setting(0),
         "num_envs_per_env_runner": _COUNT, "rollout_fragment_length": _COUNT, "training_intensity": _share(0.0),
         "train_batch_size": Setting(32)},
        "tau: new", "sampled environment steps since the last update, rounded up", _rllib, _to_rllib,
        ("the target also moves right after the first gradient step",
         "of several gradient steps in one training step only the first can move the target"),
    ),
    "tianshou": Library(
        "Tianshou, DQN", "2.0.1", "algorithm/modelfree/dqn.py:277-285, 381-385, trainer.py:1062-1070",
        {"target_update_freq": Setting(0), "update_step_num_gradient_steps_per_sample": _share(1.0)},
        "", "gradient steps", _tianshou, _to_tianshou,
        ("target_update_freq=0, the default, means no target network",
         "TD targets are computed before the copy: one gradient step older"),
        older=True,
    ),
    "tianshou-sac": Library(
        "Tianshou, DDPG and SAC", "2.0.1", "algorithm/modelfree/sac.py:328, utils/lagged_network.py:17-18",
        {"tau": _share(0.005), "update_step_num_gradient_steps_per_sample": _share(1.0)},
        "tau: new", "gradient steps", _tianshou_sac, _to_tianshou_sac,
    ),
    "torchrl-soft": Library(
        "torchrl, SoftUpdate(tau=…)", "0.14", "torchrl/objectives/utils.py:563-588",
        {"tau": _share(None), **_PACE}, "tau: new", "calls of step()",
        lambda s: _paced(_weight("tau", s["tau"]), 1, s),
        lambda m: _every_step(m, lambda tau: {"tau": tau, **_pace(m)}),
        ("its other argument, eps = 1 − tau, weighs the old target", "buffers do not move"),
    ),
    "torchrl-hard": Library(
        "torchrl, HardUpdate", "0.14", "torchrl/objectives/utils.py:605-624",
        {"value_network_update_interval": Setting(1000), **_PACE}, "", "calls of step(), plus one",
        lambda s: _paced(1.0, s["value_network_update_interval"] + 1, s), _to_torchrl_hard,
        ("HardUpdate(N) fires at every (N + 1)-th call", "buffers do not move"),
    ),
    "dopamine": Library(
        "Dopamine, JAX DQN", "5873f549", "dopamine/jax/agents/dqn/dqn_agent.py:437-439, 564-603",
        {"target_update_period": Setting(8000), "update_period": Setting(4)},
        "", "agent steps", _dopamine, _to_dopamine,
    ),
    "optax": Library(
        "optax, incremental_update and periodic_update", "0.2.8", "optax/_src/update.py:50-109",
        {"step_size": _share(None), "update_period": _COUNT, **_PACE}, "step_size: new", "the caller's count",
        _optax, lambda m: {"step_size": m.update.tau, "update_period": m.update.period, **_pace(m)},
        ("arguments in the order (new, old, step_size); periodic_update fires at count 0 too",),
    ),
    "purejaxrl": Library(
        "PureJaxRL, dqn.py", "31756b19", "purejaxrl/dqn.py:149-151, 188-217",
        {"TAU": _share(1.0), "TARGET_UPDATE_INTERVAL": Setting(500), "TRAINING_INTERVAL": Setting(10),
         "NUM_ENVS": Setting(10)},
        "TAU: new", "environment steps, where NUM_ENVS divides them", _purejaxrl, _to_purejaxrl,
        ("it also moves before learning starts, which changes nothing: both networks are still equal",),
    ),
    "torch-ema": Library(
        "torch AveragedModel with get_ema_multi_avg_fn", "2.13.0", "torch/optim/swa_utils.py:77-80, 310-368",
        {"decay": _share(0.999), **_PACE}, "decay: old", "calls of update_parameters()",
        lambda s: _paced(_weight("decay", 1 - s["decay"]), 1, s),
        lambda m: _every_step(m, lambda tau: {"decay": 1 - tau, **_pace(m)}),
        ("the first call copies, whatever the decay", "buffers are copied at every call (use_buffers=False)"),
    ),
    "lab": Library(
        "the course lab", "its public copies", "utils.py, update_target_network",
        {"TAU": _share(1e-3), "NUM_STEPS_FOR_UPDATE": Setting(4)}, "TAU: new", "gradient steps", _lab, _to_lab,
    ),
    "softstep": Library(
        "softstep", "this one", "src/softstep/learner.py, update",
        {"target.tau": _share(0.005), "target.period": _COUNT, "num_envs": _COUNT, "train_every": Setting(4),
         "gradient_steps": _COUNT},
        "target.tau: new", "gradient steps", _softstep, _to_softstep,
    ),
}  # fmt: skip
"""Every convention by its short name."""
