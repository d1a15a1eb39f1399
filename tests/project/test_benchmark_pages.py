"""The speeds that README.md and docs/ print are those of the committed files of benchmarks/results."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import pages
from benchmarks.measure import RESULTS, ROOT

SPEED = re.compile(r"\d (?:µs|steps/s|GFLOP/s|agent-steps/s)")


@pytest.fixture
def cartpole() -> dict[str, Any]:
    """The saved result of one benchmark, of a day on which neither commit nor load were recorded."""
    content = dict(json.loads((RESULTS / "cartpole.json").read_text(encoding="utf-8")))
    content["machine"] |= {"cpu": "AMD EPYC", "cores": 2}
    rest = {name: value for name, value in content.items() if name not in ("commit", "quiet", "busy")}
    return rest | {"time": "2026-11-23T07:58:09+00:00"}


@pytest.mark.parametrize("page", pages.PAGES)
def test_a_page_prints_the_saved_results(page: str) -> None:
    _, between, _ = pages.split((ROOT / page).read_text(encoding="utf-8"))
    assert between == pages.PAGES[page](pages.load()), "write it with python -m benchmarks.pages"


@pytest.mark.parametrize("page", pages.PAGES)
def test_no_speed_stands_outside_the_measured_part(page: str) -> None:
    before, _, after = pages.split((ROOT / page).read_text(encoding="utf-8"))
    assert not SPEED.findall(before + after)


def test_without_files_every_line_says_that_it_was_not_measured(tmp_path: Path) -> None:
    table = pages.readme(pages.load(tmp_path)).splitlines()[2:]
    lines = [line for line in table if line]
    assert len(lines) == len(pages.README_LINES)
    assert all(pages.NOT_MEASURED in line and not SPEED.search(line) for line in lines)


@pytest.mark.parametrize("part", ["ours", "peer", "ratio"])
def test_another_number_in_a_file_changes_the_page(cartpole: dict[str, Any], part: str) -> None:
    changed = copy.deepcopy(cartpole)
    changed["rows"][0][part]["median"] *= 1.5
    before, after = (pages.readme(pages.Results({"cartpole": pages.Saved(content)})) for content in (cartpole, changed))
    assert before != after


def test_a_missing_number_is_not_measured_in_an_old_file_and_an_error_in_a_new_one(cartpole: dict[str, Any]) -> None:
    del cartpole["rows"][0]
    old = pages.readme(pages.Results({"cartpole": pages.Saved(cartpole)}))
    assert pages.NOT_MEASURED in old.splitlines()[2]
    new = cartpole | {"commit": "0123456789abcdef", "quiet": True}
    with pytest.raises(ValueError, match="cartpole has no row 'as shipped: rejax'"):
        pages.readme(pages.Results({"cartpole": pages.Saved(new)}))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({}, "commit not recorded, load of the machine recorded before the start only: `cartpole`"),
        ({"commit": "0123456789abcdef", "quiet": True}, "commit 0123456789ab, a quiet machine: `cartpole`"),
        ({"commit": "0123456789abcdef+", "quiet": False}, "0123456789ab with changes, NOT a quiet machine: `cartpole`"),
    ],
)
def test_the_page_says_where_and_when(cartpole: dict[str, Any], content: dict[str, Any], text: str) -> None:
    page = pages.readme(pages.Results({"cartpole": pages.Saved(cartpole | content)}))
    assert page.splitlines()[-1].startswith("* 2026-11-23, AMD EPYC, 2 cores, ")
    assert page.endswith(f"{text}.")


def test_a_missed_requirement_is_named(cartpole: dict[str, Any]) -> None:
    row = cartpole["rows"][0]
    row["required"], row["met"] = 12.0, False
    row["ratio"]["median"] = 9.89
    page = pages.readme(pages.Results({"cartpole": pages.Saved(cartpole)}))
    assert page.endswith("* Missed by `cartpole`: as shipped: rejax (9.89, at least 12 required).")


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="benchmarks: begin"):
        pages.split("no table here")
