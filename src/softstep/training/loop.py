"""Train one block: iterations, and between them records, evaluations and checkpoints at fixed environment steps.

Knows no files and no terminals: what happens is handed to `Hooks`.
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
from softstep.training.block import DRAWN_AHEAD, Block, Shared, block_hyper, make_block, since_record
from softstep.training.evaluation import Evaluate, make_evaluate
from softstep.training.host_driver import Driver, FusedDriver, HostDriver
from softstep.training.probe import make_probe
from softstep.transition import row_width

GATE_WINDOW = 40
"""Episodes whose mean opens the gate to evaluations."""


@dataclass
class Trainer:
    """The parts of a running block."""

    config: Config
    spec: envs.EnvSpec
    block: Block
    driver: Driver
    evaluate: Evaluate
    log: History
    agents: tuple[Agent, ...]
    """As they are now: changes move their α and their target."""
    changes_made: int = 0
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
    """Iterations before learning starts; at least one, so that there is something to replay."""
    return max(1, math.ceil(config.learning_starts / config.steps_per_iteration))


def make_trainer(config: Config, agents: Sequence[Agent], spec: envs.EnvSpec, shared: Shared | None = None) -> Trainer:
    """A block ready for its first iteration; `shared` is for other blocks of this configuration, before or after it."""
    shared = shared or Shared()
    learner = shared(make_learner, config, spec.observation_size, spec.num_actions)
    probe = None if config.probe == 0 else make_probe(config, spec, [agent.seed for agent in agents])
    block = make_block(config, learner, agents, spec.observation_size, spec.num_actions, probe, shared)
    compiled = shared(envs.make_compiled, spec.name) if spec.maker == "gymnax" else None
    driver: Driver
    if compiled is not None:
        driver = FusedDriver(config, block, compiled, shared)
    else:
        host = envs.make_host(spec, [agent.seed for agent in agents], config.num_envs)
        driver = HostDriver(config, block, host, shared)
    evaluate = make_evaluate(config, block, spec, compiled, shared)
    return Trainer(config, spec, block, driver, evaluate, History.empty(len(agents)), tuple(agents))


def run_block(
    config: Config,
    agents: Sequence[Agent],
    spec: envs.EnvSpec,
    hooks: Hooks,
    restored: Restored | None = None,
    shared: Shared | None = None,
) -> Outcome:
    """Train the block to its end, or until `hooks.should_stop`."""
    trainer = make_trainer(config, agents, spec, shared)
    if restored is not None:
        restore(trainer, restored)
    try:
        return _run(trainer, hooks)
    finally:
        trainer.driver.close()


def _run(trainer: Trainer, hooks: Hooks) -> Outcome:
    config, driver = trainer.config, trainer.driver
    begun, first, mark, stopped = time.perf_counter(), trainer.env_steps, driver.written(), False
    end = config.iterations
    while driver.iteration < end and not _all_solved(trainer):
        if hooks.should_stop():
            stopped = True
            break
        before = trainer.env_steps
        go_on(trainer, end, hooks.on_records)
        last = driver.iteration == end
        hooks.on_progress(_progress(trainer, time.perf_counter() - begun - trainer.eval_seconds))
        if not last and _passed(config.checkpoint_every, before, trainer.env_steps):
            mark = _checkpoint(trainer, hooks, mark)
    jax.block_until_ready(driver.state)
    seconds = time.perf_counter() - begun - trainer.eval_seconds
    if trainer.env_steps > first:
        _checkpoint(trainer, hooks, mark)
    return Outcome(
        trainer.env_steps,
        trainer.env_steps - first,
        tuple(trainer.log.solved),
        stopped,
        seconds,
        trainer.eval_seconds,
    )


def go_on(trainer: Trainer, until: int, on_records: Callable[[list[Record]], None]) -> None:
    """Run on, at most to the next event or to iteration `until`; evaluate and record where it is time."""
    config, before = trainer.config, trainer.env_steps
    _advance(trainer, min(until, _next_event(config, before)))
    last = trainer.driver.iteration == config.iterations
    evaluated = _evaluation_due(trainer, before, last)
    returns = _evaluate(trainer) if evaluated else None
    if evaluated or last or _passed(config.record_every, before, trainer.env_steps):
        on_records(record(trainer, returns))


def _advance(trainer: Trainer, until: int) -> None:
    """Run iterations up to number `until`, not across the start of learning."""
    driver, start = trainer.driver, warmup(trainer.config)
    make_changes(trainer)
    learning = driver.iteration >= start
    until = min(until, driver.iteration + DRAWN_AHEAD, until if learning else start)
    trainer.log.episodes.add(driver.advance(until - driver.iteration, learning=learning))


def make_changes(trainer: Trainer) -> None:
    """Let the changes that are due by now take effect."""
    changes, now = trainer.config.changes, trainer.env_steps
    due = bisect.bisect_right(changes, now, key=lambda change: change.env_steps)
    if due > trainer.changes_made:
        new = changes[trainer.changes_made : due]
        trainer.agents = tuple(changed(agent, new) for agent in trainer.agents)
        trainer.driver.given = trainer.block.given._replace(hyper=block_hyper(trainer.config, trainer.agents))
        trainer.changes_made = due


def _next_event(config: Config, env_steps: int) -> int:
    """The iteration at whose end the next record, evaluation, checkpoint or change is due."""
    every = [n for n in (config.record_every, config.eval_every, config.checkpoint_every) if n]
    due = [(env_steps // n + 1) * n for n in every] + [c.env_steps for c in config.changes if c.env_steps > env_steps]
    return math.ceil(min(due) / config.steps_per_iteration)


def _passed(every: int, before: int, after: int) -> bool:
    """Whether a multiple of `every` lies in (before, after]."""
    return every > 0 and after // every > before // every


def _evaluation_due(trainer: Trainer, before: int, last: bool) -> bool:
    every, gate = trainer.config.eval_every, trainer.config.eval_gate
    if every == 0 or last or not _passed(every, before, trainer.env_steps):
        return every > 0 and last
    return gate is None or _mean_return(trainer, GATE_WINDOW) >= gate


def _all_solved(trainer: Trainer) -> bool:
    return trainer.config.solve_at is not None and all(trainer.log.solved)


def _evaluate(trainer: Trainer) -> np.ndarray:
    """Mean greedy return of each agent (W,); where `solve_at` asks, confirmed on a second set of episodes."""
    config, log, begun = trainer.config, trainer.log, time.perf_counter()
    jax.block_until_ready(trainer.driver.state)
    learner = trainer.driver.state.learner
    player = learner.online if config.eval_network == "online" else learner.target
    returns = trainer.evaluate(player, 2 * log.evaluations, config.eval_episodes).mean(1)
    if config.solve_at is not None and (returns >= config.solve_at).any():
        again = trainer.evaluate(player, 2 * log.evaluations + 1, config.eval_episodes).mean(1)
        both = (returns >= config.solve_at) & (again >= config.solve_at)
        log.solved = [bool(a or b) for a, b in zip(log.solved, both, strict=True)]
    log.evaluations += 1
    trainer.eval_seconds += time.perf_counter() - begun
    return returns


def record(trainer: Trainer, eval_returns: np.ndarray | None = None) -> list[Record]:
    """A row for every agent; the sums since the last record start anew."""
    driver, log = trainer.driver, trainer.log
    words = trainer.block.measure_words(trainer.env_steps)
    measures = trainer.block.measure(driver.given, driver.state, driver.minibatch(words)[0])
    found = jax.tree.map(np.asarray, measures)
    losses = np.asarray(driver.state.loss_sum)
    since = trainer.gradient_steps - (log.records[-1].gradient_steps if log.records else 0)
    rows = [
        Record(
            arm=agent.arm,
            seed=agent.seed,
            learning_rate=agent.learning_rate,
            tau=agent.target.tau,
            period=agent.target.period,
            env_steps=trainer.env_steps,
            gradient_steps=trainer.gradient_steps,
            episodes=int(driver.walk.episodes[w]),
            train_return=log.episodes.train_return(w),
            eval_return=math.nan if eval_returns is None else float(eval_returns[w]),
            loss=float(losses[w]) / since if since else math.nan,
            q_mean=float(found.q_mean[w]),
            y_drift=float(found.y_drift[w]),
            target_gap=float(found.target_gap[w]),
            diverged=bool(found.diverged_at[w] > 0),
            y_rms=float(found.y_rms[w]),
            y_p99=float(found.y_p99[w]),
            y_sd=float(found.y_sd[w]),
        )
        for w, agent in enumerate(trainer.agents)
    ]
    driver.state = since_record(driver.state)
    log.records += rows
    return rows


def _progress(trainer: Trainer, seconds: float) -> Progress:
    return Progress(trainer.env_steps, trainer.gradient_steps, seconds, _mean_return(trainer))


def _mean_return(trainer: Trainer, window: int = RETURN_WINDOW) -> float:
    """Mean over the agents of their training returns; NaN before the first."""
    each = [trainer.log.episodes.train_return(agent, window) for agent in range(len(trainer.block.agents))]
    known = [mean for mean in each if not math.isnan(mean)]
    return math.fsum(known) / len(known) if known else math.nan


def _checkpoint(trainer: Trainer, hooks: Hooks, mark: np.ndarray) -> np.ndarray:
    """Hand over a snapshot; the new mark of replay rows."""
    driver = trainer.driver
    arrays = snapshot_arrays(trainer)
    written = driver.written()
    hooks.on_checkpoint(Snapshot(trainer.env_steps, arrays, driver.new_rows(mark), written))
    return written


def snapshot_arrays(trainer: Trainer) -> dict[str, np.ndarray]:
    """Everything but the replay's rows."""
    return trainer.driver.snapshot() | {"iteration": np.array(trainer.driver.iteration)} | trainer.log.to_arrays()


