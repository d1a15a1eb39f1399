"""The configuration of a run: frozen dataclasses, their JSON form and their content hash.

Type, bounds, default, unit and help text of a setting stand together, at its field.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from softstep.errors import ConfigError, near
from softstep.files import json_text
from softstep.settings import (
    ACTOR_FIELDS,
    Agent,
    Arm,
    Change,
    Decay,
    Discount,
    EnvArguments,
    Exploration,
    NonNegativeFloat,
    NonNegativeInt,
    Options,
    PositiveFloat,
    PositiveInt,
    Return,
    Weight,
    counted_settings,
    counted_target,
    default_tau0,
    refuse_foreign,
    with_named_schedule,
)
from softstep.target import TargetUpdate
from softstep.validation import check_fields, overlay

SCHEMA = 1
"""Version of `config.json` and of the run folder that holds it."""

ADDED_FIELDS = ACTOR_FIELDS | {
    "action_noise", "algorithm", "env_args", "eval_max_steps", "flatten", "n_step", "normalization", "policy_delay",
    "target_entropy", "target_noise", "target_noise_clip", "target_scope", "temperature",
}  # fmt: skip
"""Fields that the first configurations lacked: at their defaults they do not count in the content hash, so that the
folders of earlier studies are found again."""

RUN_BLOCK_WIDTH = 4
"""Default W, agents per block, of a run with several agents; a single agent has a block of width 1."""
STUDY_BLOCK_WIDTH = 8
"""Default W of a study, the same for every cell, so that cells and seeds added later fit the compiled programs."""


@dataclass(frozen=True)
class Config:
    """Every setting of a run."""

    env: str = "LunarLander-v3"
    """Environment: a Gymnasium id, `gymnax:ID` (runs inside the compiled loop) or `envpool:ID`."""
    env_modules: tuple[str, ...] = ()
    """Modules to import that register your own environments (--env-module)."""
    algorithm: Literal["dqn", "ddpg", "td3", "sac"] = "dqn"
    """Learner: deep Q-learning for discrete actions; DDPG, TD3 or SAC for continuous ones."""
    env_args: EnvArguments = field(default_factory=dict)
    """Arguments of `gymnasium.make`, by name (--env-arg KEY=VALUE)."""
    flatten: bool = False
    """Flatten Discrete, Tuple, Dict and other observations into numbers, by Gymnasium's FlattenObservation."""
    seed: NonNegativeInt = 0
    """Seed of the first agent."""
    seeds: PositiveInt = 1
    """Number of seeds, and of agents trained side by side: seed, seed + 1, …"""
    total_steps: PositiveInt = 300_000
    """Length of the run (environment steps per agent)."""
    num_envs: PositiveInt = 1
    """Environments in which each agent acts at the same time."""
    learning_rate: PositiveFloat = 1e-3
    """α, the size of a gradient step."""
    target: TargetUpdate = field(default_factory=TargetUpdate)
    """How the target network follows the online network."""
    learning_rate_decay: Decay = 1.0
    """Factor on α at the end of its linear decay; 1 keeps α constant."""
    learning_rate_decay_steps: PositiveInt = 300_000
    """Environment steps over which α decays to that factor."""
    reward_scale: PositiveFloat = 1.0
    """Factor on the rewards that the agent learns from; returns are reported without it."""
    gamma: Discount = 0.99
    """γ, the discount per environment step."""
    batch_size: PositiveInt = 64
    """Transitions per minibatch."""
    memory_size: PositiveInt = 100_000
    """Replay capacity (transitions per agent)."""
    learning_starts: NonNegativeInt = 1_000
    """Environment steps before the first gradient step."""
    train_every: PositiveInt = 4
    """Environment steps from one round of gradient steps to the next."""
    gradient_steps: PositiveInt = 1
    """Gradient steps per round."""
    optimizer: str = "adam"
    """Name of an optimizer in optax: adam, sgd, rmsprop, lion, adamw, …"""
    optimizer_options: Options = field(default_factory=dict)
    """Options of the optimizer by name, for example `eps 1e-5 b2 0.99`."""
    max_grad_norm: PositiveFloat | None = None
    """Clip the gradient to this global norm; None never clips."""
    n_step: PositiveInt = 1
    """Steps of reward in a TD target before it bootstraps (deep Q-learning); fewer at the end of an episode."""
    target_scope: Literal["all", "last-layer"] = "all"
    """What has a target network (deep Q-learning): all of Q, or its last layer, on features shared with Q."""
    loss: Literal["mse", "huber"] = "mse"
    """Loss of the TD error: mean squared error, or Huber with threshold 1."""
    double_q: bool = False
    """Double Q-learning: choose the next action with the online network, value it with the target network."""
    hidden: tuple[PositiveInt, ...] = (64, 64)
    """Widths of the MLP's hidden layers (units)."""
    normalization: Literal["none", "layer"] = "none"
    """Normalization in the MLP of deep Q-learning: none, or LayerNorm before each ReLU."""
    network: str | None = None
    """Your own network: `module:function`, called with (key, observation_size, num_actions)."""
    initializer: Literal["fan_in", "glorot"] = "fan_in"
    """Initial weights of the MLP: U(±1/√n_in) as in PyTorch, or Glorot uniform with zero biases as in Keras."""
    exploration: Exploration = field(default_factory=Exploration)
    """How often the agent acts at random."""
    actor_learning_rate: PositiveFloat | None = None
    """α of the actor (DDPG, TD3, SAC); None takes `learning_rate`, which is that of the critics."""
    actor_tau: Weight | None = None
    """τ of the actor's target (DDPG, TD3); None takes the critics' `target.tau`, 1 is an actor without a target."""
    policy_delay: PositiveInt | None = None
    """Gradient steps of the critics to one of the actor (DDPG, TD3, SAC); None means 2 for TD3, else 1."""
    temperature: PositiveFloat = 1.0
    """Weight of the entropy at the first gradient step (SAC)."""
    temperature_learning_rate: NonNegativeFloat | None = None
    """α of the temperature's logarithm (SAC); None takes `learning_rate`, 0 keeps the temperature."""
    target_entropy: Return | None = None
    """Entropy that the temperature steers to (SAC; nats); None means minus the number of action components."""
    action_noise: NonNegativeFloat = 0.1
    """Standard deviation of the noise on actions in [−1, 1] that explores (DDPG, TD3)."""
    target_noise: NonNegativeFloat = 0.2
    """Standard deviation of the noise on the target actor's actions (TD3)."""
    target_noise_clip: NonNegativeFloat = 0.5
    """Largest magnitude of the noise on the target actor's actions (TD3)."""
    time_limit_is_terminal: bool = False
    """Treat a time limit as a terminal state, as the course lab does, instead of bootstrapping through it."""
    record_every: PositiveInt = 5_000
    """Environment steps from one row of the learning curves to the next."""
    eval_every: NonNegativeInt = 0
    """Environment steps from one greedy evaluation to the next; 0 never evaluates."""
    eval_episodes: PositiveInt = 10
    """Episodes per agent and evaluation."""
    eval_max_steps: PositiveInt = 108_000
    """Steps after which an evaluation's episode is cut, with a warning. 108000, Atari's half hour in frames, is the
    longest time limit in common use."""
    eval_gate: Return | None = None
    """Skip a block's evaluations while its agents' last 40 training returns average less than this; None skips none."""
    eval_network: Literal["online", "target"] = "online"
    """Network that acts in evaluations: the online network Q, or its slow average, the target network T."""
    solve_at: Return | None = None
    """Stop a block once every agent averages at least this return, confirmed on new episodes; None never stops it."""
    probe: NonNegativeInt = 0
    """Fixed transitions for Δy, the drift of the TD targets, measured at every gradient step; 0: at curve rows only."""
    checkpoint_every: PositiveInt = 10_000
    """Environment steps from one checkpoint to the next; the results do not depend on it."""
    block_width: PositiveInt | None = None
    """W, agents per compiled block; None means 1 for a single agent, else 4. The last bits of results depend on it."""
    arms: tuple[Arm, ...] = ()
    """Arms to compare; without any, every agent has the settings above."""
    changes: tuple[Change, ...] = ()
    """Settings changed mid-run, in order of time."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.seed + self.seeds > 2**31:
            raise ConfigError(f"seed = {self.seed} must be below 2**31")
        self._check_combinations()

    def _check_combinations(self) -> None:
        """Raise ConfigError for settings that do not fit each other."""
        if self.batch_size > self.memory_size:
            raise ConfigError(
                f"batch_size = {self.batch_size} is larger than memory_size = {self.memory_size}:"
                " lower the batch or raise the memory"
            )
        self._check_algorithm()
        self._check_network()
        rows = self.memory_size // self.steps_per_iteration * self.steps_per_iteration  # whole iterations
        if self.n_step > 1 and self.n_step * self.num_envs > rows:
            raise ConfigError(
                f"n_step = {self.n_step} in num_envs = {self.num_envs} environments needs {self.n_step * self.num_envs}"
                f" transitions, more than memory_size = {self.memory_size} keeps ({rows}): raise the memory"
            )
        if self.n_step > 1 and self.env.startswith("envpool:"):
            raise ConfigError(f"n_step = {self.n_step} cannot be used with EnvPool, whose resets are steps too: use 1")
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
            raise ConfigError(f"arms {names} repeat a name: give each arm its own")
        for arm in self.arms:
            kind = self.exploration.schedule if arm.exploration is None else arm.exploration.schedule
            if kind != self.exploration.schedule:
                raise ConfigError(
                    f"arm {arm.name!r}: exploration.schedule = {kind!r} must be the run's,"
                    f" {self.exploration.schedule!r}: train this arm in a run of its own"
                )
        self._check_targets()
        for name in {change.arm for change in self.changes} - {None, *names}:
            raise ConfigError(f"changes name an arm {name!r} that is not in the run{near(str(name), names)}")
        if any(later.env_steps < earlier.env_steps for earlier, later in itertools.pairwise(self.changes)):
            raise ConfigError("changes are not in order of time: sort them by env_steps")

    def _check_targets(self) -> None:
        """Raise ConfigError for a harmonic target that cannot take its γ from its agent."""
        try:
            for arm in self.arms or (Arm("agent"),):
                gamma = self._followed_settings(arm)["gamma"]
                _ = [change.target.resolved(gamma) for change in self.changes if change.target is not None]
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _check_algorithm(self) -> None:
        """Raise ConfigError for settings that the algorithm does not have."""
        refuse_foreign(self, self.algorithm)
        for arm in self.arms:
            refuse_foreign(arm, self.algorithm, f"arm {arm.name!r}: ")
        if self.algorithm == "sac" and self.eval_network == "target":
            raise ConfigError("eval_network = 'target': SAC's actor has no target; use 'online'")

    def _check_network(self) -> None:
        """Raise ConfigError for settings of the MLP that do not fit the network or the arms."""
        if self.target_scope != "all" and any(arm.blended for arm in self.arms):
            raise ConfigError(f"target_scope = {self.target_scope!r} does not fit blended arms, which have one network")
        if self.network is None:
            return
        for name, value in (("normalization", self.normalization), ("target_scope", self.target_scope)):
            if value not in ("none", "all"):
                raise ConfigError(
                    f"{name} = {value!r} is a setting of the MLP, which network = {self.network!r} replaces"
                )

    @property
    def continuous(self) -> bool:
        """Whether actions are continuous: an actor chooses them, and critics value them."""
        return self.algorithm != "dqn"

    @property
    def actor_period(self) -> int:
        """Gradient steps of the critics to one of the actor."""
        return self.policy_delay or (2 if self.algorithm == "td3" else 1)

    @property
    def vector_steps(self) -> int:
        """V, steps of each environment in one iteration."""
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
        """Iterations in the whole run."""
        return math.ceil(self.total_steps / self.steps_per_iteration)

    @property
    def warmup(self) -> int:
        """Iterations before learning starts; at least one, so that the replay is not empty."""
        return max(1, math.ceil(self.learning_starts / self.steps_per_iteration))

    @property
    def total_gradient_steps(self) -> int:
        """Gradient steps of one agent in the whole run."""
        return max(0, self.iterations - self.warmup) * self.updates

    @property
    def env_steps_per_gradient_step(self) -> float:
        """Environment steps per gradient step after learning has started."""
        return self.steps_per_iteration / self.updates

    @property
    def width(self) -> int:
        """W, agents per block."""
        if self.block_width is not None:
            return self.block_width
        return 1 if self.num_agents == 1 else RUN_BLOCK_WIDTH

    @property
    def num_agents(self) -> int:
        """P, agents in the run: arms × seeds."""
        return self.seeds * max(1, len(self.arms))

    def agents(self) -> tuple[Agent, ...]:
        """Return the agents of the run, arm by arm."""
        arms = self.arms or (Arm("agent"),)
        return tuple(
            Agent(
                arm=arm.name,
                seed=self.seed + s,
                **self._followed_settings(arm),
                exploration=arm.exploration or self.exploration,
                blended=arm.blended,
            )
            for arm in arms
            for s in range(self.seeds)
        )

    def _followed_settings(self, arm: Arm) -> dict[str, Any]:
        """Return an arm's settings that are its own or else the run's; the actor's may follow α and the target."""
        rate = self.learning_rate if arm.learning_rate is None else arm.learning_rate
        gamma = self.gamma if arm.gamma is None else arm.gamma
        tau0 = default_tau0(self.optimizer, rate, self.total_gradient_steps)
        target = (arm.target or self.target).resolved(gamma, tau0)
        settings: dict[str, Any] = {"learning_rate": rate, "gamma": gamma, "target": target}
        if not self.continuous:
            return settings
        followed = {
            "actor_learning_rate": self.learning_rate,
            "temperature_learning_rate": self.learning_rate,
            "actor_tau": target.tau,
        }
        choices = {name: (getattr(arm, name), getattr(self, name), value) for name, value in followed.items()}
        if arm.actor_tau is None and self.actor_tau is None:
            settings["actor_harmonic_steps"] = target.harmonic_steps
        return settings | {name: next(v for v in values if v is not None) for name, values in choices.items()}

    def blocks(self) -> tuple[tuple[Agent, ...], ...]:
        """Return the agents in order, in groups of at most W."""
        agents = self.agents()
        return tuple(agents[i : i + self.width] for i in range(0, len(agents), self.width))

    def to_json(self) -> str:
        """Return JSON text that `from_json` reads back as an equal configuration."""
        return json_text({"schema": SCHEMA} | dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str, base: Config | None = None, *, source: str = "configuration") -> Config:
        """Read JSON text as written by `to_json`, or any part of it.

        Args:
            text: A JSON object of settings.
            base: Supplies the settings that the text leaves out; by default, the defaults do.
            source: Name of the text in error messages.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{source}: not JSON ({error})") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{source}: expected a JSON object of settings, found {type(values).__name__}")
        return cls.from_mapping(values, base, source=source)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], base: Config | None = None, *, source: str) -> Config:
        """Return `base`, or the defaults, with `values` laid over it, nested mappings field by field."""
        values = dict(values)
        schema = values.pop("schema", SCHEMA)
        if not isinstance(schema, int) or schema > SCHEMA:
            raise ConfigError(f"{source}: schema {schema!r} is newer than this softstep's {SCHEMA}: upgrade softstep")
        try:
            base = base or cls()
            if isinstance(values.get("target"), Mapping):
                values["target"] = with_named_schedule(base.target, values["target"])
            return overlay(base, values)
        except ValueError as error:
            raise ConfigError(f"{source}: {error}") from None

    def content_hash(self) -> str:
        """Return sixteen hexadecimal digits that identify the settings."""
        decoded = Config.from_json(self.to_json())  # reads 1 as 1.0, so that equal settings have one hash
        default = Config()
        counted = {
            name: value
            for name, value in dataclasses.asdict(decoded).items()
            if name not in ADDED_FIELDS or getattr(decoded, name) != getattr(default, name)
        }
        counted["target"] = counted_target(counted["target"])
        for name in ("arms", "changes"):
            counted[name] = [counted_settings(settings) for settings in counted[name]]
        if "env_args" in counted:  # these are not decoded as floats
            numbers = {name: float(value) for name, value in self.env_args.items() if isinstance(value, (int, float))}
            counted["env_args"] = counted["env_args"] | numbers
        canonical = json.dumps(counted, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
