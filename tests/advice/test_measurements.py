"""What `advise` quotes is what the committed tables give, and regret is what its definition says."""

from __future__ import annotations

import json
import math
from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import imported

from softstep.advice import atlas, regret
from softstep.advice.atlas import Cell, Table
from softstep.advice.regret import RULES, how_it_fared, placings, points_at
from softstep.errors import ConfigError
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents, summarize_cells

ROOT = Path(__file__).parents[2]
TABLES = atlas.load()


def test_the_shipped_measurements_are_those_of_the_committed_tables():
    script = imported(ROOT / "studies/advice_measurements.py")
    stored = resources.files("softstep.advice").joinpath("measurements.json").read_text(encoding="utf-8")
    assert json.loads(stored) == json.loads(script.as_text()), "run python studies/advice_measurements.py"


@pytest.mark.parametrize("table", atlas.maps(TABLES).values(), ids=lambda table: table.environment)
def test_the_cells_of_a_map_are_those_of_its_study(table):
    name = Path(table.source).stem
    spec = Spec.from_toml((ROOT / "studies" / f"{name}.toml").read_text(encoding="utf-8"), source=name)
    cells = summarize_cells(summarize_agents(pl.read_parquet(ROOT / table.source), spec))
    assert len(table.cells) == len(cells)
    for cell in cells.iter_rows(named=True):
        (own,) = [
            own for own in table.cells
            if math.isclose(own.learning_rate, cell["alpha"]) and math.isclose(own.tau, 1 - cell["c"], rel_tol=1e-5)
        ]  # fmt: skip
        assert (own.seeds, own.mean, own.sd) == pytest.approx((cell["seeds"], cell["mean"], cell["sd"]), rel=1e-5)


def planted(name: str, alpha: float, taus: list[float], means: list[float], gamma: float = 0.9) -> Table:
    cells = tuple(Cell(alpha, tau, 4, mean, 1.0, 1e-4) for tau, mean in zip(taus, means, strict=True))
    return Table("planted", "map", name, "dqn", gamma, 1000, "adam", 0.0, 100.0, cells)


# (1−γ)G = 100, so each window begins at .03. In A nothing is lost above .1; in B slow targets win.
A = planted("A", 1e-3, [0.01, 0.1, 1.0], [0.0, 80.0, 80.0])
B = planted("B", 1e-3, [0.001, 0.01, 0.1], [90.0, 50.0, 10.0])


def test_regret_by_hand():
    """500 points are 100 of return. The measured speed is the same everywhere, so both windows end at .3."""
    fared = {one.rule: one for one in how_it_fared([A, B])}
    constant = fared["τ = 0.03 always"]
    half = math.log10(3)  # 0.03 lies at this share of the way from 0.01 to 0.1
    assert constant.regret["A"] == pytest.approx(400 * (1 - half))
    assert constant.regret["B"] == pytest.approx(450 - (250 - 200 * half))
    assert constant.mean == pytest.approx((constant.regret["A"] + constant.regret["B"]) / 2)
    assert fared["the window's upper end"].regret == pytest.approx({"A": 0.0, "B": 400.0})
    assert fared["the window's lower end"].regret == pytest.approx(constant.regret)
    middle = math.log10(math.sqrt(0.03 * 0.3) / 0.01)
    assert fared["the window's middle"].regret["A"] == pytest.approx(400 * (1 - middle))
    assert fared["τ = 60/(√α·G)"].regret["A"] == pytest.approx(0.0)  # min(.3, 60/(√.001·1000)) = .3


def test_where_the_best_lay_by_hand():
    assert [tuple(placing) for placing in placings([A, B])] == [("A", 0, 1, 0), ("B", 1, 0, 0)]
    assert [placing.is_exception for placing in placings([A, B])] == [False, True]


def test_an_environment_does_not_judge_itself():
    """A's own speeds do not move A's window, and B's do."""
    quick = A._replace(cells=tuple(cell._replace(y_speed=1.0) for cell in A.cells))
    upper = [dict(how_it_fared([first, B])[2].regret) for first in (A, quick)]
    assert upper[0]["A"] == upper[1]["A"]
    assert upper[0]["B"] != upper[1]["B"]


def test_values_of_alpha_at_which_nothing_learns_do_not_count():
    hopeless = tuple(Cell(1e-6, cell.tau, 4, 10.0 * cell.tau, 1.0, 1e-4) for cell in A.cells)
    more = A._replace(cells=(*A.cells, *hopeless))
    assert list(regret.rows_that_learn(more)) == [1e-3]
    assert [one.regret["B"] for one in how_it_fared([more, B])] == pytest.approx(
        [one.regret["B"] for one in how_it_fared([A, B])]
    )


@given(st.sampled_from(sorted(atlas.maps(TABLES))), st.floats(1e-5, 1.0))
def test_regret_is_never_negative_and_is_exact_where_it_was_measured(name, tau):
    table = atlas.maps(TABLES)[name]
    for row in table.rows().values():
        assert regret.regret(table, row, tau) >= -1e-9
        for cell in row:
            assert points_at(table, row, cell.tau) == pytest.approx(regret.points(table, cell.mean))
        assert min(regret.regret(table, row, cell.tau) for cell in row) == pytest.approx(0.0)


def test_every_rule_has_a_regret_in_every_mapped_environment():
    fared = how_it_fared(TABLES)
    assert [one.rule for one in fared] == list(RULES)
    assert all(set(one.regret) == set(atlas.maps(TABLES)) for one in fared)
    assert all(0 <= one.mean <= regret.SPAN and np.isfinite(one.mean) for one in fared)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: Path(table.source).stem)
def test_the_nearest_measurement_of_a_measured_setting_is_itself(table):
    for alpha, row in table.rows().items():
        if len(row) > 1:
            nearest = atlas.neighbours(table.gamma, table.updates, alpha, "adam", TABLES)
            assert (nearest[0].distance, nearest[0].learning_rate, nearest[0].cells) == (0.0, alpha, row)
            assert nearest[0].is_near


def test_nothing_is_near_with_another_optimizer_or_far_away():
    table = TABLES[0]
    for arguments in (
        (table.gamma, table.updates, 1e-3, "sgd"),
        (table.gamma, table.updates, 30.0, "adam"),
        (table.gamma, table.updates * 100, 1e-3, "adam"),
    ):
        assert not any(neighbour.is_near for neighbour in atlas.neighbours(*arguments, TABLES))


def test_an_unknown_environment_lists_the_measured_ones():
    assert atlas.environment_named("gymnax:CartPole-v1", TABLES) == "CartPole-v1"
    with pytest.raises(ConfigError, match="'CartPole-v2' is not in the atlas; did you mean") as caught:
        atlas.environment_named("CartPole-v2", TABLES)
    assert all(name in str(caught.value) for name in ("CartPole-v1", "LunarLander-v3"))
