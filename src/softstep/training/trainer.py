"""The parts of a running block, and its return to a snapshot."""

from __future__ import annotations

import bisect
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from softstep import envs
from softstep.config import Config
from softstep.learner.algorithms import make_learner
from softstep.records.events import Restored, Snapshot
from softstep.records.history import History
from softstep.settings import Agent, changed
from softstep.training import best_checkpoint
from softstep.training.best_checkpoint import BestCheckpoints
from softstep.training.block import Block, block_hyper, make_block
from softstep.training.driver import Driver
from softstep.training.evaluation import Evaluate, evaluated_network, make_evaluate
from softstep.training.fused_driver import FusedDriver
from softstep.training.host_driver import HostDriver
from softstep.training.probe import make_probe
from softstep.training.program_cache import ProgramCache

CONTINUE = "continue/"
"""Put before the names of the arrays in `Trainer.continuation`."""


@dataclass
class Trainer:
    """The parts of a running block."""

    config: Config
    spec: envs.EnvSpec
    block: Block
    driver: Driver
    evaluate: Evaluate
    history: History
    best: BestCheckpoints | None
    """The best checkpoints so far; None if the run makes no evaluations."""
    agents: tuple[Agent, ...]
    """The agents with their current settings: changes move α and the target update."""
    changes_applied: int = 0
    eval_seconds: float = 0.0
    is_slow: bool = True
    """Whether the last iteration took longer than `loop.POLL_SECONDS`; nothing is known of the first one."""
    before_iteration: Snapshot | None = None
    """The state before the running iteration, if that is slow; without the replay's rows."""
    continuation: dict[str, np.ndarray] = field(default_factory=dict)
    """At the end, the arrays of the snapshot with which a longer run would go on, where they differ."""

    @property
    def env_steps(self) -> int:
        """Environment steps per agent so far."""
        return self.driver.iteration * self.config.steps_per_iteration

    @property
    def gradient_steps(self) -> int:
        """Gradient steps of each agent so far."""
        return max(0, self.driver.iteration - self.config.warmup) * self.config.updates


def make_trainer(
    config: Config, agents: Sequence[Agent], spec: envs.EnvSpec, cache: ProgramCache | None = None
) -> Trainer:
    """Make a block ready for its first iteration.

    Args:
        config: the run's configuration.
        agents: the block's agents.
        spec: the environment.
        cache: programs of the other blocks of this configuration.
    """
    cache = cache or ProgramCache()
    learner = cache.get(make_learner, config, spec.observation_size, spec.num_actions)
    probe = None if config.probe == 0 else make_probe(config, spec, [agent.seed for agent in agents])
    block = make_block(config, learner, agents, spec.observation_size, spec.num_actions, probe, cache)
    compiled = cache.get(envs.make_compiled, spec.name) if spec.maker == "gymnax" else None
    driver: Driver
    if compiled is not None:
        driver = FusedDriver(config, block, compiled, cache)
    else:
        host = envs.make_host(spec, [agent.seed for agent in agents], config.num_envs)
        driver = HostDriver(config, block, host, cache)
    evaluate = make_evaluate(config, block, spec, compiled, cache)
    evaluated = evaluated_network(config, learner, driver.state.learner)
    best = best_checkpoint.no_checkpoints(evaluated) if config.eval_every else None
    return Trainer(config, spec, block, driver, evaluate, History.empty(len(agents)), best, tuple(agents))


def apply_changes(trainer: Trainer) -> None:
    """Apply the configured changes that are due by now."""
    changes, env_steps = trainer.config.changes, trainer.env_steps
    due = bisect.bisect_right(changes, env_steps, key=lambda change: change.env_steps)
    if due > trainer.changes_applied:
        new = changes[trainer.changes_applied : due]
        trainer.agents = tuple(changed(agent, new) for agent in trainer.agents)
        trainer.driver.inputs = trainer.block.inputs._replace(hyper=block_hyper(trainer.config, trainer.agents))
        trainer.changes_applied = due


def snapshot_arrays(trainer: Trainer) -> dict[str, np.ndarray]:
    """Return everything except the replay's rows."""
    iteration = {"iteration": np.array(trainer.driver.iteration)}
    best = best_checkpoint.to_arrays(trainer.best, trainer.block.learner.network.parameter_names)
    return trainer.driver.snapshot() | iteration | best | trainer.history.to_arrays()


def restart_from(trainer: Trainer, config: Config, arrays: dict[str, np.ndarray]) -> None:
    """Reset a trainer to the snapshot `arrays` of its start, with the arms and changes of `config`."""
    width = trainer.block.layout.width
    restore(trainer, Restored(arrays, [np.empty((0, width), np.float32) for _ in trainer.block.agents]))
    trainer.config, trainer.agents, trainer.changes_applied = config, config.blocks()[0], 0
    trainer.driver.inputs = trainer.block.inputs._replace(hyper=block_hyper(config, trainer.agents))


def restore(trainer: Trainer, restored: Restored) -> None:
    """Bring a new trainer to the moment of a snapshot; episodes that do not replay are cut, with a warning."""
    arrays, iteration = restored.arrays, int(restored.arrays["iteration"])
    if iteration < trainer.config.iterations:  # if it was at its end, the run has been lengthened
        arrays = arrays | {name.removeprefix(CONTINUE): arrays[name] for name in arrays if name.startswith(CONTINUE)}
    trainer.history = History.from_arrays(arrays)
    if trainer.best is not None:
        trainer.best = best_checkpoint.restored(trainer.best, trainer.block.learner.network, arrays)
    cut = trainer.driver.restore(arrays, restored.rows, iteration)
    if cut:
        trainer.history.inexact_resumes.append(trainer.env_steps)
    if cut and trainer.spec.exactly_resumable:  # else a warning was given at the start
        warnings.warn(
            f"{trainer.spec.name} did not replay {cut} of {len(trainer.agents) * trainer.config.num_envs} episodes to"
            f" what it showed at environment step {trainer.env_steps}: the run continues with new episodes and will"
            " differ from an undisturbed one; has the environment, or a library it depends on, changed since?",
            RuntimeWarning,
            stacklevel=2,
        )
