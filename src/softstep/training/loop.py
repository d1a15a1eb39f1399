"""Train one block: iterations, with records, evaluations and checkpoints at fixed environment steps between them.

Knows neither files nor terminals; everything that happens is passed to `Hooks`.

A stop is heard within a fraction of a second, whatever an iteration costs, and the last checkpoint is of that moment:
`Hooks.should_stop` is asked every `POLL_SECONDS`, and what takes longer can be abandoned, since a resumed run repeats
it exactly: the start, an evaluation, and an iteration of slow environments, of which a snapshot is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import jax
import numpy as np

from softstep import envs
from softstep.config import Config
from softstep.errors import Abandoned
from softstep.records.events import Hooks, Outcome, Progress, Restored, Snapshot, is_due
from softstep.settings import Agent
from softstep.training.program_cache import ProgramCache
from softstep.training.randomness import drawn_ahead
from softstep.training.recording import mean_return, record_if_due
from softstep.training.trainer import Trainer, apply_changes, make_trainer, restore, snapshot_arrays

POLL_SECONDS = 0.2
"""Time between two questions whether to stop, and two reports of progress."""


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
        record_if_due(trainer, hooks)
        while driver.iteration < config.iterations and not _all_solved(trainer):
            if stopped := hooks.should_stop():
                break
            run_to_next_event(trainer, config.iterations, hooks)
            hooks.on_progress(_progress(trainer, time.perf_counter() - start_time - trainer.eval_seconds))
            if is_due(config, config.checkpoint_every, trainer.env_steps) and driver.iteration < config.iterations:
                mark = checkpoint(trainer, hooks, mark)
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
    record_if_due(trainer, hooks)


def _advance(trainer: Trainer, until: int, hooks: Hooks) -> None:
    """Run iterations up to number `until`, but not across the start of learning."""
    driver, start = trainer.driver, trainer.config.warmup
    apply_changes(trainer)
    learning = driver.iteration >= start
    until = min(until, driver.iteration + drawn_ahead(trainer.config), until if learning else start)
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


def _next_event(config: Config, env_steps: int) -> int:
    """Return the iteration at whose end the next record, evaluation, checkpoint or change is due."""
    periods = [n for n in (config.record_every, config.eval_every, config.checkpoint_every) if n]
    due = [(env_steps // n + 1) * n for n in periods] + [c.env_steps for c in config.changes if c.env_steps > env_steps]
    return math.ceil(min(due) / config.steps_per_iteration)


def _all_solved(trainer: Trainer) -> bool:
    return trainer.config.solve_at is not None and all(trainer.history.solved)


def _progress(trainer: Trainer, seconds: float) -> Progress:
    return Progress(trainer.env_steps, trainer.gradient_steps, seconds, mean_return(trainer))


def _snapshot(trainer: Trainer) -> Snapshot:
    """Return a snapshot of this moment without the replay's rows."""
    arrays = snapshot_arrays(trainer) | trainer.continuation
    return Snapshot(trainer.env_steps, arrays, [], trainer.driver.written())


def checkpoint(trainer: Trainer, hooks: Hooks, mark: np.ndarray) -> np.ndarray:
    """Pass a snapshot of this moment to the hooks, with the rows since `mark`; return the new mark."""
    return _save(trainer, hooks, _snapshot(trainer), mark)


def _save(trainer: Trainer, hooks: Hooks, snapshot: Snapshot, mark: np.ndarray) -> np.ndarray:
    """Pass a snapshot to the hooks with the rows since `mark`; return the new mark."""
    trainer.driver.check()
    rows = trainer.driver.new_rows(mark, snapshot.written)
    hooks.on_checkpoint(snapshot._replace(new_rows=rows))
    return snapshot.written
