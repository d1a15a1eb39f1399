"""What is seen while agents train: what is meant, progress, TensorBoard; and what Ctrl-C does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from softstep.cli.arguments import Told
from softstep.config import Config
from softstep.records.events import Progress
from softstep.report.media.tensorboard import ScalarWriter
from softstep.report.terminal.progress import ProgressView
from softstep.report.terminal.tables import echo_target
from softstep.runs import checkpoints, run_folder

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells have it."""


def _crowd(config: Config) -> str:
    """How many agents train, in words."""
    if config.num_agents == 1:
        return f"one agent, seed {config.seed}"
    seeds = f"{config.seeds} seeds from {config.seed}" if config.seeds > 1 else f"seed {config.seed}"
    return f"{len(config.arms)} arms × {seeds}" if config.arms else f"{config.seeds} agents, seeds from {config.seed}"


class TerminalView:
    """Progress bar and TensorBoard together."""

    def __init__(self, progress: ProgressView, board: ScalarWriter | None) -> None:
        self._progress, self._board = progress, board

    def update(self, block: int, progress: Progress) -> None:
        """A block has moved on."""
        self._progress.update(
            block, progress.env_steps, progress.gradient_steps, progress.seconds, progress.train_return
        )

    def finished(self, block: int) -> None:
        """A block has ended."""
        self._progress.finished(block)

    def records(self, block: int, records: list[dict[str, Any]]) -> None:
        """Rows of the curves."""
        self._progress.records(records)
        if self._board is not None:
            self._board.write(records)


@contextmanager
def watching(
    config: Config, out: Path, command: Told, *, resuming: bool
) -> Iterator[tuple[TerminalView, Callable[[], bool]]]:
    """Say what is meant, then show progress, write TensorBoard's scalars and catch Ctrl-C."""
    if not command.json:
        for line in [f"{config.env}: {_crowd(config)}, {config.total_steps} steps each", *echo_target(config)]:
            Console().print(line, highlight=False, markup=False, soft_wrap=True)
    with _stop_on_interrupt() as stopped, _view(config, out, command, resuming=resuming) as view:
        yield view, stopped


@contextmanager
def _view(config: Config, out: Path, command: Told, *, resuming: bool) -> Iterator[TerminalView]:
    blocks = [len(block) for block in config.blocks()]
    begun = checkpoints.steps_reached(run_folder.RunFolder(out, config)) if resuming else [0] * len(blocks)
    mode: Literal["json", "auto"] = "json" if command.json else "auto"
    stream = sys.stdout if command.json else sys.stderr
    with ProgressView(config.total_steps, blocks, mode, stream, start_steps=begun) as progress:
        agents = zip(config.blocks(), begun, strict=True)
        resumed_from = {(a.arm, a.seed): steps for block, steps in agents for a in block} if resuming else None
        board = ScalarWriter(out / "tensorboard", resumed_from) if command.tensorboard else None
        try:
            yield TerminalView(progress, board)
        finally:
            if board is not None:
                board.close()


@contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks the run to save and stop; the second ends it at once."""
    asked = False

    def handle(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
