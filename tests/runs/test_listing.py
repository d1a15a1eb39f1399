"""Runs are listed wherever they are written by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from softstep.config import Config
from softstep.runs import run_folder
from softstep.runs.api import default_out
from softstep.runs.listing import list_runs


@pytest.mark.parametrize("env", ["CartPole-v1", "house/Line-v0", "gymnax:CartPole-v1"])
def test_a_run_in_the_default_folder_is_listed(env: str, tmp_path: Path) -> None:
    paths = []
    for label in ("train", "compare", "train"):
        paths.append(default_out(Config(env=env), label, tmp_path))
        run_folder.create(paths[-1], Config(env=env))
    assert len(set(paths)) == 3
    assert [line.path for line in list_runs(tmp_path)] == sorted(paths)
    assert {line.env for line in list_runs(tmp_path)} == {env}


def test_runs_in_a_folder_of_an_id_are_listed_but_not_the_parts_of_others(tmp_path: Path) -> None:
    listed = [tmp_path / "house" / "Line-v0-train", tmp_path / "question"]
    for path in [*listed, tmp_path / "question" / "selection", tmp_path / "study" / "parts" / "0a1b"]:
        run_folder.create(tmp_path / "new", Config())
        path.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new").rename(path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("no run")
    assert [line.path for line in list_runs(tmp_path)] == listed
