"""The registry of commands, their dispatch and the exit codes of failures."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import softstep
from softstep.cli.exit_codes import FAILURE, SUCCESS, USAGE, stop_line
from softstep.cli.stop_signals import STOP
from softstep.cli.streams import never_fail_to_print
from softstep.errors import ConfigError, EnvironmentFailed, StoreError, WorkerFailed, near, one_line
from softstep.extras import required_by
from softstep.jax_settings import table
from softstep.runs.failure_log import log_failure

HELP_FLAGS = ("-h", "--help")

GRACE = 4.0
"""Seconds that threads of the environment have to end when a command is done."""


@runtime_checkable
class Command(Protocol):
    """A command's arguments, and what it does with them."""

    @classmethod
    def parse(cls, program: str, arguments: list[str]) -> Command:
        """Return the command that `arguments` describe; raise SystemExit for --help or an invalid flag."""
        ...

    def execute(self) -> int:
        """Carry the command out and return its exit code."""
        ...


class Entry(NamedTuple):
    """One line of the registry."""

    module: str
    """File of the command in `softstep/cli`, imported only when the command is used."""
    cls: str
    """The command's class in that module."""
    summary: str
    """The line in `softstep --help`."""
    starts_workers: bool = False
    """Whether it trains in worker processes as soon as it has read its arguments."""


COMMANDS = {
    "train": Entry("train", "Train", "train agents on an environment", starts_workers=True),
    "compare": Entry("compare", "Compare", "soft update, or just a smaller step? train several arms and judge them"),
    "study run": Entry("study", "StudyRun", "train a grid of settings, or contenders, with every seed"),
    "study new": Entry("study", "StudyNew", "print a study's spec to start from"),
    "study declare": Entry("study_declare", "StudyDeclare", "freeze a study's spec before there are data"),
    "study status": Entry("study", "StudyStatus", "show how far a study is"),
    "study report": Entry("study", "StudyReport", "write a study's maps, verdicts and numbers as one page"),
    "study export": Entry("study", "StudyExport", "write a study's table as CSV or Parquet"),
    "eval": Entry("eval", "Eval", "measure the greedy returns of a run's agents on held-out episodes"),
    "watch": Entry("watch", "Watch", "write a GIF of one greedy episode, with the agent's values beside it"),
    "export": Entry("export", "Export", "export a trained agent to PyTorch, JAX, ONNX or stable-baselines3"),
    "theory": Entry("theory", "Theory", "explain a pair (α, c) exactly"),
    "explore": Entry("explore", "Explore", "open sliders for α and c, and an agent learning live, in the browser"),
    "convert": Entry("convert", "Convert", "is c the same as τ? translate target settings between libraries"),
    "convert rescale": Entry("convert", "ConvertRescale", "adapt α and c to a new batch, update ratio or num_envs"),
    "advise": Entry("advise", "Advise", "which τ? a window of it, with reasons and what was measured"),
    "envs": Entry("envs", "Envs", "list environments to train on"),
    "presets": Entry("presets", "Presets", "list named settings"),
    "runs": Entry("runs", "Runs", "list the runs in a folder and how far each one is"),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command that `argv` (by default the command line) names.

    Returns:
        The exit code: 0, 1 for a failure, 2 for wrong input, 128 + the number of a signal (130 after Ctrl-C).
    """
    arguments = sys.argv[1:] if argv is None else argv
    if argv is None:  # this process is the command's own, so it computes where workers do
        os.environ.update(table.environment())
    never_fail_to_print()
    warnings.showwarning = _show_warning
    with STOP.installed(), _early_worker(arguments) if argv is None else contextlib.nullcontext():
        code = _guarded(arguments)
    if argv is None:
        _end_soon(code)
    return code


def _guarded(arguments: list[str]) -> int:
    """Run a command; turn its failures into a line and an exit code."""
    try:
        return _dispatch(arguments)
    except (ConfigError, StoreError, EnvironmentFailed, WorkerFailed) as error:
        log_failure(error)
        _complain(one_line(error))
        return USAGE if isinstance(error, (ConfigError, StoreError)) else FAILURE
    except KeyboardInterrupt as stop:  # the second signal, or one when there is nothing to save
        _complain(str(stop) or stop_line("nothing had to be saved"))
        return STOP.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # whatever read our output has ended, for example `head`
        return FAILURE


def _end_soon(code: int) -> None:
    """End the process although threads that the environment's code has left may still run, after `GRACE` seconds."""

    def end() -> None:
        time.sleep(GRACE)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)

    threading.Thread(target=end, daemon=True).start()


def _early_worker(arguments: list[str]) -> contextlib.AbstractContextManager[None]:
    """Let a worker import JAX while this process reads the arguments of a command that will need one."""
    name, rest = command_of(arguments) if arguments else ("", [])
    if name not in COMMANDS or not COMMANDS[name].starts_workers or set(HELP_FLAGS) & set(rest):
        return contextlib.nullcontext()
    return importlib.import_module("softstep.runs.worker_process").early_process()  # no other command needs it


def command_of(arguments: list[str]) -> tuple[str, list[str]]:
    """Split off the command's name, one word or two (`study run`), from the arguments that follow it."""
    study = arguments[0] == "study" and arguments[1:] and not arguments[1].startswith("-")
    words = 2 if study or " ".join(arguments[:2]) in COMMANDS else 1
    return " ".join(arguments[:words]), arguments[words:]


def parse(name: str, arguments: list[str]) -> Command:
    """Return the command `name` with its arguments.

    Raises:
        ConfigError: there is no such command, or a preset or --config file is invalid.
        SystemExit: --help, or an invalid flag.
    """
    if name not in COMMANDS and _group(name):
        raise ConfigError(f"{name!r} is a group of commands: choose {' or '.join(map(repr, _group(name)))}")
    if name not in COMMANDS:
        raise ConfigError(f"unknown command {name!r}{near(name, list(COMMANDS))} (softstep --help)")
    command: type[Command] = getattr(
        importlib.import_module(f"softstep.cli.{COMMANDS[name].module}"), COMMANDS[name].cls
    )
    return command.parse(f"softstep {name}", arguments)


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in HELP_FLAGS:
        print(_usage(COMMANDS))
        return SUCCESS
    if name not in COMMANDS and _group(name) and arguments[1:2] and arguments[1] in HELP_FLAGS:
        print(_usage(_group(name)))
        return SUCCESS
    if name == "--version":
        print(f"softstep {softstep.__version__}")
        return SUCCESS
    command, rest = command_of(arguments)
    with required_by(f"softstep {command}"):
        return parse(command, rest).execute()


def _group(name: str) -> dict[str, Entry]:
    """Return the commands of two words that begin with the word `name`."""
    return {command: entry for command, entry in COMMANDS.items() if command.startswith(f"{name} ")}


def _usage(commands: Mapping[str, Entry]) -> str:
    width = max(map(len, commands))
    return "\n".join(
        [
            "usage: softstep COMMAND [OPTIONS]   (softstep COMMAND --help explains one command)",
            "",
            softstep.__doc__ or "",
            "",
            *(f"  {name:{width}}  {entry.summary}" for name, entry in commands.items()),
        ]
    )


def _complain(message: str) -> None:
    print(f"softstep: {message}", file=sys.stderr)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"softstep: warning: {message}", file=sys.stderr)
