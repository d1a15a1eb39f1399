"""`softstep eval`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console

import softstep
from softstep.cli.command import PlainCommand, RunPath, Switch
from softstep.cli.exit_codes import SUCCESS
from softstep.cli.options import Trust, TrustFlags
from softstep.files import json_text
from softstep.report.terminal.tables import return_table


@dataclass(frozen=True)
class Eval(PlainCommand):
    """Measure the greedy returns of a run's agents on held-out episodes, which share no seed with training."""

    run: RunPath
    """Run folder."""
    episodes: int = 100
    """Episodes per agent."""
    seed: int = 0
    """Which held-out episodes: one seed gives all agents the same episodes, two seeds have none in common."""
    best: Switch = False
    """Judge the weights of each agent's best evaluation in training instead of its last weights."""
    eval_max_steps: int | None = None
    """Steps after which an episode is cut, with a warning. None takes the run's own limit."""
    json: Switch = False
    """Print one JSON object instead of a table."""
    trust: Trust = field(default_factory=TrustFlags)

    def execute(self) -> int:
        """Evaluate, print the statistics of every agent and return the exit code."""
        evaluation = softstep.evaluate(
            self.run,
            self.episodes,
            self.seed,
            best=self.best,
            eval_max_steps=self.eval_max_steps,
            trusted=self.trust.names,
        )
        rows = evaluation.statistics
        if self.json:
            agents = [
                {"arm": agent.arm, "seed": agent.seed} | row._asdict() | {"cut": int(cut)}
                for agent, row, cut in zip(evaluation.agents, rows, evaluation.cut, strict=True)
            ]
            facts = {"run": str(self.run), "episodes": self.episodes, "best": self.best}
            print(json_text(facts | {"agents": agents}))
        else:
            Console().print(return_table(evaluation.agents, rows, self.episodes, best=self.best))
        return SUCCESS
