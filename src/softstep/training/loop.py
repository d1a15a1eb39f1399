"""Train one block: iterations, with records, evaluations and checkpoints at fixed environment steps between them.

Knows neither files nor terminals; everything that happens is passed to `Hooks`.

A stop is heard within a fraction of a second, whatever an iteration costs, and the last checkpoint is of that moment:
`Hooks.should_stop` is asked every `POLL_SECONDS`, and what takes longer can be abandoned, since a resumed run repeats
it exactly: the start, an evaluation, and an iteration of slow environments, of which a snapshot is kept.
"""

from __future__ import annotations

import bisect
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import numpy as np

from softstep import envs
from softstep.config import Agent, Config, changed
from softstep.learner.networks import Params
from softstep.learner.update import make_learner
from softstep.records.events import Abandoned, Hooks, Outcome, Progress, Record, Restored, Snapshot
from softstep.records.history import RETURN_WINDOW, History
from softstep.training.block import Block, block_hyper, make_block, reset_record_sums
from softstep.training.driver import Driver
from softstep.training.evaluation import Evaluate, evaluated_network, make_evaluate, warn_of_cut_episodes
from softstep.training.fused_driver import FusedDriver
from softstep.training.host_driver import HostDriver
from softstep.training.probe import make_probe
from softstep.training.program_cache import ProgramCache
from softstep.training.randomness import DRAWN_AHEAD
from softstep.training.replay_rows import row_width

POLL_SECONDS = 0.2
"""Time between two questions whether to stop, and two reports of progress."""

_CHANGED_BY_RECORDS = ("history", "loss_sum", "drift/")
"""Beginnings of the names of those arrays of a snapshot that a record or an evaluation changes."""

_CONTINUE = "continue/"
"""Put before the names of the arrays in `Trainer.continuation`."""

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
    is_slow: bool = True
    """Whether the last iteration took longer than `POLL_SECONDS`; nobody knows how long the first one will take."""
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
    with hooks.abandonable():
        trainer = make_trainer(config, agents, spec, cache)
        if restored is not None:
            restore(trainer, restored)
    try:
        return _run(trainer, hooks)
    finally:
        trainer.driver.close()


def _run(trainer: Trainer, hooks: Hooks) -> Outcome:
    config, driver, history = trainer.config, trainer.driver, trainer.history
    start_time, first, mark = time.perf_counter(), trainer.env_steps, driver.written()
    recorded, stopped = (len(history.records), history.evaluations), False
    try:
        _record_if_due(trainer, hooks)
        while driver.iteration < config.iterations and not _all_solved(trainer):
            if stopped := hooks.should_stop():
                break
            run_to_next_event(trainer, config.iterations, hooks)
            hooks.on_progress(_progress(trainer, time.perf_counter() - start_time - trainer.eval_seconds))
            if _due(config, config.checkpoint_every, trainer.env_steps) and driver.iteration < config.iterations:
                mark = _save(trainer, hooks, _snapshot(trainer), mark)
    except Abandoned:
        stopped = True
    if trainer.before_iteration is None:
        jax.block_until_ready(driver.state)
    seconds = time.perf_counter() - start_time - trainer.eval_seconds
    reached = trainer.before_iteration or _snapshot(trainer)
    if reached.env_steps > first or (len(history.records), history.evaluations) != recorded:
        _save(trainer, hooks, reached, mark)
    return Outcome(
        reached.env_steps,
        reached.env_steps - first,
        tuple(history.solved),
        stopped,
        seconds,
        trainer.eval_seconds,
        history.cut_episodes,
    )


def run_to_next_event(trainer: Trainer, until: int, hooks: Hooks) -> None:
    """Run at most to the next event, to iteration `until` or for `POLL_SECONDS`; evaluate and record if that is due."""
    _advance(trainer, min(until, _next_event(trainer.config, trainer.env_steps)), hooks)
    _record_if_due(trainer, hooks)


def _record_if_due(trainer: Trainer, hooks: Hooks) -> None:
    """Evaluate and record if that is due at this step and not done yet, as after a stop during an evaluation."""
    config, records, count = trainer.config, trainer.history.records, len(trainer.block.agents)
    is_last = trainer.driver.iteration == config.iterations
    rows = records[-count:] if records and records[-1].env_steps == trainer.env_steps else []
    if trainer.env_steps == 0:
        return
    if rows and not (is_last and config.eval_every > 0 and all(math.isnan(row.eval_return) for row in rows)):
        return
    evaluated = not rows and _evaluation_due(trainer)
    if evaluated or is_last or _due(config, config.record_every, trainer.env_steps):
        trainer.driver.check()
    if not rows and (evaluated or _due(config, config.record_every, trainer.env_steps)):
        rows = record(trainer, _evaluate(trainer, hooks) if evaluated else None)
    if is_last:
        rows = _last_records(trainer, rows, hooks, evaluated=evaluated)
    if rows:
        hooks.on_records(rows)


