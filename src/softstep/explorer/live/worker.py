"""The process of a live run: trains without end, applies changed settings at once, and shows the arms at play.

Started with `worker_env.command`. The first line of standard input is the configuration, every further line a command;
events go to standard output as JSON lines. The process ends when its input closes.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from pathlib import Path
from typing import Any

from softstep import envs
from softstep.config import Config
from softstep.errors import ConfigError, EnvironmentFailed, StoreError
from softstep.explorer.live.policy_display import PolicyDisplay
from softstep.explorer.live.save_run import save_run
from softstep.jax_settings.dispatch import set_dispatch
from softstep.jax_settings.pinned import pinned
from softstep.records.events import Hooks, Record
from softstep.runs import worker_env
from softstep.settings import Change
from softstep.target import TargetUpdate
from softstep.training.loop import run_to_next_event
from softstep.training.trainer import apply_changes, make_trainer, restart_from, snapshot_arrays
from softstep.worker.stdio import Commands, open_pipes, read_commands
from softstep.worker.stop import WorkerStop

FRAME_SECONDS = 1 / 25
"""Time between two frames."""

CHUNK_SECONDS = 0.03
"""Time to train before looking for commands; the number of iterations adapts to the machine."""


class LiveAgent:
    """A trainer that obeys commands and sends events; `send(kind, **values)` sends one event."""

    def __init__(self, config: Config, send: Any) -> None:
        self._send, self._hooks = send, Hooks(on_records=self._send_records)
        self.trainer = make_trainer(config, config.blocks()[0], envs.describe(config))
        self._initial = config, snapshot_arrays(self.trainer)
        self._display = PolicyDisplay(self.trainer)
        self.paused = True
        self._chunk, self._pending = 1, dict[str, Change]()
        self._send_frame(0.0)

    # ---- commands ----

    def execute(self, command: dict[str, Any]) -> None:
        """Carry out one command."""
        name = command.get("do")
        if name in ("pause", "play"):
            self.paused = name == "pause"
        elif name == "step":
            self._train(1)
        elif name == "reset":
            self._reset()
        elif name == "change":
            self._queue_change(command)
        elif name == "save":
            self._save(Path(command["path"]))

    def _queue_change(self, command: dict[str, Any]) -> None:
        """Queue a change for the next iteration; a later change to the same setting replaces an earlier one."""
        arm = command["arm"]
        before = self._pending.get(arm, Change(0, arm))
        target = None if command.get("target") is None else TargetUpdate(**command["target"])
        rate = command.get("learning_rate")
        self._pending[arm] = Change(
            0, arm, before.learning_rate if rate is None else rate, before.target if target is None else target
        )

    def _reset(self) -> None:
        """Go back to the first step and keep the current settings."""
        config, arrays = self._initial
        self._apply_changes()
        agents = {agent.arm: agent for agent in self.trainer.agents}
        arms = [
            dataclasses.replace(arm, learning_rate=agents[arm.name].learning_rate, target=agents[arm.name].target)
            for arm in config.arms
        ]
        restart_from(self.trainer, dataclasses.replace(config, arms=tuple(arms)), arrays)
        self._display.restart()
        self._send("reset")
        self._send_frame(0.0)

    def _save(self, path: Path) -> None:
        try:
            save_run(self.trainer, path)
            self._send("saved", path=path.name, env_steps=self.trainer.env_steps)
        except (StoreError, ConfigError) as error:
            self._send("not-saved", message=str(error))

    # ---- training ----

    def advance(self) -> None:
        """Train for about `CHUNK_SECONDS`, or sleep while paused; send a frame when one is due."""
        started = time.perf_counter()
        if self.paused:
            time.sleep(FRAME_SECONDS / 2)
        else:
            before = self.trainer.env_steps
            self._train(self._chunk)
            seconds = time.perf_counter() - started
            self._chunk = max(1, min(64, round(self._chunk * min(2.0, CHUNK_SECONDS / seconds))))
            self._display.add_rate(self.trainer.env_steps - before, seconds)
        if self._display.is_due(FRAME_SECONDS):
            self._send_frame(FRAME_SECONDS)

    def _train(self, iterations: int) -> None:
        self._apply_changes()
        run_to_next_event(self.trainer, self.trainer.driver.iteration + iterations, self._hooks)

    def _apply_changes(self) -> None:
        """Write the queued changes into the configuration at the current step, and let them take effect."""
        if not self._pending:
            return
        env_steps = self.trainer.env_steps
        changes = [dataclasses.replace(change, env_steps=env_steps) for change in self._pending.values()]
        self._pending.clear()
        config = self.trainer.config
        self.trainer.config = dataclasses.replace(config, changes=(*config.changes, *changes))
        apply_changes(self.trainer)
        for change in changes:
            self._send("changed", **dataclasses.asdict(change))

    def _send_records(self, records: list[Record]) -> None:
        self._send("records", rows=[_json_record(record) for record in records])

    def _send_frame(self, seconds: float) -> None:
        self._send("frame", paused=self.paused, **self._display.frame(seconds))


def _json_record(record: Record) -> dict[str, Any]:
    """Return a record as a dictionary for JSON, with None for values that are not finite."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record._asdict().items()}


def main() -> None:
    """Run a live agent until standard input closes."""
    WorkerStop()
    set_dispatch(overlap=worker_env.may_overlap(1))
    orders, output = open_pipes()
    config = Config.from_json(orders.readline(), source="standard input")
    commands = read_commands(orders)

    def send(kind: str, **values: Any) -> None:
        output.write(json.dumps({"kind": kind, **values}, allow_nan=False) + "\n")

    try:
        with pinned():
            _run(LiveAgent(config, send), commands)
    except (ConfigError, EnvironmentFailed) as error:
        send("failed", message=str(error))
    except BrokenPipeError:  # the server has gone
        os._exit(0)


def _run(agent: LiveAgent, commands: Commands) -> None:
    """Alternate between commands and training until the input closes."""
    while True:
        while not commands.empty():
            command = commands.get()
            if command is None:
                return
            agent.execute(command)
        agent.advance()


if __name__ == "__main__":
    main()
