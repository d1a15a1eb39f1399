"""Small runs shared by the tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

from softstep import envs
from softstep.config import Config
from softstep.learner.algorithms import make_learner
from softstep.records.events import Hooks, Outcome, Record, Restored, Snapshot
from softstep.settings import Agent
from softstep.training.block import make_block
from softstep.training.driver import Driver, replay_capacity
from softstep.training.fused_driver import FusedDriver
from softstep.training.host_driver import HostDriver
from softstep.training.loop import run_block
from softstep.training.program_cache import ProgramCache
from softstep.training.randomness import drawn_ahead


def small(**changes: Any) -> Config:
    """Return a configuration whose programs compile quickly and whose replay ring wraps early."""
    defaults: dict[str, Any] = {
        "env": "gymnax:CartPole-v1", "total_steps": 400, "hidden": (8,), "batch_size": 8, "memory_size": 64,
        "learning_starts": 20, "train_every": 2, "record_every": 100, "checkpoint_every": 100,
    }  # fmt: skip
    return Config(**(defaults | changes))


def make_driver(config: Config, agents: tuple[Agent, ...] | None = None, kind: str = "default") -> Driver:
    """Make the driver of the first block: `default`, or gymnax stepped from the host (`host`)."""
    agents = config.blocks()[0] if agents is None else agents
    spec = envs.describe(config)
    learner = make_learner(config, spec.observation_size, spec.num_actions)
    block = make_block(config, learner, agents, spec.observation_size, spec.num_actions)
    if spec.maker != "gymnax":
        return HostDriver(config, block, envs.make_host(spec, [a.seed for a in agents], config.num_envs))
    compiled = envs.make_compiled(spec.name)
    if kind == "default":
        return FusedDriver(config, block, compiled)
    keys = block.reset_keys()[: len(agents)]
    return HostDriver(config, block, envs.GymnaxHostEnvs(compiled, keys), xla_acting=True)


def advance(driver: Driver, config: Config, iterations: int, chunk: int | None = None) -> np.ndarray:
    """Run `iterations` iterations, at most `chunk` or `drawn_ahead` per call, and return the finished episodes."""
    finished, end = list[np.ndarray](), driver.iteration + iterations
    while driver.iteration < end:
        learning = driver.iteration >= config.warmup
        until = min(end, driver.iteration + (chunk or drawn_ahead(config)), end if learning else config.warmup)
        finished.append(driver.advance(until - driver.iteration, learning=learning))
    return np.concatenate(finished)


def remembered(driver: Driver) -> list[np.ndarray]:
    """Return every agent's replay rows, oldest first."""
    return driver.new_rows(np.zeros_like(driver.written()))


def agent_bits(driver: Driver, slot: int) -> list[bytes]:
    """Return the complete state of an agent as bytes: learner, statistics and replay."""
    leaves = [np.asarray(leaf)[slot] for leaf in jax.tree.leaves(driver.state)]
    leaves += [np.asarray(leaf)[slot] for leaf in driver.statistics]
    return [leaf.tobytes() for leaf in leaves] + [remembered(driver)[slot].tobytes()]


def of_agent(finished: np.ndarray, slot: int) -> list[tuple[int, float, int]]:
    """Return the ends, returns and lengths of one agent's episodes."""
    return [tuple(rest) for agent, *rest in finished.tolist() if agent == slot]


class Tape:
    """Recording of everything that a block's run reports, and of the replay rows that a run folder would hold."""

    def __init__(self, config: Config, agents: tuple[Agent, ...] | None = None, stop_at: int | None = None) -> None:
        self.config, self.agents = config, config.blocks()[0] if agents is None else agents
        self.spec = envs.describe(config)
        self.records: list[Record] = []
        self.snapshots: list[Snapshot] = []
        self._steps, self._stop_at = 0, stop_at

    def run(self, restored: Restored | None = None, cache: ProgramCache | None = None) -> Outcome:
        """Train from the start or from a snapshot."""
        hooks = Hooks(
            on_records=self.records.extend,
            on_progress=lambda progress: setattr(self, "_steps", progress.env_steps),
            on_checkpoint=self.snapshots.append,
            should_stop=lambda: self._stop_at is not None and self._steps >= self._stop_at,
        )
        return run_block(self.config, self.agents, self.spec, hooks, restored, cache)

    def restored(self, number: int) -> Restored:
        """Return snapshot `number` as a run folder would restore it."""
        parts = zip(*(snapshot.new_rows for snapshot in self.snapshots[: number + 1]), strict=True)
        rows = [np.concatenate(agent)[-replay_capacity(self.config) :] for agent in parts]
        return Restored(self.snapshots[number].arrays, rows)


def exported_module(folder: Path) -> ModuleType:
    """Import the module of a policy's exported folder."""
    return imported(folder / "policy.py")


def imported(path: Path) -> ModuleType:
    """Import a file that is in no package; like a script, it finds the files beside it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
