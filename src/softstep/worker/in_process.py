"""Train in the calling process, for callers that have already started JAX."""

from __future__ import annotations

import contextlib
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from softstep.config import Config
from softstep.errors import Abandoned, ConfigError
from softstep.jax_settings import pinned
from softstep.records.events import Hooks, Outcome
from softstep.runs import api
from softstep.runs.api import Run
from softstep.runs.device import PLATFORMS, Device
from softstep.runs.run_folder import RunFolder
from softstep.runs.worker_pool import RunView
from softstep.training.program_cache import ProgramCache
from softstep.worker.run_block import execute_block
from softstep.worker.stop import StopRequest


def run_blocks_here(
    run: RunFolder, lock: int, view: RunView, *, workers: int | None, should_stop: Callable[[], bool]
) -> list[Outcome | None]:
    """Train every block in this process, on the devices that JAX has here.

    Args:
        run: the run's folder.
        lock: file descriptor of the folder's lock; not used.
        view: the observer.
        workers: not used.
        should_stop: polled during training.
    """
    outcomes: list[Outcome | None] = []
    cache = ProgramCache()
    with _ctrl_c_saves() as stop:
        for block in range(len(run.config.blocks())):
            if should_stop() or stop.is_asked():
                outcomes.append(None)
                continue
            outcome = _outcome(run, block, _hooks(view, block, should_stop, stop), cache)
            outcomes.append(outcome)
            if outcome is not None and not outcome.stopped:
                view.finished(block)
    return outcomes


def _hooks(view: RunView, block: int, should_stop: Callable[[], bool], stop: StopRequest) -> Hooks:
    """Return the callbacks by which a view follows one block, and both ways to stop it."""
    return Hooks(
        on_records=lambda records: view.records(block, [r._asdict() for r in records]),
        on_progress=lambda progress: view.update(block, progress),
        should_stop=lambda: should_stop() or stop.is_asked(),
        abandonable=stop.abandonable,
    )


def _outcome(run: RunFolder, block: int, hooks: Hooks, cache: ProgramCache) -> Outcome | None:
    """Train a block; return None if it was stopped before its first iteration."""
    try:
        return execute_block(run, block, hooks, cache)
    except Abandoned:
        return None


@contextlib.contextmanager
def _ctrl_c_saves() -> Iterator[StopRequest]:
    """Let the first Ctrl-C in the block of `with` make the request; KeyboardInterrupt follows when all is saved.

    A second one raises at once. Nothing changes outside the main thread, or if the caller handles Ctrl-C.
    """
    stop, main = StopRequest(), threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield stop
        return

    def handle(*_: Any) -> None:
        if stop.is_asked():
            raise KeyboardInterrupt
        stop.ask()
        stop.interrupt()

    signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if stop.is_asked():
        raise KeyboardInterrupt


def train(config: Config, out: Path | str | None = None, *, device: Device = "cpu", **options: Any) -> Run:
    """Train as `softstep.runs.api.train` does, in this process.

    Raises:
        ConfigError: Also if JAX computes on another device in this process.
    """
    if device in PLATFORMS and device != (here := pinned.platform()):
        raise ConfigError(
            f"device = {device!r}: in this process JAX is already running, on the {here}: train before"
            " importing jax, or with `softstep train`"
        )
    warnings.warn(
        "jax is already running in this process, so softstep trains here, on its devices and threads; train before"
        " importing jax, or with `softstep train`, for one-thread worker processes (faster for small networks)",
        RuntimeWarning,
        stacklevel=2,
    )
    return api.train(config, out, execute=run_blocks_here, device=device, **options)
