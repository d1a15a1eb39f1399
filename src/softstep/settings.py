"""The settings of an agent: how it explores, arms, changes during a run; and the types of all settings.

Type, bounds, default, unit and help text of a setting stand together, at its field.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from softstep.errors import ConfigError
from softstep.target import DEFAULT_FACTOR, DEFAULT_TAU, LARGEST_TAU0, TargetUpdate, adam_tau0, weight_beside_tau0
from softstep.validation import check_fields

# Types of the fields: their bounds, and the words for these in error messages.
_LARGEST = sys.float_info.max
PositiveInt = Annotated[int, Meta(ge=1, title="at least 1")]
NonNegativeInt = Annotated[int, Meta(ge=0, title="at least 0")]
PositiveFloat = Annotated[float, Meta(gt=0, le=_LARGEST, title="a finite number above 0")]
NonNegativeFloat = Annotated[float, Meta(ge=0, le=_LARGEST, title="a finite number, at least 0")]
Weight = Annotated[float, Meta(gt=0, le=1, title="in (0, 1]")]
Options = Annotated[dict[str, Annotated[float, Meta(ge=0, le=_LARGEST)]], Meta(title="finite numbers, at least 0")]
Probability = Annotated[float, Meta(ge=0, le=1, title="a probability")]
Discount = Annotated[float, Meta(ge=0, le=1, title="in [0, 1]")]
Decay = Annotated[float, Meta(gt=0, le=1, title="in (0, 1]")]
_Integer, _Float = Annotated[int, Meta(ge=-(2**53), le=2**53)], Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
EnvArgument = _Integer | _Float | bool | str | None
EnvArguments = Annotated[dict[str, EnvArgument], Meta(title="finite numbers, words, true, false or null")]
Return = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST, title="a finite return")]
Name = Annotated[str, Meta(min_length=1, title="a name of at least one character")]


ACTOR_FIELDS = frozenset({"actor_learning_rate", "actor_tau", "temperature_learning_rate"})
"""Fields of a run and of an arm that set the actor."""

ALGORITHMS_WITH = {
    "actor_learning_rate": ("ddpg", "td3", "sac"),
    "actor_tau": ("ddpg", "td3"),
    "policy_delay": ("ddpg", "td3", "sac"),
    "action_noise": ("ddpg", "td3"),
    "target_noise": ("td3",),
    "target_noise_clip": ("td3",),
    "temperature": ("sac",),
    "temperature_learning_rate": ("sac",),
    "target_entropy": ("sac",),
    "double_q": ("dqn",),
    "network": ("dqn",),
    "normalization": ("dqn",),
    "n_step": ("dqn",),
    "target_scope": ("dqn",),
    "blended": ("dqn",),
}
"""The algorithms that have a setting, for the settings that not all have."""


def refuse_foreign(settings: Any, algorithm: str, prefix: str = "") -> None:
    """Raise ConfigError for a setting of a `Config` or an `Arm` that is not at its default and means nothing here."""
    for name, algorithms in ALGORITHMS_WITH.items():
        default = getattr(type(settings), name, None)  # a dataclass keeps its defaults as attributes of the class
        value = getattr(settings, name, default)
        if algorithm not in algorithms and value != default:
            owners = " or ".join(map(repr, algorithms))
            raise ConfigError(
                f"{prefix}{name} = {value!r} needs algorithm = {owners}, and this run has {algorithm!r}: leave it out"
            )


@dataclass(frozen=True)
class Exploration:
    """ε-greedy exploration: with probability ε, the action is drawn uniformly at random."""

    schedule: Literal["linear", "geometric"] = "linear"
    """How ε falls: linear in environment steps, or geometric, by a factor at the end of every episode."""
    start: Probability = 1.0
    """ε at the first step (probability)."""
    end: Probability = 0.02
    """ε at the end, its lowest value (probability)."""
    steps: PositiveInt = 30_000
    """Environment steps over which ε falls from start to end (linear only)."""
    decay: Decay = 0.995
    """Factor on ε at the end of every episode (geometric only)."""

    def __post_init__(self) -> None:
        check_fields(self, "exploration.")
        if self.end > self.start:
            raise ConfigError(f"exploration.end = {self.end} must be at most exploration.start = {self.start}")


@dataclass(frozen=True)
class Arm:
    """One way to set α and the target, with a name; a field that is None takes the run's value."""

    name: Name
    """Label in tables and figures."""
    learning_rate: PositiveFloat | None = None
    """α, the size of a gradient step; with an actor, that of the critics."""
    target: TargetUpdate | None = None
    """How the target network follows the online network."""
    actor_learning_rate: PositiveFloat | None = None
    """α of the actor (DDPG, TD3, SAC)."""
    temperature_learning_rate: NonNegativeFloat | None = None
    """α of the temperature's logarithm (SAC)."""
    actor_tau: Weight | None = None
    """τ of the actor's target (DDPG, TD3)."""
    gamma: Discount | None = None
    """γ, the discount per environment step."""
    exploration: Exploration | None = None
    """How often the agent acts at random; the schedule must be the run's."""
    blended: bool = False
    """Blend one network with itself: after `target.period` gradient steps, W ← c·W + (1−c)·W_new; the next steps
    start from W (with more than one step, this is Lookahead)."""

    def __post_init__(self) -> None:
        check_fields(self, "arm.")


