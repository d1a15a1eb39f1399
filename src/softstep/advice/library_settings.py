"""γ, α, the length of a run and its optimizer among the settings of other libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from softstep import conventions
from softstep.errors import ConfigError

_NAMES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "gamma": (("gamma", "discount", "discount_factor"),),
    "learning_rate": (
        ("critic_learning_rate", "critic_lr", "q_learning_rate", "q_lr", "qf_lr"),
        ("learning_rate", "lr"),
    ),
    "total_steps": (("total_steps", "total_timesteps", "n_timesteps", "num_timesteps", "total_env_steps"),),
    "learning_starts": (("learning_starts", "learning_start", "start_steps", "min_replay_size"),),
    "optimizer": (("optimizer",),),
}
"""What libraries call each quantity: of several groups of names, the first that occurs counts."""
_OWN_NAMES = {"lab": {"alpha": "learning_rate"}}
"""Further names of one library. (`alpha` is the temperature in many others.)"""
_FLAGS = {"gamma": "--gamma", "learning_rate": "--learning-rate", "total_steps": "--total-steps or --updates"}
_LINEAR = "lin_"
"""rl-baselines3-zoo's prefix of a value that falls linearly to 0."""


class Defaults(NamedTuple):
    """Settings of a library that a run takes if it names none."""

    learning_rate: float
    gamma: float
    learning_starts: int


DEFAULTS: Mapping[str, Defaults] = {
    "sb3": Defaults(1e-4, 0.99, 100),
    "sb3-sac": Defaults(3e-4, 0.99, 100),
    "sb3-td3": Defaults(1e-3, 0.99, 100),
    "sb3-ddpg": Defaults(1e-3, 0.99, 100),
    "lab": Defaults(1e-3, 0.995, 65),
    "softstep": Defaults(1e-3, 0.99, 1000),
}
"""Defaults that were read from the library's own code (stable-baselines3 2.9.2); of others they must be given.

Those of `lab` and `softstep` are our own; a test compares them, as the base installation cannot load `Config`.
"""


class RunSettings(NamedTuple):
    """What advice needs to know of a run."""

    gamma: float
    learning_rate: float
    updates: float
    """G, gradient steps of the whole run."""
    optimizer: str
    tau: float
    period: float
    """Mean number of gradient steps between target updates."""
    remarks: tuple[str, ...]
    """What was taken from defaults, and what was simplified."""


def run_settings(
    library: str,
    settings: Mapping[str, Any],
    *,
    gamma: float | None = None,
    learning_rate: float | None = None,
    total_steps: float | None = None,
    updates: float | None = None,
    optimizer: str | None = None,
) -> RunSettings:
    """Return what advice needs of a run with a library's settings; arguments take precedence over them.

    G is (environment steps − steps before learning) / (environment steps per gradient step).

    Args:
        library: short name of the library, as for `conventions.read`.
        settings: its settings of all kinds, by name.
        gamma: γ.
        learning_rate: α.
        total_steps: environment steps of the whole run.
        updates: gradient steps of the whole run, instead of counting them from `total_steps`.
        optimizer: name of the optimizer; adam if neither names one.

    Raises:
        ConfigError: γ, α or the length is neither given nor known or is not a number, or two names of it disagree.
    """
    meaning = conventions.read(library, conventions.select(library, settings, typed=False).settings)
    found, remarks = _found(library, settings), list[str]()

    def number(name: str, given: float | None) -> float:
        if given is not None:
            return given
        if name in found:
            return _number(name, *found[name], remarks)
        if library in DEFAULTS and name in Defaults._fields:
            default = getattr(DEFAULTS[library], name)
            remarks.append(f"{name} = {default:g} is the default of {library}")
            return default
        if name == "learning_starts":
            return 0.0
        raise ConfigError(f"the settings of {library} say nothing of {name}: give {_FLAGS[name]}")

    gamma, learning_rate = number("gamma", gamma), number("learning_rate", learning_rate)
    if updates is None:
        length, start = number("total_steps", total_steps), number("learning_starts", None)
        updates = (length - start) / float(meaning.env_steps_per_gradient_step)
        if updates < 1:
            raise ConfigError(f"total_steps = {length:g} ends before the first gradient step: give --total-steps")
    if optimizer is None:
        optimizer = str(found["optimizer"][1]).lower() if "optimizer" in found else "adam"
    return RunSettings(gamma, learning_rate, updates, optimizer, meaning.tau, float(meaning.period), tuple(remarks))


def _found(library: str, settings: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return the name under which each quantity occurs in the settings, and its value; None is no value."""
    by_name: dict[str, list[tuple[str, Any]]] = {}
    for key, value in settings.items():
        if value is None:
            continue
        name = key.lstrip("-").replace("-", "_").replace("/", ".").rpartition(".")[2].casefold()
        by_name.setdefault(_OWN_NAMES.get(library, {}).get(name, name), []).append((key, value))
    found = {}
    for quantity, groups in _NAMES.items():
        hits = [[hit for name in names for hit in by_name.get(name, [])] for names in groups]
        for group in filter(None, hits):
            (first, value), *others = group
            for other, another in others:
                if str(another) != str(value):
                    raise ConfigError(f"{first} = {value} and {other} = {another} disagree about {quantity}")
            found[quantity] = (first, value)
            break
    return found


def _number(name: str, key: str, value: Any, remarks: list[str]) -> float:
    """Return a value as a number, also if it is written as a string or falls linearly from it."""
    text = str(value).strip().strip("\"'")
    if text.startswith(_LINEAR):
        text = text.removeprefix(_LINEAR)
        remarks.append(f"{key} falls linearly from {text} to 0: the answer is for its start")
    try:
        return float("true" if isinstance(value, bool) else text)
    except ValueError:
        raise ConfigError(f"{key} = {value} is not a number: give {_FLAGS.get(name, key)}") from None
