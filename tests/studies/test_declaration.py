"""Tests of declarations: what counts as a change, what an edited file looks like, and what came before the data."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.cli.main import main
from softstep.errors import StoreError
from softstep.report.study.declaration_section import declaration_fact, declaration_section
from softstep.studies import declared_study
from softstep.studies.declaration import (
    Declaration,
    content_differences,
    declarations_text,
    declare,
    read_declarations,
    spec_content,
)
from softstep.studies.declared_study import Carried, carry, read_carried
from softstep.studies.spec import Spec

GRID = """
env = "CartPole-v1"
margin = 20.0
[base]
total_steps = 1_500
eval_every = 500
[axes]
learning_rate = [1e-3, 1e-2]
c = [0.0, 0.9]
gamma = [0.9]
[seeds]
first = 0
count = 4
selection = 1
[metric]
primary = "final_return"
[[claims]]
name = "a-target-helps"
first = { c = 0.9 }
second = { c = 0.0 }
[[claims]]
name = "a-large-step-hurts"
first = { learning_rate = 1e-3 }
second = { learning_rate = 1e-2 }
"""
CONTEST = """
env = "CartPole-v1"
[base]
total_steps = 1_500
[candidates]
count = 3
[contenders.soft]
learning_rate = { low = 1e-4, high = 1e-2 }
tau = { low = 1e-3, high = 0.3 }
[contenders.none]
c = 0.0
learning_rate = { low = 1e-4, high = 1e-2 }
[seeds]
selection = 1
judging = 2
[[claims]]
name = "n"
first = "soft"
second = "none"
"""


def spec(text: str) -> Spec:
    return Spec.from_toml(text, source="s.toml")


def changes(text: str, changed: str) -> list[str]:
    return [change.field for change in content_differences(spec_content(spec(text)), spec_content(spec(changed)))]


CHANGED = [
    (GRID, "CartPole-v1", "Acrobot-v1", ["base.env", "floor"]),
    (GRID, "margin = 20.0", "margin = 21.0", ["margin"]),
    (GRID, "margin = 20.0\n", "", ["margin"]),
    (GRID, "margin = 20.0", "margin = 20.0\nfloor = -1.0", ["floor"]),
    (GRID, "1_500", "3_000", ["base.total_steps"]),
    (GRID, "eval_every = 500", "eval_every = 500\nloss = 'huber'", ["base.loss"]),
    (GRID, "[0.0, 0.9]", "[0.0, 0.9, 0.99]", ["axes.c"]),
    (GRID, "c = [0.0, 0.9]", "c = [0.0, 0.9]\nn_step = [3]", ["axes.n_step"]),
    (GRID, "first = 0", "first = 7", ["base.seed"]),
    (GRID, "count = 4", "count = 5", ["seeds"]),
    (GRID, "selection = 1", "selection = 2", ["selection"]),
    (GRID, "final_return", "best_return", ["metric"]),
    (GRID, "first = { c = 0.9 }", "first = { c = 0.9, gamma = 0.9 }", ["claims.a-target-helps.first.gamma"]),
    (GRID, '"a-target-helps"', '"b"', ["claims.a-target-helps.first.c", "claims.b.first.c"]),
    (CONTEST, "count = 3", "count = 4", ["draw.count"]),
    (CONTEST, "count = 3", "count = 3\nseed = 1", ["draw.seed"]),
    (CONTEST, "high = 0.3", "high = 0.4", ["contenders.soft.target.tau.high"]),
    (CONTEST, "c = 0.0", "c = 0.5", ["contenders.none.c"]),
    (CONTEST, "judging = 2", "judging = 3", ["seeds"]),
    (CONTEST, 'second = "none"', 'second = ["none", "soft"]', ["claims.n.second.contender"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "old", "new", "fields"), CHANGED, ids=[f"{old}-{new}"[:40] for _, old, new, _ in CHANGED]
)
def test_every_kind_of_change_is_seen(text: str, old: str, new: str, fields: list[str]) -> None:
    assert old in text
    changed = text.replace(old, new, 1) if old not in ("1_500",) else text.replace(old, new)
    assert set(fields) <= set(changes(text, changed))
    if not any(field.startswith(("claims", "base.env")) for field in fields):
        assert changes(text, changed) == fields
    declared = spec_content(spec(text))
    assert (
        declare(spec(changed), [], softstep="1", commit=None, reason=None).content_hash
        != declare(spec(text), [], softstep="1", commit=None, reason=None).content_hash
    )
    carried = carried_of([declaration_at(0, declared)], began=1, specs=[(1, declared)])
    assert carried.passes(declared)
    assert not carried.passes(spec_content(spec(changed)))


def test_candidates_that_do_not_follow_from_their_knobs_are_seen() -> None:
    content = json.loads(json.dumps(spec_content(spec(CONTEST))))
    content["contenders"]["soft"]["candidates"][1]["learning_rate"] = 0.005
    (difference,) = content_differences(spec_content(spec(CONTEST)), content)
    assert difference.field == "contenders.soft.(candidates)"


sections = st.permutations(re.split(r"\n(?=\[(?!\[))", CONTEST.split("[[claims]]")[0])[1:])


@given(sections, st.text(st.characters(codec="ascii", exclude_categories=["C"])), st.booleans())
def test_comments_the_order_of_keys_and_the_spelling_of_numbers_do_not_count(
    shuffled: list[str], comment: str, reverse: bool
) -> None:
    head, claims = 'env = "CartPole-v1"', "[[claims]]" + CONTEST.split("[[claims]]")[1]
    parts = []
    for part in shuffled:
        header, *keys = part.strip().splitlines()
        parts.append("\n".join([header, *(reversed(keys) if reverse else keys)]))
    text = "\n".join([f"# {comment}", head, *parts, claims])
    text = text.replace("1e-4", "0.0001").replace("1_500", "1500").replace("c = 0.0", "c = 0")
    assert changes(CONTEST, text) == []
    first, second = (declare(spec(t), [], softstep="1", commit=None, reason=None) for t in (CONTEST, text))
    contender_order = (list(spec(t).contenders) for t in (CONTEST, text))
    if len(set(map(tuple, contender_order))) == 1:
        assert first.content_hash == second.content_hash


# ---- dates ----

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(day: int) -> datetime:
    return START + timedelta(days=day)


def declaration_at(day: int, content, reason: str | None = None, after: Declaration | None = None) -> Declaration:
    found = tuple(content_differences(after.content, content)) if after else ()
    return Declaration(at(day), "0.1", None, reason, content, after.hash if after else None, found)


def carried_of(declarations: list[Declaration], began: int | None, specs=()) -> Carried:
    start = None if began is None else at(began)
    return Carried(declarations, start, [(at(day), content) for day, content in specs])


A, B = spec_content(spec(GRID)), spec_content(spec(GRID.replace("1_500", "3_000")))


@pytest.mark.parametrize(("began", "fact"), [
    (1, "declared before the data, on 2026-01-01"),
    (0, "not declared before the data"),  # at the same moment is not before
    (-1, "not declared before the data"),
    (None, "not declared before the data"),
])  # fmt: skip
def test_only_a_declaration_that_precedes_the_data_passes(began: int | None, fact: str) -> None:
    carried = carried_of([declaration_at(0, A)], began, [(1, A)])
    assert declaration_fact(carried, spec(GRID)) == fact
    assert carried.passes(A) == fact.startswith("declared")
    page = declaration_section(carried, spec(GRID))
    assert ("Declared before the data" in page) == fact.startswith("declared")
    assert (carried.declarations[0].content_hash in page) == fact.startswith("declared")


def test_data_begun_under_the_first_declaration_deviate_from_it_although_the_change_was_declared() -> None:
    first = declaration_at(0, A)
    second = declaration_at(2, B, "too <short>", first)
    began_before = carried_of([first, second], 1, [(1, A), (3, B)])
    assert began_before.in_force == first
    (deviation,) = began_before.deviations(B)
    assert (deviation.difference.field, deviation.date, deviation.reason) == ("base.total_steps", at(2), "too <short>")
    page = declaration_section(began_before, spec(GRID.replace("1_500", "3_000")))
    for words in ("base.total_steps", "1500", "3000", "2026-01-03 00:00:00 UTC", "too &lt;short&gt;"):
        assert words in page
    began_after = carried_of([first, second], 3, [(3, B)])
    assert began_after.passes(B)
    page = declaration_section(began_after, spec(GRID.replace("1_500", "3_000")))
    assert "unchanged since" in page
    assert "base.total_steps: 1500 → 3000" in page  # the history stays visible


def test_an_undeclared_change_has_the_date_of_the_first_run_with_it() -> None:
    carried = carried_of([declaration_at(0, A)], 1, [(1, A), (4, B)])
    (deviation,) = carried.deviations(B)
    assert (deviation.date, deviation.reason) == (at(4), None)
    assert "not declared" in declaration_section(carried, spec(GRID.replace("1_500", "3_000")))


# ---- the file ----


def test_declarations_survive_the_round_trip(tmp_path: Path) -> None:
    first = declare(spec(GRID), [], softstep="0.1", commit="abc", reason=None)
    second = declare(spec(GRID.replace("1_500", "3_000")), [first], softstep="0.2", commit=None, reason="longer")
    text = declarations_text([first, second])
    assert read_declarations(text, "s.declared.json") == [first, second]


def leaves(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    return [path] if items is None else [leaf for key, inner in items for leaf in leaves(inner, (*path, key))]


FIRST = declare(spec(CONTEST), [], softstep="0.1", commit="abc", reason=None)
SECOND = declare(spec(CONTEST.replace("1_500", "3_000")), [FIRST], softstep="0.1", commit="abd", reason="longer")
FILE = json.loads(declarations_text([FIRST, SECOND]))


@given(st.sampled_from([path for path in leaves(FILE) if path[0] != "schema"]))
def test_an_edited_file_is_refused_whatever_was_edited(path: tuple) -> None:
    edited = json.loads(json.dumps(FILE))
    inner = edited
    for key in path[:-1]:
        inner = inner[key]
    old = inner[path[-1]]
    inner[path[-1]] = {bool: lambda v: not v, int: lambda v: v + 1, float: lambda v: v + 0.5}.get(
        type(old), lambda v: "2026-01-01T00:00:00+00:00"
    )(old)
    with pytest.raises(StoreError, match="restore") as error:
        read_declarations(json.dumps(edited), "s.declared.json")
    assert "\n" not in str(error.value)


def test_a_file_without_its_first_declaration_is_refused() -> None:
    with pytest.raises(StoreError, match="hash of declaration 1 does not fit"):
        read_declarations(json.dumps(FILE | {"declarations": FILE["declarations"][1:]}), "f")


def test_a_folder_with_data_before_its_declaration_never_passes(tmp_path: Path, monkeypatch) -> None:
    carry(tmp_path, spec(CONTEST), [])
    assert read_carried(tmp_path) is None
    monkeypatch.setattr(declared_study, "study_runs", lambda path: ["a run"])
    carry(tmp_path, spec(CONTEST), [FIRST])
    carried = read_carried(tmp_path)
    assert carried is not None
    assert carried.began is None
    assert declaration_fact(carried, spec(CONTEST)) == "not declared before the data"


def test_a_folder_keeps_its_declaration_and_refuses_another_history(tmp_path: Path) -> None:
    carry(tmp_path, spec(CONTEST), [FIRST])
    before = (tmp_path / "declaration.json").read_text()
    carry(tmp_path, spec(CONTEST), [FIRST])
    carry(tmp_path, spec(CONTEST), [])
    assert (tmp_path / "declaration.json").read_text() == before
    other = declare(spec(CONTEST), [], softstep="0.1", commit=None, reason=None)
    with pytest.raises(StoreError, match="does not continue the one that"):
        carry(tmp_path, spec(CONTEST), [other])
    with pytest.raises(StoreError, match="does not continue the one that"):
        carry(tmp_path, spec(CONTEST), [other, FIRST])
    more = CONTEST.replace("judging = 2", "judging = 3")
    second = declare(spec(more), [FIRST], softstep="0.1", commit=None, reason="more seeds")
    carry(tmp_path, spec(more), [FIRST, second])
    carried = read_carried(tmp_path)
    assert carried is not None
    assert carried.in_force == FIRST
    assert [d.difference.field for d in carried.deviations(spec_content(spec(more)))] == ["seeds"]


# ---- the command ----


def run(*arguments: str) -> int:
    return main(["study", *arguments])


def test_the_command_declares_extends_and_refuses(tmp_path: Path, capsys, monkeypatch) -> None:
    file, declared = tmp_path / "s.toml", tmp_path / "s.declared.json"
    file.write_text(CONTEST)
    assert run("declare", str(file), "--reason", "because") == 2
    assert "was never declared" in capsys.readouterr().err
    assert run("declare", str(file)) == 0
    content = declared.read_text()
    assert json.loads(content)["declarations"][0]["content_sha256"] in capsys.readouterr().out
    file.write_text("# a comment\n" + CONTEST)
    assert run("declare", str(file)) == 0
    assert "nothing to declare" in capsys.readouterr().out
    file.write_text(CONTEST.replace("1_500", "3_000"))
    assert run("declare", str(file)) == 2
    error = capsys.readouterr().err
    assert "base.total_steps: 1500 → 3000" in error
    assert error.count("\n") == 1
    assert run("declare", str(file), "--reason", " ") == 2
    assert declared.read_text() == content
    assert run("declare", str(file), "--reason", "longer") == 0
    first, second = json.loads(declared.read_text())["declarations"]
    assert first == json.loads(content)["declarations"][0]
    assert second["changes"] == [{"field": "base.total_steps", "declared": 1500, "now": 3000}]
    declared.write_text(declared.read_text().replace('"longer"', '"shorter"'))
    capsys.readouterr()
    for command in (["declare", str(file)], ["run", str(file), "--out", str(tmp_path / "out")]):
        assert run(*command) == 2
        assert "was edited: the hash of declaration 2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_commit_is_that_of_the_specs_repository(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(CONTEST)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "start"]):
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert run("declare", str(tmp_path / "s.toml")) == 0
    assert json.loads((tmp_path / "s.declared.json").read_text())["declarations"][0]["commit"] == head


def test_a_study_run_from_a_declared_spec_says_so_in_its_report(tmp_path: Path, capsys) -> None:
    file, out = tmp_path / "s.toml", tmp_path / "out"
    small = GRID.replace("1_500", "600").replace("[1e-3, 1e-2]", "[1e-3]").replace("count = 4", "count = 2")
    small = small.replace(
        "first = { learning_rate = 1e-3 }\nsecond = { learning_rate = 1e-2 }",
        "first = { c = 0.0 }\nsecond = { c = 0.9 }",
    )
    file.write_text(small.replace("[base]", "[base]\nhidden = [8]\nlearning_starts = 100"))
    assert run("declare", str(file)) == 0
    assert run("run", str(file), "--out", str(out), "--json") == 0
    assert "declared before the data, on 20" in (out / "report.html").read_text()
    file.write_text(file.read_text().replace("count = 2", "count = 3"))
    capsys.readouterr()
    assert run("run", str(file), "--out", str(out), "--resume", "--json") == 0
    assert re.search(r"warning: \S+ differs from its declaration of .*seeds: 2 → 3", capsys.readouterr().err)
    page = (out / "report.html").read_text()
    assert "deviates from its declaration of 20" in page
    assert "not declared" in page
    assert pl.read_parquet(out / "study.parquet")["seed"].n_unique() == 3
