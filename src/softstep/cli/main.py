"""Which command was meant, and what is said when something is wrong."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import softstep
from softstep.cli import convert, looking, study, train
from softstep.cli.monitor import INTERRUPTED
from softstep.cli.options import (
    COMMANDS,
    Compare,
    Convert,
    ConvertRescale,
    Envs,
    Eval,
    Explore,
    Export,
    Presets,
    Runs,
    StudyExport,
    StudyNew,
    StudyReport,
    StudyRun,
    StudyStatus,
    Theory,
    Train,
    Watch,
    command_of,
    parse,
)
from softstep.errors import ConfigError, EnvironmentFailed, ReplayMismatch, StoreError, WorkerFailed

USAGE = 2

HANDLERS: dict[type[Any], Callable[[Any], int]] = {
    Train: train.train,
    Compare: train.compare,
    StudyRun: study.run,
    StudyNew: study.new,
    StudyStatus: study.status,
    StudyReport: study.report,
    StudyExport: study.export,
    Eval: looking.evaluate,
    Watch: looking.watch,
    Theory: looking.theory,
    Explore: looking.explore,
    Export: looking.export,
    Convert: convert.convert,
    ConvertRescale: convert.rescale,
    Envs: looking.envs,
    Presets: looking.show_presets,
    Runs: looking.runs,
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code: 0, 1 for a failure, 2 for usage, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if argv is None else argv
    warnings.showwarning = _show_warning
    try:
        return _dispatch(arguments)
    except (ConfigError, StoreError) as error:
        _complain(str(error))
        return USAGE
    except (EnvironmentFailed, ReplayMismatch, WorkerFailed) as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:  # the second Ctrl-C, or one where nothing needs saving
        _complain("interrupted; a run or study goes on from its last checkpoint with --resume")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone
        return 1


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        print(_usage())
        return 0
    if name == "--version":
        print(f"softstep {softstep.__version__}")
        return 0
    command = parse(*command_of(arguments))
    return HANDLERS[type(command)](command)


def _usage() -> str:
    lines = ["usage: softstep COMMAND [OPTIONS]   (softstep COMMAND --help tells more)", "", softstep.__doc__ or "", ""]
    return "\n".join(lines + [f"  {name:13} {summary}" for name, (_, summary) in COMMANDS.items()])


def _complain(message: str) -> None:
    print(f"softstep: {message}", file=sys.stderr)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"softstep: warning: {message}", file=sys.stderr)
