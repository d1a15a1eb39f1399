"""Train one block: iterations, with records, evaluations and checkpoints at fixed environment steps between them.

Knows neither files nor terminals; everything that happens is passed to `Hooks`.
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from softstep import envs
from softstep.config import Agent, Config, changed
from softstep.learner.update import make_learner
from softstep.records.events import Hooks, Outcome, Progress, Record, Restored, Snapshot
from softstep.records.history import RETURN_WINDOW, History
from softstep.training.block import Block, block_hyper, make_block, reset_record_sums
from softstep.training.driver import Driver
from softstep.training.evaluation import Evaluate, evaluated_network, make_evaluate
from softstep.training.fused_driver import FusedDriver
from softstep.training.host_driver import HostDriver
from softstep.training.probe import make_probe
from softstep.training.program_cache import ProgramCache
from softstep.training.randomness import DRAWN_AHEAD
from softstep.training.replay_rows import row_width

GATE_WINDOW = 40
"""Number of episodes whose mean return `eval_gate` is compared with."""


@dataclass
class Trainer:
    """The parts of a running block."""

    config: Config
    spec: envs.EnvSpec
    block: Block
    driver: Driver
    evaluate: Evaluate
    history: History
    agents: tuple[Agent, ...]
    """The agents with their current settings: changes move α and the target update."""
    changes_applied: int = 0
    eval_seconds: float = 0.0

    @property
    def env_steps(self) -> int:
        """Environment steps per agent so far."""
        return self.driver.iteration * self.config.steps_per_iteration

    @property
    def gradient_steps(self) -> int:
        """Gradient steps of each agent so far."""
        return max(0, self.driver.iteration - warmup(self.config)) * self.config.updates


def warmup(config: Config) -> int:
    """Return the number of iterations before learning starts; at least one, so that the replay is not empty."""
    return max(1, math.ceil(config.learning_starts / config.steps_per_iteration))


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
    return Trainer(config, spec, block, driver, evaluate, History.empty(len(agents)), tuple(agents))


def run_block(
    config: Config,
    agents: Sequence[Agent],
    spec: envs.EnvSpec,
    hooks: Hooks,
    restored: Restored | None = None,
    cache: ProgramCache | None = None,
) -> Outcome:
    """Train a block to its end, or until `hooks.should_stop`.

    Args:
        config: the run's configuration.
        agents: the block's agents.
        spec: the environment.
        hooks: callbacks.
        restored: the snapshot to continue from; None starts at the first step.
        cache: programs of the other blocks of this configuration.
    """
    trainer = make_trainer(config, agents, spec, cache)
    if restored is not None:
        restore(trainer, restored)
    try:
        return _run(trainer, hooks)
    finally:
        trainer.driver.close()


def _run(trainer: Trainer, hooks: Hooks) -> Outcome:
    config, driver = trainer.config, trainer.driver
    start_time, first, mark, stopped = time.perf_counter(), trainer.env_steps, driver.written(), False
    end = config.iterations
    while driver.iteration < end and not _all_solved(trainer):
        if hooks.should_stop():
            stopped = True
            break
        before = trainer.env_steps
        run_to_next_event(trainer, end, hooks.on_records)
        last = driver.iteration == end
        hooks.on_progress(_progress(trainer, time.perf_counter() - start_time - trainer.eval_seconds))
        if not last and _passed(config.checkpoint_every, before, trainer.env_steps):
            mark = _checkpoint(trainer, hooks, mark)
    jax.block_until_ready(driver.state)
    seconds = time.perf_counter() - start_time - trainer.eval_seconds
    if trainer.env_steps > first:
        _checkpoint(trainer, hooks, mark)
    return Outcome(
        trainer.env_steps,
        trainer.env_steps - first,
        tuple(trainer.history.solved),
        stopped,
        seconds,
        trainer.eval_seconds,
    )


def run_to_next_event(trainer: Trainer, until: int, on_records: Callable[[list[Record]], None]) -> None:
    """Run at most to the next event or to iteration `until`, then evaluate and record if that is due."""
    config, before = trainer.config, trainer.env_steps
    _advance(trainer, min(until, _next_event(config, before)))
    last = trainer.driver.iteration == config.iterations
    evaluated = _evaluation_due(trainer, before, last)
    if evaluated or last or _passed(config.record_every, before, trainer.env_steps):
        trainer.driver.check()
        returns = _evaluate(trainer) if evaluated else None
        on_records(record(trainer, returns))


def _advance(trainer: Trainer, until: int) -> None:
    """Run iterations up to number `until`, but not across the start of learning."""
    driver, start = trainer.driver, warmup(trainer.config)
    apply_changes(trainer)
    learning = driver.iteration >= start
    until = min(until, driver.iteration + DRAWN_AHEAD, until if learning else start)
    trainer.history.episodes.add(driver.advance(until - driver.iteration, learning=learning))


def apply_changes(trainer: Trainer) -> None:
    """Apply the configured changes that are due by now."""
    changes, env_steps = trainer.config.changes, trainer.env_steps
    due = bisect.bisect_right(changes, env_steps, key=lambda change: change.env_steps)
    if due > trainer.changes_applied:
        new = changes[trainer.changes_applied : due]
        trainer.agents = tuple(changed(agent, new) for agent in trainer.agents)
        trainer.driver.inputs = trainer.block.inputs._replace(hyper=block_hyper(trainer.config, trainer.agents))
        trainer.changes_applied = due


def _next_event(config: Config, env_steps: int) -> int:
    """Return the iteration at whose end the next record, evaluation, checkpoint or change is due."""
    periods = [n for n in (config.record_every, config.eval_every, config.checkpoint_every) if n]
    due = [(env_steps // n + 1) * n for n in periods] + [c.env_steps for c in config.changes if c.env_steps > env_steps]
    return math.ceil(min(due) / config.steps_per_iteration)


def _passed(every: int, before: int, after: int) -> bool:
    """Return whether a multiple of `every` lies in (before, after]."""
    return every > 0 and after // every > before // every


def _evaluation_due(trainer: Trainer, before: int, last: bool) -> bool:
    every, gate = trainer.config.eval_every, trainer.config.eval_gate
    if every == 0 or last or not _passed(every, before, trainer.env_steps):
        return every > 0 and last
    return gate is None or _mean_return(trainer, GATE_WINDOW) >= gate


def _all_solved(trainer: Trainer) -> bool:
    return trainer.config.solve_at is not None and all(trainer.history.solved)


def _evaluate(trainer: Trainer) -> np.ndarray:
    """Return each agent's mean greedy return (W,); one above `solve_at` is confirmed on a second set of episodes."""
    config, history, start_time = trainer.config, trainer.history, time.perf_counter()
    jax.block_until_ready(trainer.driver.state)
    params = evaluated_network(config, trainer.driver.state.learner)
    returns = trainer.evaluate(params, 2 * history.evaluations, config.eval_episodes).mean(1)
    if config.solve_at is not None and (returns >= config.solve_at).any():
        again = trainer.evaluate(params, 2 * history.evaluations + 1, config.eval_episodes).mean(1)
        both = (returns >= config.solve_at) & (again >= config.solve_at)
        history.solved = [bool(a or b) for a, b in zip(history.solved, both, strict=True)]
    history.evaluations += 1
    trainer.eval_seconds += time.perf_counter() - start_time
    return returns


