"""What a study's page says about its declaration."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

from softstep.report.shared.markup import bullets, paragraph, section, table
from softstep.studies.declaration import moment, spec_content
from softstep.studies.declared_study import Carried, Deviation
from softstep.studies.spec import Spec

WITNESS = (
    "The hash shows that the declaration’s file was not edited in part. It cannot show that the whole file was not made"
    " up later: the history of the repository in which it was committed is the witness of the date."
)


def declaration_fact(carried: Carried | None, spec: Spec) -> str | None:
    """Return the declaration in a few words for the head of the page; None for a study that was not declared."""
    if carried is None:
        return None
    if carried.in_force is None:
        return "not declared before the data"
    date = _day(carried.in_force.date)
    if not carried.passes(spec_content(spec)):
        return f"deviates from its declaration of {date}"
    return f"declared before the data, on {date}"


def declaration_section(carried: Carried | None, spec: Spec) -> str:
    """Return the section on the declaration; empty for a study that was not declared."""
    if carried is None:
        return ""
    deviations = carried.deviations(spec_content(spec))
    parts = [paragraph(_summary(carried, deviations))]
    if deviations:
        parts.append(_deviations(deviations))
    if len(carried.declarations) > 1:
        parts.append(paragraph("The spec was declared more than once. All changes:") + bullets(_history(carried)))
    return section("Declaration", *parts, paragraph(WITNESS))


def _summary(carried: Carried, deviations: list[Deviation]) -> str:
    declared = carried.in_force
    if declared is None:
        began = "the folder had data before it had a declaration"
        if carried.began is not None:
            began = f"the data began on {moment(carried.began)}"
        return f"Not declared before the data: declared on {moment(carried.declarations[0].date)}, and {began}."
    where = f", commit {declared.commit}" if declared.commit else ""
    stamp = f"on {moment(declared.date)} (SHA-256 {declared.content_hash}{where})"
    began = f"The data began after {moment(carried.began)}." if carried.began else ""
    if not deviations:
        return f"Declared before the data, {stamp}, and unchanged since. {began}"
    return f"Declared before the data {stamp}, but the study deviates from it in what follows. {began}"


def _deviations(deviations: list[Deviation]) -> str:
    rows = [
        [escape(d.difference.field), _value(d.difference.declared), _value(d.difference.now), moment(d.date),
         escape(d.reason or "not declared")]
        for d in deviations
    ]  # fmt: skip
    return table(["field", "declared", "now", "changed on", "reason"], rows, css="worded")


def _history(carried: Carried) -> list[str]:
    """Return one line per change between two declarations."""
    return [
        f"{moment(after.date)}, {change} ({after.reason})" for after in carried.declarations for change in after.changes
    ]


def _value(value: object) -> str:
    return "–" if value is None else escape(str(value))


def _day(date: datetime) -> str:
    return date.astimezone(UTC).date().isoformat()