def restart_from(trainer: Trainer, config: Config, arrays: dict[str, np.ndarray]) -> None:
    """Back to `arrays`, the snapshot of a trainer that had not begun, with the arms and changes of `config`."""
    width = row_width(trainer.spec.observation_size)
    restore(trainer, Restored(arrays, [np.empty((0, width), np.float32) for _ in trainer.block.agents]))
    trainer.config, trainer.agents, trainer.changes_made = config, config.blocks()[0], 0
    trainer.driver.given = trainer.block.given._replace(hyper=block_hyper(config, trainer.agents))


def restore(trainer: Trainer, restored: Restored) -> None:
    """Bring a fresh trainer to a snapshot's moment."""
    trainer.log = History.from_arrays(restored.arrays)
    trainer.driver.restore(restored.arrays, restored.rows, int(restored.arrays["iteration"]))


def evaluated_parameters(config: Config, arrays: dict[str, np.ndarray], count: int) -> tuple[np.ndarray, ...]:
    """The playing network's `count` leaves (W, ...) out of a snapshot's arrays, without building its block."""
    prefix = "block" if "block/000" in arrays else "carry"
    first = 0 if config.eval_network == "online" else count  # a learner's state begins with Q, then T
    return tuple(arrays[f"{prefix}/{first + i:03}"] for i in range(count))
