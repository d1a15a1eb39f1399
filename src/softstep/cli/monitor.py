"""What happens around training in a terminal: the settings it starts with, progress and signals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.status import Status

from softstep.cli.advice_line import Outside
from softstep.cli.options import RunArguments
from softstep.cli.stop_signals import STOP
from softstep.config import Config
from softstep.files import json_text
from softstep.records.events import Progress
from softstep.report.terminal.progress import ProgressView
from softstep.report.terminal.tables import echo_target
from softstep.runs import api as runs
from softstep.runs import checkpoints, device, run_folder
from softstep.runs.api import Run
from softstep.runs.lengthening import lengthened
from softstep.runs.logged import chosen_log
from softstep.trackers import names


class TerminalView:
    """Progress in the terminal."""

    def __init__(self, progress: ProgressView) -> None:
        self._progress = progress
        self.has_begun = False
        """Whether any environment step was made."""

    def update(self, block: int, progress: Progress) -> None:
        """Show the progress of a block."""
        self.has_begun = True
        self._progress.update(block, progress)

    def finished(self, block: int) -> None:
        """Show that a block has finished."""
        self._progress.finished(block)

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Pass new rows of the curves on."""
        self._progress.records(block, records)


def start_run(
    arguments: RunArguments, config: Config, out: Path, files: Mapping[str, bytes], advice: Outside | None = None
) -> Run:
    """Train `config` in the new folder `out` while showing its progress.

    Args:
        arguments: --force, --workers, --json and --log of the command.
        config: the run's configuration.
        out: the run folder to create.
        files: further files for the folder, by name.
        advice: what to say of a τ outside its window.

    Returns:
        The run; its summary says whether it finished or was stopped.

    Raises:
        KeyboardInterrupt: a signal came before the first environment step; nothing is left of the run.
    """
    runs.check_workers(arguments.workers)  # before the settings are printed
    device.check(config, arguments.device, arguments.workers)
    config = device.with_wide_blocks(config, arguments.device)
    log = ("tensorboard",) if arguments.logged is None else arguments.logged
    names.check(log)
    run_folder.check_free(out, force=arguments.force)
    with monitored(config, out, json=arguments.json, advice=advice) as (view, received):

        def should_stop() -> bool:
            if received() and not view.has_begun:
                raise KeyboardInterrupt
            return received()

        return runs.train(
            config,
            out,
            force=arguments.force,
            workers=arguments.workers,
            view=view,
            should_stop=should_stop,
            log=log,
            device=arguments.device,
            files=files,
        )


def resume_run(arguments: RunArguments, out: Path, total_steps: int | None = None) -> Run:
    """Continue the run in `out` while showing its progress, to a new length if `total_steps` is given."""
    stored = run_folder.open_run(out)
    runs.check_workers(arguments.workers)  # before the settings are printed
    runs.check_trust(stored.config, arguments.trusted)
    config, log = lengthened(stored, total_steps).config, chosen_log(stored, arguments.logged)
    if config.total_steps > stored.config.total_steps and not arguments.json:
        line = f"{out}: lengthened from {stored.config.total_steps} to {config.total_steps} steps per agent"
        Console().print(line, highlight=False, markup=False, soft_wrap=True)
    with monitored(config, out, json=arguments.json, resuming=True) as (view, stop):
        return runs.resume(
            out,
            total_steps=total_steps,
            workers=arguments.workers,
            view=view,
            should_stop=stop,
            trusted=arguments.trusted,
            log=log,
        )


@contextmanager
def monitored(
    config: Config,
    out: Path,
    *,
    json: bool,
    resuming: bool = False,
    advice: Outside | None = None,
) -> Iterator[tuple[TerminalView, Callable[[], bool]]]:
    """Print the settings, then show progress and heed signals while the block of `with` trains.

    Args:
        config: the run's configuration.
        out: the run folder.
        json: print JSON lines to stdout instead of the settings and a progress bar.
        resuming: begin the progress bar at the newest checkpoints.
        advice: what to say of a τ outside its window.

    Returns:
        A context manager of the view to pass to `runs.train`, and a function that says whether to stop.
    """
    if not json:
        settings = f"{config.env}: {_agents_in_words(config)}, {config.total_steps} steps each"
        for line in [settings, *echo_target(config), *([advice.line] if advice is not None else [])]:
            Console().print(line, highlight=False, markup=False, soft_wrap=True)
    elif advice is not None:
        print(json_text(advice.event), flush=True)
    with (
        STOP.heeded(),
        _terminal_view(config, out, json=json, resuming=resuming) as view,
    ):
        yield view, STOP.received


def playing(episodes: int) -> Status:
    """Return a context manager that says in a terminal, on standard error, that best checkpoints are being played."""
    return Console(stderr=True).status(f"judging best checkpoints on {episodes} fresh episodes each")


def _agents_in_words(config: Config) -> str:
    if config.num_agents == 1:
        return f"one agent, seed {config.seed}"
    seeds = f"{config.seeds} seeds from {config.seed}" if config.seeds > 1 else f"seed {config.seed}"
    return f"{len(config.arms)} arms × {seeds}" if config.arms else f"{config.seeds} agents, seeds from {config.seed}"


@contextmanager
def _terminal_view(config: Config, out: Path, *, json: bool, resuming: bool) -> Iterator[TerminalView]:
    blocks = [len(block) for block in config.blocks()]
    steps_before = checkpoints.steps_reached(run_folder.RunFolder(out, config)) if resuming else [0] * len(blocks)
    mode: Literal["json", "auto"] = "json" if json else "auto"
    stream = sys.stdout if json else sys.stderr
    with ProgressView(config.total_steps, blocks, mode, stream, start_steps=steps_before) as progress:
        yield TerminalView(progress)
