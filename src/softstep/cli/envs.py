"""`softstep envs`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

import softstep
from softstep.cli.command import PlainCommand
from softstep.cli.exit_codes import SUCCESS
from softstep.config import Config
from softstep.extras import MissingExtra

EXAMPLES = ("LunarLander-v3", "CartPole-v1", "Acrobot-v1", "MountainCar-v0", "gymnax:CartPole-v1")


@dataclass(frozen=True)
class Envs(PlainCommand):
    """List environments that agents can be trained on here."""

    def execute(self) -> int:
        """Print a table of examples and what else is possible, and return the exit code."""
        table = Table(title="Environments with discrete actions", title_justify="left")
        for column in ("id", "maker", "observation", "actions", "exactly resumable"):
            table.add_column(column)
        missing = list[str]()
        for env in EXAMPLES:
            try:
                spec = softstep.describe(Config(env=env))
            except MissingExtra as error:
                missing.append(f"{env} needs {error.name}: {error.fix}")
                continue
            exact = "yes" if spec.exactly_resumable else "no"
            table.add_row(env, spec.maker, str(spec.observation_size), str(spec.num_actions), exact)
        Console().print(table)
        for line in missing:
            print(line)
        print("Any Gymnasium id with Discrete actions and a Box observation works, and any such gymnax:ID;")
        print("your own with --env-module your_module; envpool:ID after pip install 'softstep[envpool]'.")
        return SUCCESS
