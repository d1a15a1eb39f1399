"""`softstep advise`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

import softstep
from softstep.advice import atlas
from softstep.advice.library_settings import run_settings
from softstep.cli.command import File, PlainCommand, Switch
from softstep.cli.exit_codes import SUCCESS
from softstep.cli.library_settings import library_settings
from softstep.errors import ConfigError
from softstep.files import json_text


@dataclass(frozen=True)
class Advise(PlainCommand):
    """Which τ? Prints a window of it with reasons, the nearest measurements, and how such advice fared.

    Describe the run by numbers, or name a library whose settings you have. For example:

    - softstep advise --gamma 0.99 --learning-rate 1e-3 --updates 60000 --tau 0.005
    - softstep advise --from sb3 --file dqn.yml --entry CartPole-v1
    - softstep advise --from sb3-sac --total-steps 1e6 tau=0.02 gamma=0.98
    """

    source: Annotated[str | None, tyro.conf.arg(name="from", metavar="LIBRARY")] = None
    """Library that --file and NAME=VALUE belong to (`softstep convert --from list` lists all)."""
    settings: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[NAME=VALUE ...]")] = ()
    """Settings of the library, in its own words. The flags below override them."""
    file: Annotated[Path | None, File] = None
    """File of settings: YAML, TOML, JSON or gin. NAME=VALUE overrides it."""
    entry: str | None = None
    """Section of --file, for example CartPole-v1 or agent.dqn."""
    gamma: float | None = None
    """γ, the discount per environment step, in [0, 1)."""
    learning_rate: float | None = None
    """α, the size of a gradient step; of the critics, if there is an actor."""
    updates: float | None = None
    """G, gradient steps of the whole run."""
    total_steps: float | None = None
    """Environment steps of the whole run, instead of --updates, with --from."""
    optimizer: str | None = None
    """Optimizer, such as adam, rmsprop or sgd. None takes the library's, or adam."""
    period: int | None = None
    """Gradient steps between two target updates. None means 1; with --from, the library's."""
    tau: float | None = None
    """τ to place in the window. None places none; with --from, the library's."""
    env: str | None = None
    """Measured environment to compare with, such as LunarLander-v3. None: the nearest measurements of each."""
    json: Switch = False
    """Print one JSON object instead of text."""

    def execute(self) -> int:
        """Print the advice and return the exit code."""
        arguments, remarks = self._by_numbers() if self.source is None else self._from_library(self.source)
        try:
            advice = softstep.advise(**arguments)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        if self.json:
            print(json_text(advice.to_dict() | {"remarks": remarks}))
            return SUCCESS
        print(advice)
        for remark in remarks:
            print(f"note: {remark}")
        return SUCCESS

    def _by_numbers(self) -> tuple[dict[str, Any], list[str]]:
        """Return the arguments of `softstep.advise` from the flags."""
        foreign = {"NAME=VALUE": self.settings, "--file": self.file, "--entry": self.entry}
        for name, value in {**foreign, "--total-steps": self.total_steps}.items():
            if value:
                raise ConfigError(f"{name} needs the library that it belongs to: give --from, for example --from sb3")
        needed = {"--gamma": self.gamma, "--learning-rate": self.learning_rate, "--updates": self.updates}
        missing = [flag for flag, value in needed.items() if value is None]
        if missing:
            raise ConfigError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing: for example softstep advise"
                " --gamma 0.99 --learning-rate 1e-3 --updates 60000, or --from a library"
            )
        return {
            "gamma": self.gamma, "learning_rate": self.learning_rate, "updates": self.updates,
            "optimizer": self.optimizer or "adam", "tau": self.tau, "period": 1 if self.period is None else self.period,
            "env": self.env,
        }, []  # fmt: skip

    def _from_library(self, library: str) -> tuple[dict[str, Any], list[str]]:
        """Return the arguments of `softstep.advise` from a library's settings, and what was assumed."""
        given = library_settings(library, self.settings, self.file, self.entry)
        run = run_settings(
            library, given.everything, gamma=self.gamma, learning_rate=self.learning_rate, updates=self.updates,
            total_steps=self.total_steps, optimizer=self.optimizer,
        )  # fmt: skip
        measured = atlas.environments(atlas.load())
        return {
            "gamma": run.gamma, "learning_rate": run.learning_rate, "updates": run.updates, "optimizer": run.optimizer,
            "tau": run.tau if self.tau is None else self.tau,
            "period": run.period if self.period is None else self.period,
            "env": self.entry if self.env is None and self.entry in measured else self.env,
        }, [*run.remarks]  # fmt: skip
