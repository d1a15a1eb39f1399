"""The whole configuration: frozen dataclasses with units beside every field, JSON round trip, content hash."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from softstep.errors import ConfigError, near
from softstep.target import TargetUpdate
from softstep.validation import check_fields, overlay

SCHEMA = 1
"""Version of `config.json` and of the run folder around it."""

RUN_BLOCK_WIDTH = 4
"""Default W, agents per block, of a run with several agents; a single agent has a block of width 1."""
STUDY_BLOCK_WIDTH = 8
"""Default W of a study, the same for every cell, so that cells and seeds added later fit the compiled programs."""

_LARGEST = sys.float_info.max
PositiveInt = Annotated[int, Meta(ge=1, title="at least 1")]
NonNegativeInt = Annotated[int, Meta(ge=0, title="at least 0")]
PositiveFloat = Annotated[float, Meta(gt=0, le=_LARGEST, title="a finite number above 0")]
Options = Annotated[dict[str, Annotated[float, Meta(ge=0, le=_LARGEST)]], Meta(title="finite numbers, at least 0")]
Probability = Annotated[float, Meta(ge=0, le=1, title="a probability")]
Discount = Annotated[float, Meta(ge=0, le=1, title="in [0, 1]")]
Decay = Annotated[float, Meta(gt=0, le=1, title="in (0, 1]")]
Return = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST, title="a finite return")]
Name = Annotated[str, Meta(min_length=1, title="a word")]


@dataclass(frozen=True)
class Exploration:
    """ε-greedy behaviour: the probability of a uniformly random action."""

    schedule: Literal["linear", "geometric"] = "linear"
    """How ε falls: linear in environment steps, or geometric, once per finished episode."""
    start: Probability = 1.0
    """ε at the first step (probability)."""
    end: Probability = 0.02
    """ε at the end, its floor (probability)."""
    steps: PositiveInt = 30_000
    """Environment steps from start to end (linear only)."""
    decay: Decay = 0.995
    """Factor on ε at the end of every episode (geometric only)."""

    def __post_init__(self) -> None:
        check_fields(self, "exploration.")
        if self.end > self.start:
            raise ConfigError(f"exploration.end = {self.end} must be at most exploration.start = {self.start}")


@dataclass(frozen=True)
class Arm:
    """One named way to set α and the target; what is None comes from the configuration."""

    name: Name
    """Label in tables and pictures."""
    learning_rate: PositiveFloat | None = None
    """α of this arm (per gradient step)."""
    target: TargetUpdate | None = None
    """How this arm's target network follows."""
    gamma: Discount | None = None
    """γ of this arm, the discount per environment step."""
    exploration: Exploration | None = None
    """How random this arm's behaviour is; its schedule is of the run's kind."""
    blended: bool = False
    """One network that is blended with itself: it makes `target.period` gradient steps, then W ← c·W + (1−c)·W_new
    and it goes on from W (more than one step: Lookahead)."""

    def __post_init__(self) -> None:
        check_fields(self, "arm.")


@dataclass(frozen=True)
class Change:
    """New settings in mid-run, as a hand on a slider makes them; what is None stays as it is."""

    env_steps: NonNegativeInt
    """They hold for every iteration that begins at or after this many environment steps of the agent."""
    arm: str | None = None
    """The arm they are for; None: every arm."""
    learning_rate: PositiveFloat | None = None
    """α from then on (per gradient step)."""
    target: TargetUpdate | None = None
    """How the target network follows from then on."""

    def __post_init__(self) -> None:
        check_fields(self, "change.")


