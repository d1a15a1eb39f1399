"""The declaration of a study: its spec, frozen with a date before there are data, and every later change of it.

SPEC.toml has its declarations beside it, in SPEC.declared.json. A declaration holds the meaning of the spec, not its
text: comments, the order of keys and the spelling of numbers do not count. Its hash covers the content, the date and
the hash of the declaration before it, so a file that was edited afterwards does not fit its hashes. Nothing here can
prove that a whole file was not forged; the history of the repository in which it was committed can.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from softstep.errors import StoreError
from softstep.files import canonical_json, json_text
from softstep.studies.spec import Spec

SCHEMA = 1
_CANDIDATES = "(candidates)"
"""Name of a contender's candidates among its knobs."""

Content = Mapping[str, Any]
"""The meaning of a spec as JSON-like values: `Spec.to_fields`, with the margin and floor that hold."""


class Difference(NamedTuple):
    """A field in which two specs differ; a value is None where a spec has no such field."""

    field: str
    declared: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.field}: {_text(self.declared)} → {_text(self.now)}"


def _text(value: Any) -> str:
    return "none" if value is None else canonical_json(value)


@dataclass(frozen=True)
class Declaration:
    """One declaration of a spec, the first or a later one."""

    date: datetime
    """When it was declared (UTC)."""
    softstep: str
    """Version of softstep."""
    commit: str | None
    """Commit of the repository in which the spec is, if it is in one."""
    reason: str | None
    """Why the spec was changed; None for the first declaration."""
    content: Content
    previous: str | None
    """Hash of the declaration before it."""
    changes: tuple[Difference, ...] = ()
    """What differs from the declaration before it."""

    @property
    def content_hash(self) -> str:
        """SHA-256 of the meaning of the spec."""
        return _sha256(self.content)

    @property
    def hash(self) -> str:
        """SHA-256 of the declaration with its date, its reason, and the hash of the one before it."""
        return _sha256(self._fields())

    def _fields(self) -> dict[str, Any]:
        return {
            "declared": time_text(self.date), "softstep": self.softstep, "commit": self.commit, "reason": self.reason,
            "previous": self.previous, "changes": [change._asdict() for change in self.changes],
            "content_sha256": self.content_hash, "content": self.content,
        }  # fmt: skip

    def to_fields(self) -> dict[str, Any]:
        """Return the declaration as JSON-like values."""
        return {"sha256": self.hash, **self._fields()}


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical_json(_canonical(value)).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """Return a value in which equal numbers have one spelling: whole numbers without a point."""
    if isinstance(value, Mapping):
        return {name: _canonical(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def time_text(date: datetime) -> str:
    """Return a time in UTC as text that `read_time` reads back."""
    return date.astimezone(UTC).isoformat()


def read_time(text: str) -> datetime:
    """Return the time of `time_text`; raise ValueError for anything else, or a time without its zone."""
    date = datetime.fromisoformat(text)
    if date.tzinfo is None:
        raise ValueError(f"the time {text!r} lacks its zone")
    return date


def moment(date: datetime) -> str:
    """Return a time in UTC for readers, to the second."""
    return f"{date.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def spec_content(spec: Spec) -> Content:
    """Return the meaning of a spec, as it is read back from JSON."""
    fields = spec.to_fields() | spec.criteria._asdict()
    content: Content = json.loads(json_text(fields))
    return content


def content_differences(declared: Content, now: Content) -> list[Difference]:
    """Return the fields in which two contents differ, claims by name.

    Both are read as this version of softstep reads them, so a setting that did not exist yet has its default. The
    candidates of a contender count on their own only if they were drawn alike, from the same knobs.
    """
    old, new = (_flat(spec_content(read_content(content))) for content in (declared, now))
    names = [name for name in dict.fromkeys([*old, *new]) if _canonical(old.get(name)) != _canonical(new.get(name))]
    causes = [name for name in names if not name.endswith(_CANDIDATES)]
    return [
        Difference(name, old.get(name), new.get(name))
        for name in names
        if not name.endswith(_CANDIDATES)
        or not any(cause.startswith(("draw", name.removesuffix(_CANDIDATES))) for cause in causes)
    ]


def read_content(content: Content) -> Spec:
    """Return the spec with this meaning."""
    return Spec.from_json(json_text(content), source="the declaration")


def _flat(content: Content) -> dict[str, Any]:
    """Return a content as values by dotted name."""
    nested = dict(content)
    nested["claims"] = {claim["name"]: {k: claim[k] for k in ("first", "second")} for claim in content["claims"]}
    for name, contender in nested.pop("contenders", {}).items():
        nested[f"contenders.{name}"] = contender["knobs"] | {_CANDIDATES: contender["candidates"]}
    flat: dict[str, Any] = {}
    _flatten(nested, "", flat)
    return flat


def _flatten(value: Any, name: str, flat: dict[str, Any]) -> None:
    if not (isinstance(value, Mapping) and value):
        flat[name] = value
        return
    for key, inner in value.items():
        _flatten(inner, f"{name}.{key}".lstrip("."), flat)


def declare(
    spec: Spec, earlier: Sequence[Declaration], *, softstep: str, commit: str | None, reason: str | None
) -> Declaration:
    """Return the declaration of a spec now, after the `earlier` ones."""
    content, last = spec_content(spec), earlier[-1] if earlier else None
    changes = tuple(content_differences(last.content, content)) if last else ()
    return Declaration(datetime.now(UTC), softstep, commit, reason, content, last.hash if last else None, changes)


def declarations_text(declarations: Sequence[Declaration]) -> str:
    """Return declarations in order of time as the content of their file."""
    listed = [declaration.to_fields() for declaration in declarations]
    return json_text({"schema": SCHEMA, "declarations": listed}, indent=2) + "\n"


def read_declarations(text: str, source: str) -> list[Declaration]:
    """Read the text of `declarations_text`; `source` names it in errors.

    Raises:
        StoreError: it was edited: a hash does not fit its content, a date, or the declaration before it.
    """
    try:
        fields = json.loads(text)
        if fields["schema"] > SCHEMA:
            raise StoreError(f"{source} was written by a newer softstep: upgrade softstep")
        listed = [(_declaration(entry), entry) for entry in fields["declarations"]]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{source} is not a declaration ({error}): restore it from your version control") from None
    previous = None
    for number, (declaration, entry) in enumerate(listed, 1):
        if (declaration.hash, declaration.content_hash, declaration.previous) != (
            entry["sha256"], entry["content_sha256"], previous,
        ):  # fmt: skip
            raise StoreError(
                f"{source} was edited: the hash of declaration {number} does not fit its content; restore the file from"
                " your version control, and declare a change with softstep study declare"
            )
        previous = declaration.hash
    return [declaration for declaration, _ in listed]


def _declaration(entry: Mapping[str, Any]) -> Declaration:
    return Declaration(
        read_time(entry["declared"]), entry["softstep"], entry["commit"], entry["reason"], entry["content"],
        entry["previous"], tuple(Difference(**change) for change in entry["changes"]),
    )  # fmt: skip