def _last_records(trainer: Trainer, rows: list[Record], hooks: Hooks, *, evaluated: bool) -> list[Record]:
    """Return the records of the run's end, which has a record and, unless there are none, an evaluation.

    A longer run would have neither unless they are due by the clock: what it goes on with is kept in `continuation`.

    Args:
        trainer: the block at its end.
        rows: the records that are due by the clock; none if none are.
        hooks: callbacks.
        evaluated: whether `rows` have an evaluation.
    """
    evaluating = trainer.config.eval_every > 0 and not evaluated
    if rows and not evaluating:
        return rows
    arrays = snapshot_arrays(trainer)
    returns = _evaluate(trainer, hooks) if evaluating else None
    trainer.continuation = {_CONTINUE + name: arrays[name] for name in arrays if name.startswith(_CHANGED_BY_RECORDS)}
    if not rows:
        return record(trainer, returns)
    assert returns is not None
    rows = [row._replace(eval_return=float(value)) for row, value in zip(rows, returns, strict=True)]
    trainer.history.records[-len(rows) :] = rows
    return rows


def _advance(trainer: Trainer, until: int, hooks: Hooks) -> None:
    """Run iterations up to number `until`, but not across the start of learning."""
    driver, start = trainer.driver, warmup(trainer.config)
    apply_changes(trainer)
    learning = driver.iteration >= start
    until = min(until, driver.iteration + DRAWN_AHEAD, until if learning else start)
    first, started = driver.iteration, time.monotonic()
    if trainer.is_slow:
        trainer.before_iteration = _snapshot(trainer)
        with hooks.abandonable():
            finished = driver.advance(1, learning=learning)
        trainer.before_iteration = None
    else:
        finished = driver.advance(until - first, learning=learning, seconds=POLL_SECONDS)
    trainer.is_slow = time.monotonic() - started > POLL_SECONDS * (driver.iteration - first)
    trainer.history.episodes.add(finished)


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


def _due(config: Config, every: int, env_steps: int) -> bool:
    """Return whether the iteration that ended at `env_steps` passed a multiple of `every`."""
    return every > 0 and env_steps // every > (env_steps - config.steps_per_iteration) // every


def _evaluation_due(trainer: Trainer) -> bool:
    config, gate = trainer.config, trainer.config.eval_gate
    if not _due(config, config.eval_every, trainer.env_steps):
        return False
    return gate is None or _mean_return(trainer, GATE_WINDOW) >= gate


def _all_solved(trainer: Trainer) -> bool:
    return trainer.config.solve_at is not None and all(trainer.history.solved)


def _evaluate(trainer: Trainer, hooks: Hooks) -> np.ndarray:
    """Return each agent's mean greedy return (W,); one above `solve_at` is confirmed on a second set of episodes."""
    config, history, start_time = trainer.config, trainer.history, time.perf_counter()
    jax.block_until_ready(trainer.driver.state)
    params = evaluated_network(config, trainer.driver.state.learner)
    solved, cut = np.zeros(len(history.solved), bool), history.cut_episodes
    try:
        with hooks.abandonable():
            returns = _mean_greedy_returns(trainer, params, 2 * history.evaluations)
            if config.solve_at is not None and (returns >= config.solve_at).any():
                again = _mean_greedy_returns(trainer, params, 2 * history.evaluations + 1)
                solved = (returns >= config.solve_at) & (again >= config.solve_at)
    except Abandoned:
        history.cut_episodes = cut  # a resumed run repeats the evaluation
        raise
    history.solved = [bool(a or b) for a, b in zip(history.solved, solved, strict=True)]
    history.evaluations += 1
    trainer.eval_seconds += time.perf_counter() - start_time
    return returns


def _mean_greedy_returns(trainer: Trainer, params: Params, number: int) -> np.ndarray:
    """Return each agent's mean return (W,) in evaluation `number`; count its cut episodes, and warn of the first."""
    config, history = trainer.config, trainer.history
    played = trainer.evaluate(params, number, config.eval_episodes)
    cut = int(played.cut.sum())
    if not history.cut_episodes:
        warn_of_cut_episodes(trainer.spec.name, cut, played.cut.size, config.eval_max_steps)
    history.cut_episodes += cut
    return np.asarray(played.returns).mean(1)


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


def _snapshot(trainer: Trainer) -> Snapshot:
    """Return a snapshot of this moment without the replay's rows."""
    arrays = snapshot_arrays(trainer) | trainer.continuation
    return Snapshot(trainer.env_steps, arrays, [], trainer.driver.written())


def _save(trainer: Trainer, hooks: Hooks, snapshot: Snapshot, mark: np.ndarray) -> np.ndarray:
    """Pass a snapshot to the hooks with the rows since `mark`; return the new mark."""
    trainer.driver.check()
    rows = trainer.driver.new_rows(mark, snapshot.written)
    hooks.on_checkpoint(snapshot._replace(new_rows=rows))
    return snapshot.written


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
    """Bring a new trainer to the moment of a snapshot; episodes that do not replay are cut, with a warning."""
    arrays, iteration = restored.arrays, int(restored.arrays["iteration"])
    if iteration < trainer.config.iterations:  # if it was at its end, the run has been lengthened
        arrays = arrays | {name.removeprefix(_CONTINUE): arrays[name] for name in arrays if name.startswith(_CONTINUE)}
    trainer.history = History.from_arrays(arrays)
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
