"""`softstep study declare`: freeze a study's spec before there are data, and keep every later change of it."""

from __future__ import annotations

import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

import softstep
from softstep import files
from softstep.cli.command import PlainCommand, read_user_file
from softstep.cli.exit_codes import SUCCESS
from softstep.errors import ConfigError
from softstep.studies.declaration import (
    Declaration,
    content_differences,
    declarations_text,
    declare,
    moment,
    read_declarations,
    spec_content,
)
from softstep.studies.spec import Spec

GIT_PATIENCE = 10.0
"""Seconds to wait for git to name the commit."""


@dataclass(frozen=True)
class StudyDeclare(PlainCommand):
    """Freeze a spec: write its meaning, hash and date to SPEC.declared.json, before any of its data.

    The report of a study that is run from it then says whether its data came later, and lists every change since.
    A changed spec is declared again with --reason; the earlier declarations stay in the file.
    """

    spec: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SPEC")]
    """TOML file with the study's spec."""
    reason: str | None = None
    """Why the spec was changed since it was last declared (required then)."""

    def execute(self) -> int:
        """Write or extend the declaration's file, say what was done and return the exit code."""
        spec = Spec.from_toml(read_user_file(self.spec, "the spec"), source=str(self.spec))
        file, earlier = declaration_file(self.spec), read_declared(self.spec)
        changes = content_differences(earlier[-1].content, spec_content(spec)) if earlier else []
        reason = (self.reason or "").strip() or None
        if earlier and not changes:
            print(f"{self.spec} says what was declared on {moment(earlier[-1].date)}: nothing to declare")
            return SUCCESS
        if earlier and reason is None:
            raise ConfigError(
                f"{self.spec} has changed since it was declared on {moment(earlier[-1].date)}"
                f" ({'; '.join(map(str, changes))}): say why with --reason"
            )
        if not earlier and reason is not None:
            raise ConfigError(f"--reason explains a change, and {self.spec} was never declared: leave it out")
        new = declare(spec, earlier, softstep=softstep.__version__, commit=_commit(self.spec.parent), reason=reason)
        files.write_file(file, declarations_text([*earlier, new]).encode())
        for change in changes:
            print(f"changed: {change}")
        print(f"{file}: declared on {moment(new.date)}, content {new.content_hash}")
        print("commit it before the first run: the history of the repository is the witness of the date")
        return SUCCESS


def declaration_file(spec: Path) -> Path:
    """Return the file with the declarations of a spec: lander.declared.json for lander.toml."""
    return spec.with_suffix(".declared.json")


def read_declared(spec: Path) -> list[Declaration]:
    """Return the declarations of a spec, none if it has no such file; raise StoreError if that was edited."""
    file = declaration_file(spec)
    return read_declarations(read_user_file(file, "the declaration"), str(file)) if file.is_file() else []


def warn_of_undeclared_changes(path: Path, spec: Spec, declarations: list[Declaration]) -> None:
    """Warn if a spec has changed since it was last declared."""
    changes = content_differences(declarations[-1].content, spec_content(spec)) if declarations else []
    if changes:
        warnings.warn(
            f"{path} differs from its declaration of {moment(declarations[-1].date)}"
            f" ({'; '.join(map(str, changes))}): the report will say so; declare the change with"
            f" softstep study declare {path} --reason …",
            RuntimeWarning,
            stacklevel=2,
        )


def _commit(folder: Path) -> str | None:
    """Return the commit of the repository that the folder is in; None without repository, commit or git."""
    command = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        named = subprocess.run(command, capture_output=True, text=True, timeout=GIT_PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return named.stdout.strip() or None
