"""The harmonic schedule's claim: its page says what the specs say, and both metrics are judged on the same winners."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from studies.tiny_contest import tiny_contest
from support import imported

from softstep.cli.main import main
from softstep.studies.run_study import Study
from softstep.studies.spec import Spec

ROOT = Path(__file__).parents[2]
HARMONIC = imported(ROOT / "studies/harmonic.py")
ATLAS = imported(ROOT / "studies/atlas.py")
PAGE = (HARMONIC.SPECS / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z-]+)` \| ([\d.]+) \| (\d+) \| (\d+), (\d+) \| \d+ \|$", PAGE, flags=re.MULTILINE)
TINY = tiny_contest({"harmonic": 'schedule = "harmonic"', "soft": ""}, "harmonic-equals-tuned-soft")


def test_the_page_says_what_the_specs_say() -> None:
    assert len(ROWS) == 5
    for name, margin, count, selection, judging in ROWS:
        spec = HARMONIC.read_spec(name)
        low, high = ATLAS.SCALES[name]
        assert spec.criteria.margin == float(margin) == pytest.approx((high - low) / 20, abs=0.06)
        assert (spec.draw.count, spec.selection, spec.seeds - spec.selection) == (
            int(count),
            int(selection),
            int(judging),
        )
        assert [(claim.first, claim.second) for claim in spec.claims] == [
            ({"contender": ("harmonic",)}, {"contender": ("soft",)})
        ]


@pytest.mark.parametrize("name", [row[0] for row in ROWS])
def test_settings_and_ranges_are_the_atlas_s(name: str) -> None:
    spec, atlas = HARMONIC.read_spec(name), ATLAS.read_spec(name)
    assert (spec.base, spec.criteria.floor) == (
        dataclasses.replace(atlas.base, seed=spec.base.seed),
        atlas.criteria.floor,
    )
    for contender in ("harmonic", "soft"):
        assert spec.contenders[contender].knobs == atlas.contenders[contender].knobs
    assert spec.selection_seeds.start == 10_000


def test_both_metrics_are_judged_on_the_winners_of_the_final_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HARMONIC, "SPECS", tmp_path / "specs")
    monkeypatch.setattr(HARMONIC, "RESULTS", tmp_path / "results")
    (tmp_path / "specs").mkdir()
    path, out = tmp_path / "specs" / "cartpole.toml", tmp_path / "runs" / "cartpole"
    path.write_text(TINY)
    main(["study", "declare", str(path)])
    main(["study", "run", str(path), "--out", str(out), "--workers", "1"])
    HARMONIC.main([str(out)])
    stored = json.loads((tmp_path / "results" / "summary.json").read_text())["cartpole"]
    study = Study(out)
    rows = study.frame.filter(pl.col("eval_return").is_finite(), pl.col("seed") > 0)
    cells = [winner.cell for winner in study.winners]
    for metric, (verdict,) in stored["verdicts"].items():
        evaluations = [
            [rows.filter(cell=cell, seed=seed).sort("env_steps")["eval_return"].to_numpy() for seed in (1, 2)]
            for cell in cells
        ]
        first, second = (
            [(curve if metric == "mean_return" else curve[-1:]).mean() for curve in side] for side in evaluations
        )
        assert verdict["estimate"] == pytest.approx(np.mean(first) - np.mean(second))
        assert [verdict["first"], verdict["second"]] == cells
    HARMONIC.main([])
    assert json.loads((tmp_path / "results" / "summary.json").read_text())["cartpole"] == stored


def test_unknown_and_unfinished_studies_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="is not named after a study of the harmonic schedule: ablations, acrobot"):
        HARMONIC.main([str(tmp_path)])
    monkeypatch.setattr(HARMONIC, "RESULTS", tmp_path)
    with pytest.raises(SystemExit, match="has no study yet"):
        HARMONIC.main([])


def test_ablations_cover_what_the_page_lists() -> None:
    spec: Spec = HARMONIC.read_spec("ablations")
    knobs = [dict(contender.candidates[0]) for contender in spec.contenders.values()]
    pairs = {(each["target.factor"], each["target.tau0"]) for each in knobs if "target.factor" in each}
    assert pairs == {(factor, tau0) for factor in (1, 3, 10) for tau0 in (0.03, 0.3, 1)}
    assert {each["gamma"] for each in knobs if "gamma" in each} == {0.95, 0.98, 0.99, 0.995}
    assert {each["train_every"] for each in knobs if "train_every" in each} == {16, 4, 1}
    assert (HARMONIC.read_spec("long").base.total_steps - 1_000) == 1_000_000
