"""A live agent's process: trains without end, obeys a hand on its sliders, and shows what it does.

Started with `runtime.command`. The first line on standard input is the configuration, every further one an order; what
happens goes out as JSON lines on standard output. When the input closes, it ends.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from softstep import envs
from softstep.config import Change, Config
from softstep.errors import ConfigError, EnvironmentFailed, StoreError
from softstep.explorer.live.saving import save
from softstep.explorer.live.show import Show
from softstep.records.events import Record
from softstep.target import TargetUpdate
from softstep.training import loop
from softstep.worker.stdio import Commands, open_output, read_commands

FRAME_SECONDS = 1 / 25
"""Between two pictures."""

CHUNK_SECONDS = 0.03
"""Training between two looks at the clock; the number of iterations follows the machine."""


class LiveAgent:
    """A trainer under somebody's hand."""

    def __init__(self, config: Config, say: Any) -> None:
        self._say = say
        self.trainer = loop.make_trainer(config, config.blocks()[0], envs.describe(config))
        self._fresh = config, loop.snapshot_arrays(self.trainer)
        self._show = Show(self.trainer)
        self.paused = True
        self._chunk, self._pending = 1, dict[str, Change]()
        self._tell_frame(0.0)

    # ---- orders ----

    def obey(self, order: dict[str, Any]) -> None:
        """Carry out one order."""
        do = order.get("do")
        if do in ("pause", "play"):
            self.paused = do == "pause"
        elif do == "step":
            self._train(1)
        elif do == "reset":
            self._reset()
        elif do == "change":
            self._want(order)
        elif do == "save":
            self._save(Path(order["path"]))

    def _want(self, order: dict[str, Any]) -> None:
        """Remember a change; of several for one arm between two iterations the last one counts."""
        arm = order["arm"]
        before = self._pending.get(arm, Change(0, arm))
        target = None if order.get("tau") is None else TargetUpdate(order["tau"], order.get("period", 1))
        rate = order.get("learning_rate")
        self._pending[arm] = Change(
            0, arm, before.learning_rate if rate is None else rate, before.target if target is None else target
        )

    def _reset(self) -> None:
        """Back to the first step, with the settings of now."""
        config, arrays = self._fresh
        self._make_changes()
        agents = {agent.arm: agent for agent in self.trainer.agents}
        arms = [
            dataclasses.replace(arm, learning_rate=agents[arm.name].learning_rate, target=agents[arm.name].target)
            for arm in config.arms
        ]
        loop.restart_from(self.trainer, dataclasses.replace(config, arms=tuple(arms)), arrays)
        self._show.restart_from()
        self._say("reset")
        self._tell_frame(0.0)

    def _save(self, path: Path) -> None:
        try:
            save(self.trainer, path)
            self._say("saved", path=path.name, env_steps=self.trainer.env_steps)
        except (StoreError, ConfigError) as error:
            self._say("not-saved", message=str(error))

    # ---- life ----

    def live_on(self) -> None:
        """Train a moment, or rest; show a picture when it is time."""
        begun = time.perf_counter()
        if self.paused:
            time.sleep(FRAME_SECONDS / 2)
        else:
            before = self.trainer.env_steps
            self._train(self._chunk)
            seconds = time.perf_counter() - begun
            self._chunk = max(1, min(64, round(self._chunk * min(2.0, CHUNK_SECONDS / seconds))))
            self._show.rate_seen(self.trainer.env_steps - before, seconds)
        if self._show.due(FRAME_SECONDS):
            self._tell_frame(FRAME_SECONDS)

    def _train(self, iterations: int) -> None:
        self._make_changes()
        loop.run_to_next_event(self.trainer, self.trainer.driver.iteration + iterations, self._tell_records)

    def _make_changes(self) -> None:
        """Write what is wanted into the configuration, at this step."""
        if not self._pending:
            return
        now = self.trainer.env_steps
        made = [dataclasses.replace(change, env_steps=now) for change in self._pending.values()]
        self._pending.clear()
        config = self.trainer.config
        self.trainer.config = dataclasses.replace(config, changes=(*config.changes, *made))
        loop.apply_changes(self.trainer)
        for change in made:
            self._say("changed", **dataclasses.asdict(change))

    def _tell_records(self, records: list[Record]) -> None:
        self._say("records", rows=[_plain(record) for record in records])

    def _tell_frame(self, seconds: float) -> None:
        self._say("frame", paused=self.paused, **self._show.frame(seconds))


def _plain(record: Record) -> dict[str, Any]:
    """A record for JSON: None where a number is not finite."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record._asdict().items()}


def main() -> None:
    """Live until the input closes."""
    news = open_output()
    config = Config.from_json(sys.stdin.readline(), source="order")
    orders = read_commands()

    def say(kind: str, **values: Any) -> None:
        news.write(json.dumps({"kind": kind, **values}, allow_nan=False) + "\n")

    try:
        _live(LiveAgent(config, say), orders)
    except (ConfigError, EnvironmentFailed) as error:
        say("failed", message=str(error))
    except BrokenPipeError:  # nobody listens any more
        os._exit(0)


def _live(agent: LiveAgent, orders: Commands) -> None:
    while True:
        while not orders.empty():
            order = orders.get()
            if order is None:
                return
            agent.obey(order)
        agent.live_on()


if __name__ == "__main__":
    main()
