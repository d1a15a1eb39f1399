"""Weights & Biases: one run per agent, all in one group, over environment steps."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from softstep.records.events import Record
from softstep.records.sink import Ending, LoggedAgent, LoggedRun
from softstep.trackers.scalars import followed, scalars


class WeightsAndBiases:
    """Logs to the project `softstep`, or to `$WANDB_PROJECT`; the library's files lie in the folder `wandb` of the run.

    An agent's run has the id ID-NUMBER, so that a resumed run continues it.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[str, int], Any] = {}

    def start(self, run: LoggedRun) -> None:
        """Start or continue the runs of at most `MOST_AGENTS` agents.

        Raises:
            RuntimeError: nobody is logged in, and the library would ask on the terminal.
        """
        own = "wandb" not in sys.modules
        import wandb

        if own:  # in a process that uses the library itself, its settings are the user's
            wandb.setup(settings=wandb.Settings(silent=True))
        mode: Any = os.environ.get("WANDB_MODE") or wandb.setup().settings.mode
        if mode in ("online", "shared") and not wandb.login(prompt=False, verify=False):
            raise RuntimeError("nobody is logged in: run `wandb login`, or set WANDB_MODE=offline")
        numbers = {agent: number for number, agent in enumerate(run.agents)}
        settings = wandb.Settings(
            console="off", silent=True, disable_git=True, disable_code=True, x_disable_stats=True
        )  # what a run prints and its JSON lines stay as they are, and 100 agents are not 100 times one machine
        for agent in followed(run.agents):
            self._runs[agent.arm, agent.seed] = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "softstep"),
                group=run.name,
                job_type=agent.arm,
                name=f"{run.name}/{agent.name}",
                id=f"{run.id}-{numbers[agent]}",
                resume="allow",
                reinit="create_new",
                dir=run.path,
                mode=mode,
                config=_config(run, agent),
                settings=settings,
            )

    def write(self, records: Sequence[Record]) -> None:
        """Log every finite scalar at the record's environment steps, if it is beyond what the run has already."""
        for record in records:
            run = self._runs.get((record.arm, record.seed))
            if run is not None and record.env_steps >= run.starting_step:
                run.log(scalars(record), step=record.env_steps)

    def finish(self, ending: Ending) -> None:
        """Finish every run: after a failure with exit code 1."""
        for run in self._runs.values():
            run.finish(exit_code=int(ending == "failed"))
        self._runs.clear()


def _config(run: LoggedRun, agent: LoggedAgent) -> dict[str, Any]:
    """Return the run's settings and what the agent has of its own."""
    own = {"arm": agent.arm, "seed": agent.seed, "alpha": agent.learning_rate, "tau": agent.tau, "c": 1 - agent.tau}
    return {**run.settings, **own, "period": agent.period, "folder": str(run.path)}