@dataclass(frozen=True)
class Config:
    """Everything that decides a run's numbers."""

    env: str = "LunarLander-v3"
    """Environment: a Gymnasium id, `gymnax:ID` (inside the compiled loop) or `envpool:ID`."""
    env_modules: tuple[str, ...] = ()
    """Modules to import that register environments of your own (--env-module)."""
    seed: NonNegativeInt = 0
    """First seed."""
    seeds: PositiveInt = 1
    """Number of seeds: agents trained side by side, seed, seed + 1, …"""
    total_steps: PositiveInt = 300_000
    """Length of the run (environment steps per agent)."""
    num_envs: PositiveInt = 1
    """Environments each agent acts in."""
    learning_rate: PositiveFloat = 1e-3
    """α, the size of a gradient step."""
    target: TargetUpdate = field(default_factory=TargetUpdate)
    """How the target network follows the online network."""
    learning_rate_decay: Decay = 1.0
    """Final factor on α, reached linearly; 1 keeps α constant."""
    learning_rate_decay_steps: PositiveInt = 300_000
    """Environment steps until the final factor is reached."""
    reward_scale: PositiveFloat = 1.0
    """Factor on rewards for learning; returns are reported without it."""
    gamma: Discount = 0.99
    """γ, the discount per step."""
    batch_size: PositiveInt = 64
    """Transitions per minibatch."""
    memory_size: PositiveInt = 100_000
    """Replay capacity (transitions per agent)."""
    learning_starts: NonNegativeInt = 1_000
    """Environment steps before the first gradient step."""
    train_every: PositiveInt = 4
    """Environment steps from one round of learning to the next."""
    gradient_steps: PositiveInt = 1
    """Gradient steps in a round of learning."""
    optimizer: str = "adam"
    """Any optimizer of optax by name: adam, sgd, rmsprop, lion, adamw, …"""
    optimizer_options: Options = field(default_factory=dict)
    """Its options by name, for example `eps 1e-5 b2 0.99`."""
    max_grad_norm: PositiveFloat | None = None
    """Clip gradients to this global norm; None leaves them alone."""
    loss: Literal["mse", "huber"] = "mse"
    """Mean squared error, or Huber with threshold 1."""
    double_q: bool = False
    """Choose the next action with the online network, value it with the target (double Q-learning)."""
    hidden: tuple[PositiveInt, ...] = (64, 64)
    """Widths of the MLP's hidden layers (units)."""
    network: str | None = None
    """A network of your own: `module:function`, called with (key, observation_size, num_actions)."""
    initializer: Literal["fan_in", "glorot"] = "fan_in"
    """The MLP's first weights: U(±1/√n_in) as in PyTorch, or Glorot uniform with zero biases as in Keras."""
    exploration: Exploration = field(default_factory=Exploration)
    """How random the behaviour is."""
    time_limit_is_terminal: bool = False
    """Treat a time limit as a true end (the course lab's rule) instead of bootstrapping through it."""
    record_every: PositiveInt = 5_000
    """Environment steps from one row of the curves to the next."""
    eval_every: NonNegativeInt = 0
    """Environment steps from one greedy evaluation to the next; 0 never evaluates."""
    eval_episodes: PositiveInt = 10
    """Episodes per evaluation."""
    eval_gate: Return | None = None
    """Skip evaluations while the mean of its agents' last 40 training returns is below this; None never skips."""
    eval_network: Literal["online", "target"] = "online"
    """The network that plays greedily: Q, or its slow average T."""
    solve_at: Return | None = None
    """Stop a block once two evaluations in a row of each of its agents' policies average at least this return."""
    probe: NonNegativeInt = 0
    """Transitions of the frozen probe on which Δy is measured at every gradient step; 0: at records only."""
    checkpoint_every: PositiveInt = 10_000
    """Environment steps from one checkpoint to the next; never changes the run."""
    block_width: PositiveInt | None = None
    """Agents per compiled block, W; None takes 1 for one agent and 4 for more. Bits depend on it."""
    arms: tuple[Arm, ...] = ()
    """Named arms to compare; none means one arm with the settings above."""
    changes: tuple[Change, ...] = ()
    """What changes in mid-run, in order of time."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.seed + self.seeds > 2**31:
            raise ConfigError(f"seed = {self.seed} must be below 2**31")
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
        return 1 if self.num_agents == 1 else RUN_BLOCK_WIDTH

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
        try:
            return overlay(base or cls(), values)
        except ValueError as error:
            raise ConfigError(f"{source}: {error}") from None

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


def _parse_object(text: str, source: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: expected a JSON object of settings, found {type(values).__name__}")
    return values
