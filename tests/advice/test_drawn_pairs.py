"""Pairs (α, τ) that were drawn at random: they are the atlas's, and `advise` says how they fared in the window."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import imported

import softstep
from softstep.advice import atlas
from softstep.advice.atlas import Cell, Table
from softstep.advice.regret import how_drawn_pairs_fared
from softstep.advice.window import Place, window
from softstep.cli.main import main

ROOT = Path(__file__).parents[2]
TABLES = atlas.load()
CANDIDATES = atlas.candidates(TABLES)
STUDIES = json.loads((ROOT / "docs/results/atlas/summary.json").read_text(encoding="utf-8"))["studies"]


def a_map(name: str) -> Table:
    """One row of a map: its speed of y is so small that windows end at .3."""
    cells = tuple(Cell(1e-3, tau, 4, mean, 1.0, 1e-6) for tau, mean in [(0.01, 10.0), (0.1, 90.0)])
    return Table("planted", "map", name, "dqn", 0.9, 1_000, "adam", 0.0, 100.0, cells)


def test_every_study_of_the_atlas_has_its_candidates():
    assert [table.source for table in CANDIDATES.values()] == [f"docs/results/atlas/{name}.parquet" for name in STUDIES]
    script = imported(ROOT / "studies/atlas.py")
    for name, table in zip(STUDIES, CANDIDATES.values(), strict=True):
        study = script.read_finished(name)
        knobs = study.spec.contenders["soft"].candidates
        winner = next(winner for winner in study.winners if winner.contender == "soft")
        scores = {
            (each["learning_rate"], each["target.tau"]): score for each, score in zip(knobs, winner.scores, strict=True)
        }
        found = {(cell.learning_rate, cell.tau): cell.mean for cell in table.cells}
        assert found == pytest.approx(scores, rel=1e-5)
        assert {cell.seeds for cell in table.cells} == {study.spec.selection}
        assert script.SCALES[name] == (table.lowest_return, table.highest_return)
        assert (
            table.updates * study.spec.base.train_every <= study.spec.base.total_steps * study.spec.base.gradient_steps
        )


def test_places_and_points_by_hand():
    """(1−γ)G = 100: a τ below .01 is certainly too slow and one below .03 probably, up to .3; 100 of return are 500."""
    pairs = [(0.005, 10.0), (0.02, 40.0), (0.05, 60.0), (0.2, 120.0), (0.5, 20.0)]
    cells = tuple(Cell(1e-3, tau, 3, mean, 1.0, 0.0) for tau, mean in pairs)
    table = Table("planted", "candidates", "C", "dqn", 0.9, 1_000, "adam", 0.0, 100.0, cells)
    (drawn,) = how_drawn_pairs_fared([a_map("A"), a_map("B"), table])
    assert (drawn.environment, drawn.algorithm, drawn.seeds) == ("C", "dqn", 3)
    assert drawn.points == {
        Place.CERTAINLY_SLOW: (50.0,), Place.PROBABLY_SLOW: (200.0,), Place.INSIDE: (500.0, 300.0),
        Place.FAST: (100.0,),
    }  # fmt: skip


def test_the_window_of_a_pair_has_not_seen_its_environment():
    """A map of the same environment whose y moves very fast does not change the places; one of another one does."""
    fast = a_map("C")._replace(cells=tuple(cell._replace(y_speed=1e3) for cell in a_map("C").cells))
    cells = (Cell(1e-3, 0.2, 3, 60.0, 1.0, 0.0),)
    table = Table("planted", "candidates", "C", "dqn", 0.9, 1_000, "adam", 0.0, 100.0, cells)
    (own,) = how_drawn_pairs_fared([a_map("A"), fast, table])
    (other,) = how_drawn_pairs_fared([a_map("A"), fast._replace(environment="B"), table])
    assert (set(own.points), set(other.points)) == ({Place.INSIDE}, {Place.FAST})


def test_the_answer_has_a_column_for_every_environment_of_the_atlas(capsys: pytest.CaptureFixture[str]):
    arguments = {"gamma": 0.99, "learning_rate": 1e-3, "updates": 60_000}
    advice = softstep.advise(**arguments)
    block = str(advice).split("drawn at random\n")[1].splitlines()
    assert [line.split()[0].rstrip(",") for line in block[1 : len(CANDIDATES) + 1]] == list(CANDIDATES)
    assert "Each pair has 2 or 3 seeds" in " ".join(block)
    counted = {name: sum(map(len, drawn.points.values())) for drawn in advice.drawn for name in [drawn.environment]}
    assert counted == {name: len(table.cells) for name, table in CANDIDATES.items()}
    name = list(CANDIDATES)[-1]
    main(["advise", "--gamma", "0.99", "--learning-rate", "1e-3", "--updates", "60000", "--env", name, "--json"])
    (drawn,) = json.loads(capsys.readouterr().out)["drawn_pairs"]
    table = CANDIDATES[name]
    inside = [
        cell
        for cell in table.cells
        if window(table.gamma, table.updates, cell.learning_rate).place(cell.tau) is Place.INSIDE
    ]
    assert (drawn["environment"], len(drawn["points"][Place.INSIDE.value])) == (name, len(inside))
