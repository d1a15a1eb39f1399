"""`softstep train`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from softstep.cli.advice_line import outside_window
from softstep.cli.exit_codes import exit_code, explained
from softstep.cli.monitor import resume_run, start_run
from softstep.cli.options import RunArguments
from softstep.cli.outcome import print_outcome, saved_steps
from softstep.comparison import folders
from softstep.errors import ConfigError
from softstep.runs import api as runs


@dataclass(frozen=True)
class Train(RunArguments):
    """Train agents of deep Q-learning, DDPG, TD3 or SAC (--algorithm) on one environment, one per seed (--seeds)."""

    DEFAULT_PRESET: ClassVar[str | None] = None
    HONOURED: ClassVar[frozenset[str]] = RunArguments.HONOURED | {"--total-steps"}

    def execute(self) -> int:
        """Train or resume, print the outcome and return the exit code."""
        if self.resume is None:
            config = self.configuration()
            out = self.out or runs.default_out(config, "train")
        else:
            self.refuse_env()
            out, comparison = self.resume, folders.comparison_folder(self.resume)
            if comparison is not None:
                raise ConfigError(f"{self.resume} is part of a comparison: softstep compare --resume {comparison}")

        def saved() -> str:
            return saved_steps(out, f"softstep train --resume {out}")

        with explained(saved):
            if self.resume is None:
                run = start_run(self, config, out, files={}, advice=outside_window(config))
            else:
                lengthened = self.settings.total_steps if "--total-steps" in self.given else None
                run = resume_run(self, self.resume, lengthened)
            print_outcome(run, out, json=self.json)
        return exit_code(finished=run.summary["finished"], saved=saved)
