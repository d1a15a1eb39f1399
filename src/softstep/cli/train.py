"""`softstep train`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from softstep.cli.exit_codes import exit_code
from softstep.cli.monitor import resume_run, start_run
from softstep.cli.options import RunArguments
from softstep.cli.outcome import print_outcome
from softstep.comparison import folders
from softstep.errors import ConfigError
from softstep.runs import api as runs


@dataclass(frozen=True)
class Train(RunArguments):
    """Train deep Q-learning agents on one environment, one agent per seed (--seeds)."""

    DEFAULT_PRESET: ClassVar[str | None] = None
    HONOURED: ClassVar[frozenset[str]] = RunArguments.HONOURED | {"--total-steps"}

    def execute(self) -> int:
        """Train or resume, print the outcome and return the exit code."""
        if self.resume is None:
            config = self.configuration()
            run = start_run(self, config, self.out or runs.default_out(config, "train"), files={})
        else:
            self.refuse_env()
            comparison = folders.comparison_folder(self.resume)
            if comparison is not None:
                raise ConfigError(f"{self.resume} is part of a comparison: softstep compare --resume {comparison}")
            run = resume_run(self, self.resume, self.settings.total_steps if "--total-steps" in self.given else None)
        print_outcome(run, json=self.json)
        return exit_code(finished=run.summary["finished"], resume_command=f"softstep train --resume {run.path}")
