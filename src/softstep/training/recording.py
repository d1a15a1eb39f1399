"""Records and evaluations: when they are due, and what a record says."""

from __future__ import annotations

import math
import time

import jax
import numpy as np

from softstep.errors import Abandoned
from softstep.learner.networks import Params
from softstep.records.events import Hooks, Record, is_due
from softstep.records.history import RETURN_WINDOW
from softstep.training.best_checkpoint import PREFIX, keep_best
from softstep.training.block import reset_record_sums
from softstep.training.evaluation import evaluated_network, warn_of_cut_episodes
from softstep.training.trainer import CONTINUE, Trainer, snapshot_arrays

GATE_WINDOW = 40
"""Number of episodes whose mean return `eval_gate` is compared with."""

_CHANGED_BY_RECORDS = ("history", "loss_sum", "drift/", PREFIX)
"""Beginnings of the names of those arrays of a snapshot that a record or an evaluation changes."""


def record_if_due(trainer: Trainer, hooks: Hooks) -> None:
    """Evaluate and record if that is due at this step and not done yet, as after a stop during an evaluation."""
    config, records, count = trainer.config, trainer.history.records, len(trainer.block.agents)
    if trainer.env_steps == 0:
        return
    is_last = trainer.driver.iteration == config.iterations
    rows = records[-count:] if records and records[-1].env_steps == trainer.env_steps else []
    if rows and not (is_last and config.eval_every > 0 and all(math.isnan(row.eval_return) for row in rows)):
        return
    evaluated = not rows and _evaluation_due(trainer)
    if evaluated or is_last or is_due(config, config.record_every, trainer.env_steps):
        trainer.driver.check()
    if not rows and (evaluated or is_due(config, config.record_every, trainer.env_steps)):
        rows = record(trainer, _evaluate(trainer, hooks) if evaluated else None)
    if is_last:
        rows = _last_records(trainer, rows, hooks, evaluated=evaluated)
    if rows:
        hooks.on_records(rows)


def _last_records(trainer: Trainer, rows: list[Record], hooks: Hooks, *, evaluated: bool) -> list[Record]:
    """Return the records of the run's end, which has a record and, unless there are none, an evaluation.

    A longer run would have neither unless they are due at this step, so the state from which it would continue is kept
    in `continuation`.

    Args:
        trainer: the block at its end.
        rows: the records that are due at this step; empty if none are.
        hooks: callbacks.
        evaluated: whether `rows` have an evaluation.
    """
    evaluating = trainer.config.eval_every > 0 and not evaluated
    if rows and not evaluating:
        return rows
    arrays = snapshot_arrays(trainer)
    returns = _evaluate(trainer, hooks) if evaluating else None
    trainer.continuation = {CONTINUE + name: arrays[name] for name in arrays if name.startswith(_CHANGED_BY_RECORDS)}
    if not rows:
        return record(trainer, returns)
    assert returns is not None
    rows = [row._replace(eval_return=float(value)) for row, value in zip(rows, returns, strict=True)]
    trainer.history.records[-len(rows) :] = rows
    return rows


def _evaluation_due(trainer: Trainer) -> bool:
    config, gate = trainer.config, trainer.config.eval_gate
    if not is_due(config, config.eval_every, trainer.env_steps):
        return False
    return gate is None or mean_return(trainer, GATE_WINDOW) >= gate


def _evaluate(trainer: Trainer, hooks: Hooks) -> np.ndarray:
    """Return each agent's mean greedy return (W,); one above `solve_at` is confirmed on a second set of episodes."""
    config, history, start_time = trainer.config, trainer.history, time.perf_counter()
    jax.block_until_ready(trainer.driver.state)
    state = trainer.driver.state.learner
    params = evaluated_network(config, trainer.block.learner, state)
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
    if trainer.best is not None:
        trainer.best = keep_best(trainer.best, params, returns, np.asarray(state.diverged_at) > 0, trainer.env_steps)
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
    train_returns = history.episodes.train_returns().tolist()
    rows = [
        Record(
            arm=agent.arm,
            seed=agent.seed,
            learning_rate=agent.learning_rate,
            tau=agent.target.tau_at(max(1, trainer.gradient_steps)),
            period=agent.target.period,
            env_steps=trainer.env_steps,
            gradient_steps=trainer.gradient_steps,
            episodes=int(statistics.episodes[w]),
            train_return=train_returns[w],
            eval_return=math.nan if eval_returns is None else float(eval_returns[w]),
            loss=float(losses[w]) / since if since else math.nan,
            **{name: column[w] for name, column in columns.items()},
        )
        for w, agent in enumerate(trainer.agents)
    ]
    driver.state = reset_record_sums(driver.state)
    history.records += rows
    return rows


def mean_return(trainer: Trainer, window: int = RETURN_WINDOW) -> float:
    """Return the mean over the agents of their training returns; NaN before the first episode ends."""
    returns = trainer.history.episodes.train_returns(window)
    known = returns[~np.isnan(returns)].tolist()
    return math.fsum(known) / len(known) if known else math.nan