@dataclass(frozen=True)
class Change:
    """Settings changed mid-run; a field that is None leaves its setting as it is."""

    env_steps: NonNegativeInt
    """The change holds in every iteration that starts at or after this many environment steps of the agent."""
    arm: str | None = None
    """Name of the arm to change; None changes every arm."""
    learning_rate: PositiveFloat | None = None
    """α, the size of a gradient step."""
    target: TargetUpdate | None = None
    """How the target network follows the online network; τ₀ of a harmonic target is 0.3 if it is left out."""

    def __post_init__(self) -> None:
        check_fields(self, "change.")


@dataclass(frozen=True)
class Agent:
    """One learner of a run: its arm, its seed and its own settings."""

    arm: str
    seed: int
    learning_rate: float
    target: TargetUpdate
    gamma: float
    exploration: Exploration
    blended: bool = False
    """Whether `target` blends the one network with itself instead of following it."""
    actor_learning_rate: float | None = None
    """α of the actor; `learning_rate` is that of the critics. None, like the following, for deep Q-learning."""
    temperature_learning_rate: float | None = None
    actor_tau: float | None = None
    """τ of the actor's target; τ₀ if that is harmonic."""
    actor_harmonic_steps: float = math.inf
    """K of the actor's target, τ_t = min(τ₀, K/t); infinite for a constant τ."""


def changed(agent: Agent, changes: Sequence[Change]) -> Agent:
    """Return the agent after the changes for its arm."""
    for change in changes:
        if change.arm in (None, agent.arm):
            rate = agent.learning_rate if change.learning_rate is None else change.learning_rate
            target = agent.target if change.target is None else change.target.resolved(agent.gamma)
            agent = dataclasses.replace(agent, learning_rate=rate, target=target)
    return agent


def default_tau0(optimizer: str, learning_rate: float, gradient_steps: int) -> float:
    """Return τ₀ of an agent's harmonic target if it is left out: `adam_tau0` for Adam, 0.3 for other optimizers.

    Args:
        optimizer: its name in optax.
        learning_rate: α.
        gradient_steps: gradient steps of the whole run.
    """
    return adam_tau0(learning_rate, gradient_steps) if optimizer == "adam" and gradient_steps else LARGEST_TAU0


_HARMONIC_DEFAULTS = {"schedule": "constant", "tau0": None, "factor": DEFAULT_FACTOR, "gamma": None}


def counted_target(target: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the fields of a target update that count in a content hash: a constant target has τ and a period."""
    if target is None:
        return None
    return {k: v for k, v in target.items() if k not in _HARMONIC_DEFAULTS or v != _HARMONIC_DEFAULTS[k]}


def counted_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of an arm or a change that count in a content hash: later ones only if they are set."""
    counted = {name: value for name, value in settings.items() if name not in ACTOR_FIELDS or value is not None}
    return counted | {"target": counted_target(settings["target"])}


def with_named_schedule(base: TargetUpdate, named: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of a target that are laid over `base`, with the default τ if the schedule leaves it open.

    A base that has a τ of its own, such as a preset, is no reason to refuse a harmonic target. Raises ValueError if
    `named` itself has a τ for a harmonic target, and not that of its first update, as `TargetUpdate` writes it.
    """
    schedule = named.get("schedule", base.schedule)
    if "tau" not in named:
        return {"tau": DEFAULT_TAU, **named} if "harmonic" in (schedule, base.schedule) else named
    tau0 = named.get("tau0", base.tau0)
    if schedule == "harmonic" and named["tau"] != (LARGEST_TAU0 if tau0 is None else tau0):
        raise ValueError(f"target: {weight_beside_tau0('tau', named['tau'])}")
    return named
