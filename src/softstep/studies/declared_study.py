"""What the folder of a study knows about its declaration, and whether its data came after it.

declaration.json in the folder has the declarations of the spec, the time before which there were no data, and every
spec with which the study was run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from softstep import files
from softstep.errors import StoreError
from softstep.runs import run_folder
from softstep.studies.declaration import (
    Content,
    Declaration,
    Difference,
    content_differences,
    declarations_text,
    read_declarations,
    read_time,
    spec_content,
    time_text,
)
from softstep.studies.origins import adopted_agents
from softstep.studies.spec import Spec
from softstep.studies.study_folder import study_runs

FILE = "declaration.json"


class Deviation(NamedTuple):
    """A field in which a study differs from what was declared before its data."""

    difference: Difference
    date: datetime
    """When the change was declared, or else when the study was first run with it."""
    reason: str | None
    """Why, if the change was declared."""


class Carried(NamedTuple):
    """What a study's folder says about its declaration."""

    declarations: list[Declaration]
    began: datetime | None
    """The time before which the folder had no data; None if there were data before it had a declaration."""
    specs: list[tuple[datetime, Content]]
    """The specs with which the study was run, each with the time of its first run."""

    @property
    def in_force(self) -> Declaration | None:
        """The last declaration that precedes the data; None if there is none."""
        earlier = [each for each in self.declarations if self.began is not None and each.date < self.began]
        return earlier[-1] if earlier else None

    def deviations(self, now: Content) -> list[Deviation]:
        """Return how the spec of the folder, `now`, differs from the declaration that precedes the data."""
        if self.in_force is None:
            return []
        declared = self.in_force.content
        later = self.declarations[self.declarations.index(self.in_force) + 1 :]
        return [self._deviation(difference, declared, later) for difference in content_differences(declared, now)]

    def _deviation(self, difference: Difference, declared: Content, later: Sequence[Declaration]) -> Deviation:
        for declaration in later:
            if difference in content_differences(declared, declaration.content):
                return Deviation(difference, declaration.date, declaration.reason)
        times = [time for time, spec in self.specs if difference in content_differences(declared, spec)]
        return Deviation(difference, times[0] if times else self.specs[-1][0], None)

    def joined(self, other: Carried) -> Carried:
        """Return what holds for the data of both folders together, with the longer history of declarations."""
        began = min(self.began, other.began) if self.began and other.began else None
        specs: list[tuple[datetime, Content]] = []
        for time, content in sorted([*self.specs, *other.specs], key=lambda run: run[0]):
            if not specs or content_differences(specs[-1][1], content):
                specs.append((time, content))
        return Carried(max(self.declarations, other.declarations, key=len), began, specs)

    def passes(self, now: Content) -> bool:
        """Return whether the study was declared before its data, and nothing has changed since."""
        return self.in_force is not None and not self.deviations(now)


def carry(
    path: Path,
    spec: Spec,
    declarations: Sequence[Declaration],
    adopted: Mapping[Path, Carried | None] = MappingProxyType({}),
) -> None:
    """Write the declarations into a study's folder, before its data or at a later run.

    Nothing is written without declarations, unless the folder has had some, or one from which agents are adopted.

    Args:
        path: folder of the study.
        spec: its spec.
        declarations: those beside the spec.
        adopted: folders from which agents are adopted now, with what they say; None for one that was not declared.

    Raises:
        StoreError: they do not continue those that one of the folders has.
    """
    stored, now = read_carried(path), datetime.now(UTC)
    folders = {path: stored, **adopted}
    known = [carried.declarations for carried in folders.values() if carried is not None]
    history = list(declarations) or max(known, key=len, default=[])
    if not history:
        return
    for folder, carried in folders.items():
        if carried is not None and not _continues(history, carried.declarations):
            raise StoreError(
                f"the declaration of the spec does not continue the one that {folder} began with: restore its history"
                " from your version control, or choose another --out"
            )
    has_data = bool(study_runs(path)) or bool(adopted_agents(path))
    merged = stored or Carried([], None if has_data else now, [])
    for carried in adopted.values():
        merged = merged.joined(carried or Carried([], None, []))
    content = spec_content(spec)
    is_new = not merged.specs or content_differences(merged.specs[-1][1], content)
    merged = Carried(history, merged.began, [*merged.specs, (now, content)] if is_new else merged.specs)
    if merged != stored:
        files.write_file(path / FILE, _text(merged).encode())


def _continues(later: Sequence[Declaration], earlier: Sequence[Declaration]) -> bool:
    """Return whether declarations begin with all `earlier` ones."""
    return [each.hash for each in later[: len(earlier)]] == [each.hash for each in earlier]


def _text(carried: Carried) -> str:
    fields: dict[str, Any] = json.loads(declarations_text(carried.declarations))
    began = None if carried.began is None else time_text(carried.began)
    specs = [{"first_run": time_text(time), "content": content} for time, content in carried.specs]
    return files.json_text({"began": began, **fields, "specs": specs}, indent=2)


def read_carried(path: Path) -> Carried | None:
    """Return what a study's folder says about its declaration; None if the study was not declared.

    Raises:
        StoreError: the declarations were edited, or the file is damaged.
    """
    text = run_folder.read_result(path, FILE)
    if text is None:
        return None
    declarations = read_declarations(text, str(path / FILE))
    try:
        fields = json.loads(text)
        began = None if fields["began"] is None else read_time(fields["began"])
        specs = [(read_time(run["first_run"]), run["content"]) for run in fields["specs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path / FILE} is damaged: {error}") from None
    return Carried(declarations, began, specs)