def record(trainer: Trainer, eval_returns: np.ndarray | None = None) -> list[Record]:
    """Return a record of every agent, and reset the sums since the last record."""
    driver, history = trainer.driver, trainer.history
    bits = trainer.block.measure_bits(trainer.env_steps)
    measures = trainer.block.measure(driver.inputs, driver.state, driver.minibatch(bits)[0])
    columns = {name: np.asarray(column).tolist() for name, column in measures._asdict().items()}
    losses, statistics = np.asarray(driver.state.loss_sum), driver.statistics
    since = trainer.gradient_steps - (history.records[-1].gradient_steps if history.records else 0)
    rows = [
        Record(
            arm=agent.arm,
            seed=agent.seed,
            learning_rate=agent.learning_rate,
            tau=agent.target.tau,
            period=agent.target.period,
            env_steps=trainer.env_steps,
            gradient_steps=trainer.gradient_steps,
            episodes=int(statistics.episodes[w]),
            train_return=history.episodes.train_return(w),
            eval_return=math.nan if eval_returns is None else float(eval_returns[w]),
            loss=float(losses[w]) / since if since else math.nan,
            **{name: column[w] for name, column in columns.items()},
        )
        for w, agent in enumerate(trainer.agents)
    ]
    driver.state = reset_record_sums(driver.state)
    history.records += rows
    return rows


def _progress(trainer: Trainer, seconds: float) -> Progress:
    return Progress(trainer.env_steps, trainer.gradient_steps, seconds, _mean_return(trainer))


def _mean_return(trainer: Trainer, window: int = RETURN_WINDOW) -> float:
    """Return the mean over the agents of their training returns; NaN before the first episode ends."""
    returns = [trainer.history.episodes.train_return(agent, window) for agent in range(len(trainer.block.agents))]
    known = [mean for mean in returns if not math.isnan(mean)]
    return math.fsum(known) / len(known) if known else math.nan


def _checkpoint(trainer: Trainer, hooks: Hooks, mark: np.ndarray) -> np.ndarray:
    """Pass a snapshot to the hooks; return the new mark of replay rows."""
    driver = trainer.driver
    driver.check()
    arrays = snapshot_arrays(trainer)
    written = driver.written()
    hooks.on_checkpoint(Snapshot(trainer.env_steps, arrays, driver.new_rows(mark), written))
    return written


def snapshot_arrays(trainer: Trainer) -> dict[str, np.ndarray]:
    """Return everything except the replay's rows."""
    iteration = {"iteration": np.array(trainer.driver.iteration)}
    return trainer.driver.snapshot() | iteration | trainer.history.to_arrays()


def restart_from(trainer: Trainer, config: Config, arrays: dict[str, np.ndarray]) -> None:
    """Reset a trainer to the snapshot `arrays` of its start, with the arms and changes of `config`."""
    width = row_width(trainer.spec.observation_size)
    restore(trainer, Restored(arrays, [np.empty((0, width), np.float32) for _ in trainer.block.agents]))
    trainer.config, trainer.agents, trainer.changes_applied = config, config.blocks()[0], 0
    trainer.driver.inputs = trainer.block.inputs._replace(hyper=block_hyper(config, trainer.agents))


def restore(trainer: Trainer, restored: Restored) -> None:
    """Bring a new trainer to the moment of a snapshot."""
    trainer.history = History.from_arrays(restored.arrays)
    trainer.driver.restore(restored.arrays, restored.rows, int(restored.arrays["iteration"]))
