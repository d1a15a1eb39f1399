"""The whole configuration: frozen dataclasses with units beside every field, JSON round trip, content hash."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from softstep.errors import ConfigError, near
from softstep.target import TargetUpdate

SCHEMA = 1
"""Version of `config.json` and of the run folder around it."""


@dataclass(frozen=True)
class Exploration:
    """ε-greedy behaviour: the probability of a uniformly random action."""

    schedule: Literal["linear", "geometric"] = "linear"
    """How ε falls: linear in environment steps, or geometric, once per finished episode."""
    start: float = 1.0
    """ε at the first step (probability)."""
    end: float = 0.02
    """ε at the end, its floor (probability)."""
    steps: int = 30_000
    """Environment steps from start to end (linear only)."""
    decay: float = 0.995
    """Factor on ε at the end of every episode (geometric only)."""

    def __post_init__(self) -> None:
        _check_types(self, "exploration.")
        for name in ("start", "end"):
            _require(0 <= getattr(self, name) <= 1, f"exploration.{name}", getattr(self, name), "a probability")
        _require(self.end <= self.start, "exploration.end", self.end, f"at most exploration.start = {self.start}")
        _require(self.steps >= 1, "exploration.steps", self.steps, "at least 1 environment step")
        _require(0 < self.decay <= 1, "exploration.decay", self.decay, "in (0, 1]")


@dataclass(frozen=True)
class Arm:
    """One named way to set α and the target; what is None comes from the configuration."""

    name: str
    """Label in tables and pictures."""
    learning_rate: float | None = None
    """α of this arm (per gradient step)."""
    target: TargetUpdate | None = None
    """How this arm's target network follows."""
    gamma: float | None = None
    """γ of this arm, the discount per environment step."""
    exploration: Exploration | None = None
    """How random this arm's behaviour is; its schedule is of the run's kind."""
    blended: bool = False
    """One network that is blended with itself: it makes `target.period` gradient steps, then W ← c·W + (1−c)·W_new
    and it goes on from W (more than one step: Lookahead)."""

    def __post_init__(self) -> None:
        _check_types(self, "arm.")
        _require(bool(self.name), "arm.name", self.name, "a word")
        if self.learning_rate is not None:
            _positive("arm.learning_rate", self.learning_rate)
        if self.gamma is not None:
            _require(0 <= self.gamma <= 1, "arm.gamma", self.gamma, "in [0, 1]")


@dataclass(frozen=True)
class Change:
    """New settings in mid-run, as a hand on a slider makes them; what is None stays as it is."""

    env_steps: int
    """They hold for every iteration that begins at or after this many environment steps of the agent."""
    arm: str | None = None
    """The arm they are for; None: every arm."""
    learning_rate: float | None = None
    """α from then on (per gradient step)."""
    target: TargetUpdate | None = None
    """How the target network follows from then on."""

    def __post_init__(self) -> None:
        _check_types(self, "change.")
        _require(self.env_steps >= 0, "change.env_steps", self.env_steps, "at least 0")
        if self.learning_rate is not None:
            _positive("change.learning_rate", self.learning_rate)


