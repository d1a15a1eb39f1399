"""`softstep compare`: its flags and what it does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import softstep
from softstep import presets
from softstep.cli.command import Episodes
from softstep.cli.exit_codes import exit_code, explained
from softstep.cli.monitor import playing, resume_run, start_run
from softstep.cli.options import RunArguments
from softstep.cli.outcome import print_outcome, saved_steps
from softstep.comparison import folders
from softstep.comparison.plan import ComparisonPlan
from softstep.comparison.run_comparison import run_comparison
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.runs import api as runs
from softstep.runs.api import Run
from softstep.runs.run_folder import is_run
from softstep.runs.versions import recorded_device


@dataclass(frozen=True)
class Compare(RunArguments):
    """Ask *soft update, or just a smaller step?* of one environment: train several arms, then judge declared claims.

    An arm is one way to set α and the target network. All arms share the seeds and, per seed, the first parameters.

    - soft: the configured α and soft update
    - smaller-alpha: one network at (1 − c)·α, the claim taken literally
    - blended: one network that is blended with its own updated version
    - same-alpha: one network at α, to show what the target network is for
    - hard: full copies every N gradient steps, with the same mean lag as soft
    - best-alpha: one network at the best of α and five smaller ones, chosen on other seeds
    - best-soft: a soft update with the best of six τ, chosen on other seeds
    - critic-target: only the critics have a soft target (DDPG, TD3)
    - actor-target: only the actor has one (DDPG, TD3)

    With an actor, α is the critics'; best-alpha also tries the same factors on all α at once.

    Without --preset, deep Q-learning starts from the preset demo. --algorithm ddpg, td3 and sac start from the settings
    of `softstep train`, with demo's length, seeds and evaluations.
    """

    DEFAULT_PRESET: ClassVar[str | None] = "demo"

    arms: str | None = None
    """Arms to compare, separated by commas. None takes the preset's (`soft,smaller-alpha,same-alpha` for demo)."""
    steps: int | None = None
    """Length of the run (environment steps per agent), short for --total-steps. None leaves --total-steps as it is."""
    inner_steps: int = 1
    """Gradient steps that the arm `blended` makes between two blends."""
    selection_seeds: int = 5
    """Number of seeds on which best-alpha and best-soft are chosen; no claim is judged on them."""
    margin: float | None = None
    """δ, the difference in return that matters: smaller ones count as equal. None takes the environment's own."""
    floor: float | None = None
    """Return that an agent scores if it diverges. None takes the environment's own."""
    best_checkpoints: Annotated[int | None, Episodes] = None
    """Judge the best checkpoint of every agent on this many fresh episodes for the report. With --resume, this adds
    them to a finished comparison; they are stored in it."""

    HONOURED: ClassVar[frozenset[str]] = RunArguments.HONOURED | {"--best-checkpoints"}

    def execute(self) -> int:
        """Train or resume, judge a finished comparison, print the outcome and return the exit code."""
        conclude = softstep.conclude  # imports all that the verdict needs before anything is trained
        if self.best_checkpoints is not None and self.best_checkpoints < 1:
            raise ConfigError(f"--best-checkpoints {self.best_checkpoints} must be at least 1")
        if self.resume is None:
            plan, out = self._plan()
        else:
            self.refuse_env()
            out = folders.comparison_folder(self.resume) or self.resume
            plan = folders.read_plan(out)
            runs.check_trust(plan.config, self.trusted)

        def newest() -> Path:
            return out if is_run(out) else folders.selection_folder(out)

        def saved() -> str:
            return saved_steps(newest(), f"softstep compare --resume {out}")

        with explained(saved):
            command = self if self.resume is None else dataclasses.replace(self, device=recorded_device(newest()))
            run = run_comparison(plan, out, command._start, None if self.resume is None else self._continue)
            conclusion = None
            if run.path == out.absolute() and run.summary["finished"]:  # not the selection, and not stopped
                if self.best_checkpoints is not None:
                    with playing(self.best_checkpoints):
                        softstep.best_returns(run, self.best_checkpoints, trusted=self.trusted)
                conclusion = conclude(run, trusted=self.trusted)
            print_outcome(run, newest(), conclusion, json=self.json)
        return exit_code(finished=run.summary["finished"], saved=saved)

    def _start(self, config: Config, folder: Path, files: Mapping[str, bytes]) -> Run:
        return start_run(self, config, folder, files)

    def _continue(self, folder: Path) -> Run:
        return resume_run(self, folder)

    def _plan(self) -> tuple[ComparisonPlan, Path]:
        """Return what is to be compared, and the run folder for it."""
        config = self.configuration()
        if self.steps is not None:
            config = dataclasses.replace(config, total_steps=self.steps)
        preset = presets.preset(self.preset or "demo")
        names = preset.arms if self.arms is None else tuple(self.arms.split(","))
        plan = ComparisonPlan(config, names, self.inner_steps, self.selection_seeds, self.margin, self.floor)
        out = self.out or runs.default_out(config, "compare")
        folders.check_new_comparison(out, force=self.force)
        return plan, out