@dataclass(frozen=True)
class Config:
    """Everything that decides a run's numbers."""

    env: str = "LunarLander-v3"
    """Environment: a Gymnasium id, `gymnax:ID` (inside the compiled loop) or `envpool:ID`."""
    env_modules: tuple[str, ...] = ()
    """Modules to import that register environments of your own (--env-module)."""
    seed: int = 0
    """First seed."""
    seeds: int = 1
    """Number of seeds: agents trained side by side, seed, seed + 1, …"""
    total_steps: int = 300_000
    """Length of the run (environment steps per agent)."""
    num_envs: int = 1
    """Environments each agent acts in."""
    learning_rate: float = 1e-3
    """α, the size of a gradient step."""
    target: TargetUpdate = field(default_factory=TargetUpdate)
    """How the target network follows the online network."""
    learning_rate_decay: float = 1.0
    """Final factor on α, reached linearly; 1 keeps α constant."""
    learning_rate_decay_steps: int = 300_000
    """Environment steps until the final factor is reached."""
    reward_scale: float = 1.0
    """Factor on rewards for learning; returns are reported without it."""
    gamma: float = 0.99
    """γ, the discount per step."""
    batch_size: int = 64
    """Transitions per minibatch."""
    memory_size: int = 100_000
    """Replay capacity (transitions per agent)."""
    learning_starts: int = 1_000
    """Environment steps before the first gradient step."""
    train_every: int = 4
    """Environment steps from one round of learning to the next."""
    gradient_steps: int = 1
    """Gradient steps in a round of learning."""
    optimizer: str = "adam"
    """Any optimizer of optax by name: adam, sgd, rmsprop, lion, adamw, …"""
    optimizer_options: dict[str, float] = field(default_factory=dict)
    """Its options by name, for example `eps 1e-5 b2 0.99`."""
    max_grad_norm: float | None = None
    """Clip gradients to this global norm; None leaves them alone."""
    loss: Literal["mse", "huber"] = "mse"
    """Mean squared error, or Huber with threshold 1."""
    double_q: bool = False
    """Choose the next action with the online network, value it with the target (double Q-learning)."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the MLP's hidden layers (units)."""
    network: str | None = None
    """A network of your own: `module:function`, called with (key, observation_size, num_actions)."""
    initializer: Literal["fan_in", "glorot"] = "fan_in"
    """The MLP's first weights: U(±1/√n_in) as in PyTorch, or Glorot uniform with zero biases as in Keras."""
    exploration: Exploration = field(default_factory=Exploration)
    """How random the behaviour is."""
    time_limit_is_terminal: bool = False
    """Treat a time limit as a true end (the course lab's rule) instead of bootstrapping through it."""
    record_every: int = 5_000
    """Environment steps from one row of the curves to the next."""
    eval_every: int = 0
    """Environment steps from one greedy evaluation to the next; 0 never evaluates."""
    eval_episodes: int = 10
    """Episodes per evaluation."""
    eval_gate: float | None = None
    """Skip evaluations while the mean of its agents' last 40 training returns is below this; None never skips."""
    eval_network: Literal["online", "target"] = "online"
    """The network that plays greedily: Q, or its slow average T."""
    solve_at: float | None = None
    """Stop a block once two evaluations in a row of each of its agents' policies average at least this return."""
    probe: int = 0
    """Transitions of the frozen probe on which Δy is measured at every gradient step; 0: at records only."""
    checkpoint_every: int = 10_000
    """Environment steps from one checkpoint to the next; never changes the run."""
    block_width: int | None = None
    """Agents per compiled block, W; None takes 1 for one agent and 4 for more. Bits depend on it."""
    arms: tuple[Arm, ...] = ()
    """Named arms to compare; none means one arm with the settings above."""
    changes: tuple[Change, ...] = ()
    """What changes in mid-run, in order of time."""

    def __post_init__(self) -> None:
        _check_types(self)
        for name in (
            "seeds", "total_steps", "num_envs", "batch_size", "memory_size", "train_every", "gradient_steps",
            "record_every", "eval_episodes", "checkpoint_every", "learning_rate_decay_steps",
        ):  # fmt: skip
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("seed", "learning_starts", "eval_every", "probe"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")
        _require(self.seed + self.seeds <= 2**31, "seed", self.seed, "below 2**31")
        _positive("learning_rate", self.learning_rate)
        _positive("reward_scale", self.reward_scale)
        _require(0 < self.learning_rate_decay <= 1, "learning_rate_decay", self.learning_rate_decay, "in (0, 1]")
        _require(0 <= self.gamma <= 1, "gamma", self.gamma, "in [0, 1]")
        for name in ("eval_gate", "solve_at"):
            value = getattr(self, name)
            _require(value is None or math.isfinite(value), name, value, "a finite return")
        for name, value in self.optimizer_options.items():
            _require(0 <= value < math.inf, f"optimizer_options.{name}", value, "a finite number, at least 0")
        if self.max_grad_norm is not None:
            _positive("max_grad_norm", self.max_grad_norm)
        if self.block_width is not None:
            _require(self.block_width >= 1, "block_width", self.block_width, "at least 1")
        _require(all(width >= 1 for width in self.hidden), "hidden", self.hidden, "widths of at least 1")
        self._check_fit()

    def _check_fit(self) -> None:
        """Fields that must fit each other."""
        if self.batch_size > self.memory_size:
            raise ConfigError(
                f"batch_size = {self.batch_size} is larger than memory_size = {self.memory_size}:"
                " lower the batch or raise the memory"
            )
        longer, shorter = max(self.train_every, self.num_envs), min(self.train_every, self.num_envs)
        if longer % shorter:
            raise ConfigError(
                f"train_every = {self.train_every} and num_envs = {self.num_envs} do not divide each other:"
                f" make one a multiple of the other, for example train_every = {self.num_envs}"
            )
        if self.solve_at is not None and self.eval_every == 0:
            raise ConfigError("solve_at needs evaluations: set eval_every, for example 10000")
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ConfigError(f"arms {names} repeat a name: give every arm its own")
        for arm in self.arms:
            kind = self.exploration.schedule if arm.exploration is None else arm.exploration.schedule
            if kind != self.exploration.schedule:
                raise ConfigError(
                    f"arm {arm.name!r}: exploration.schedule = {kind!r} must be the run's,"
                    f" {self.exploration.schedule!r}: give it a run of its own"
                )
        for name in {change.arm for change in self.changes} - {None, *names}:
            raise ConfigError(f"changes are for an arm {name!r} that the run does not have{near(str(name), names)}")
        if any(later.env_steps < earlier.env_steps for earlier, later in itertools.pairwise(self.changes)):
            raise ConfigError("changes are not in order of time: sort them by env_steps")

    @property
    def vector_steps(self) -> int:
        """V, steps of all environments in one iteration."""
        return max(1, self.train_every // self.num_envs)

    @property
    def updates(self) -> int:
        """U, gradient steps in one iteration."""
        return self.gradient_steps * max(1, self.num_envs // self.train_every)

    @property
    def steps_per_iteration(self) -> int:
        """Environment steps of one agent in one iteration, V·E."""
        return self.vector_steps * self.num_envs

    @property
    def iterations(self) -> int:
        """Iterations of a whole run."""
        return math.ceil(self.total_steps / self.steps_per_iteration)

    @property
    def env_steps_per_gradient_step(self) -> float:
        """Environment steps per gradient step, once learning has started."""
        return self.steps_per_iteration / self.updates

    @property
    def width(self) -> int:
        """W, agents per block."""
        if self.block_width is not None:
            return self.block_width
        return 1 if self.num_agents == 1 else 4

    @property
    def num_agents(self) -> int:
        """P, agents in this run: arms × seeds."""
        return self.seeds * max(1, len(self.arms))

    def agents(self) -> tuple[Agent, ...]:
        """Every agent of the run, arm by arm."""
        arms = self.arms or (Arm("agent"),)
        return tuple(
            Agent(
                arm=arm.name,
                seed=self.seed + s,
                learning_rate=self.learning_rate if arm.learning_rate is None else arm.learning_rate,
                target=self.target if arm.target is None else arm.target,
                gamma=self.gamma if arm.gamma is None else arm.gamma,
                exploration=arm.exploration or self.exploration,
                blended=arm.blended,
            )
            for arm in arms
            for s in range(self.seeds)
        )

    def blocks(self) -> tuple[tuple[Agent, ...], ...]:
        """The agents in groups of at most W, in order."""
        agents = self.agents()
        return tuple(agents[i : i + self.width] for i in range(0, len(agents), self.width))

    def to_json(self) -> str:
        """JSON text; `from_json` reads it back equal."""
        return json.dumps({"schema": SCHEMA} | dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str, base: Config | None = None, *, source: str = "configuration") -> Config:
        """Read `to_json`'s text; any subset of the fields may be given. `source` names it in errors."""
        return cls.from_mapping(_parse_object(text, source), base, source=source)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], base: Config | None = None, *, source: str) -> Config:
        """`base` (or the defaults) with `values` laid over it, nested mappings field by field."""
        values = dict(values)
        schema = values.pop("schema", SCHEMA)
        if not isinstance(schema, int) or schema > SCHEMA:
            raise ConfigError(f"{source}: schema {schema!r} is newer than this softstep's {SCHEMA}: upgrade softstep")
        return typing.cast(Config, _overlay(base or cls(), values, source))

    def content_hash(self) -> str:
        """Sixteen hex digits that name this configuration's content."""
        alike = Config.from_json(self.to_json())  # 1 and 1.0 are one learning rate
        canonical = json.dumps(dataclasses.asdict(alike), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Agent:
    """One learner of a run: its arm, its seed and its own numbers."""

    arm: str
    seed: int
    learning_rate: float
    target: TargetUpdate
    gamma: float
    exploration: Exploration
    blended: bool = False
    """Whether `target` blends the one network with itself instead of following it."""


def changed(agent: Agent, changes: Sequence[Change]) -> Agent:
    """The agent after those of the changes that are meant for its arm."""
    for change in changes:
        if change.arm in (None, agent.arm):
            rate = agent.learning_rate if change.learning_rate is None else change.learning_rate
            target = agent.target if change.target is None else change.target
            agent = dataclasses.replace(agent, learning_rate=rate, target=target)
    return agent


def _require(condition: bool, name: str, value: object, wanted: str) -> None:
    if not condition:
        raise ConfigError(f"{name} = {value!r} must be {wanted}")


def _positive(name: str, value: float) -> None:
    _require(math.isfinite(value) and value > 0, name, value, "a finite number above 0")


def _parse_object(text: str, source: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{source}: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: expected a JSON object of settings, found {type(values).__name__}")
    return values


def _overlay(base: Any, values: Mapping[str, Any], source: str) -> Any:
    """A copy of the dataclass `base` with `values` in place of its fields, types checked."""
    hints = typing.get_type_hints(type(base))
    changes = {}
    for key, value in values.items():
        if key not in hints:
            raise ConfigError(f"{source}: unknown setting {key!r}{near(key, list(hints))}")
        changes[key] = _coerce(value, hints[key], getattr(base, key), f"{source}: {key}")
    try:
        return dataclasses.replace(base, **changes)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None


def _coerce(value: Any, hint: Any, current: Any, where: str) -> Any:
    """`value` from JSON as the type `hint`; ConfigError where it is not one."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        (inner,) = [a for a in arguments if a is not type(None)]
        return _coerce(value, inner, current, where)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        make: Any = hint
        needed = {} if isinstance(current, make) else _required(hint, value, where)
        try:
            base = current if isinstance(current, make) else make(**needed)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        return _overlay(base, value, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_coerce(item, arguments[0], None, where) for item in value)
    if origin is dict and isinstance(value, Mapping):
        return {str(k): _coerce(v, arguments[1], None, f"{where}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not _is(value, hint):
        name = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        raise ConfigError(f"{where} = {value!r} is not of type {name}")
    return value


def _required(hint: Any, value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Arguments without which the dataclass `hint` cannot be made (an arm's name)."""
    names = [f.name for f in dataclasses.fields(hint) if f.default is f.default_factory is dataclasses.MISSING]
    missing = [name for name in names if name not in value]
    if missing:
        raise ConfigError(f"{where}: {missing[0]!r} is missing")
    return {name: value[name] for name in names}


def _is(value: Any, hint: Any) -> bool:
    """Whether a leaf value is of the type a field names."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in arguments
    if origin in (types.UnionType, typing.Union):
        return any(_is(value, argument) for argument in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_is(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_is(v, arguments[1]) for v in value.values())
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _check_types(settings: Any, prefix: str = "") -> None:
    for name, hint in typing.get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if not _is(value, hint):
            wanted = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
            raise ConfigError(f"{prefix}{name} = {value!r} is not of type {wanted}")
