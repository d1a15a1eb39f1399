"""The atlas room: every number is that of the shipped measurements, of `softstep advise`, or recomputed here."""

from __future__ import annotations

import itertools
import json
import math
import shlex
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import softstep
from softstep.advice import atlas as advice_atlas
from softstep.advice.atlas import Cell, Table
from softstep.cli.main import main
from softstep.explorer.rooms import atlas
from softstep.explorer.rooms.endpoints import BadParameter, answer
from softstep.explorer.rooms.parameters import read

ROOT = Path(__file__).parents[2]
SHIPPED = json.loads(resources.files("softstep.advice").joinpath("measurements.json").read_text(encoding="utf-8"))
RAW = SHIPPED["tables"]
PAIRS = {table["environment"]: table for table in RAW if table["kind"] == "candidates"}
"""The randomly drawn pairs of the atlas, as they are in the file."""
MAPS = {table["environment"]: table for table in RAW if table["kind"] == "map"}
"""The shipped maps, as they are in the file."""
NAMES = sorted(MAPS)
ALPHAS = st.floats(math.log(1e-8), 0).map(math.exp).map(lambda alpha: min(1.0, max(1e-8, alpha)))
WEIGHTS = st.one_of(st.just(0.0), st.floats(0, 0.9999))


def cells_of(name: str) -> dict[tuple[float, float], tuple[float, float, int]]:
    """Return mean, SD and seeds by α and τ, from the file."""
    raw = MAPS[name]
    columns = (raw[column] for column in ("learning_rate", "tau", "mean", "sd", "seeds"))
    return {(alpha, tau): (mean, sd, seeds) for alpha, tau, mean, sd, seeds in zip(*columns, strict=True)}


# ---- the maps ----


PAIRS_ONLY = sorted(set(PAIRS) - set(MAPS))


def test_every_measured_environment_is_in_the_room():
    result = answer("atlas", {})
    assert sorted(result["maps"]) == NAMES
    assert sorted(result["environments"]) == sorted({*MAPS, *PAIRS})
    alphas, taus = ([value for table in MAPS.values() for value in table[name]] for name in ("learning_rate", "tau"))
    assert result["alpha"] == [min(alphas), max(alphas)]
    assert result["c"] == [0, pytest.approx(1 - min(taus))]


@pytest.mark.parametrize("name", NAMES)
def test_a_map_has_the_shipped_cells_at_their_places(name):
    result, cells = answer("atlas-map", {"env": name}), cells_of(name)
    assert len(result["alpha"]) * len(result["tau"]) >= len(cells)
    for (i, alpha), (j, tau) in itertools.product(enumerate(result["alpha"]), enumerate(result["tau"])):
        found = tuple(result[column][j][i] for column in ("mean", "sd", "seeds"))
        assert found == cells.pop((alpha, tau), (None, None, None))
        assert result["c"][j] == pytest.approx(1 - tau, abs=1e-15)
        words = result["text"][j][i].replace("\N{NO-BREAK SPACE}", " ").replace("−", "-")
        assert f"{found[2]} seeds" in words
        assert float(words.partition(" ± ")[2].split()[0]) == pytest.approx(found[1], abs=0.5)
        assert float(result["label"][j][i].replace("−", "-")) == pytest.approx(found[0], abs=0.5)
    assert not cells
    raw = MAPS[name]
    assert [result[key] for key in ("gamma", "updates", "source")] == [
        raw[key] for key in ("gamma", "updates", "source")
    ]
    assert result["scale"] == {"low": raw["lowest_return"], "high": raw["highest_return"]}


@pytest.mark.parametrize("name", NAMES)
def test_the_cells_lie_between_their_borders_and_the_row_without_a_target_network_lies_apart(name):
    result = answer("atlas-map", {"env": name})
    edges, targets = result["edges"], [tau for tau in result["tau"] if tau < 1]
    for values, borders in ((result["alpha"], edges["alpha"]), (targets, edges["tau"])):
        assert len(borders) == len(values) + 1
        logs, ends = np.log(values), np.log(borders)
        np.testing.assert_allclose(ends[1:-1], (logs[1:] + logs[:-1]) / 2)
        assert (ends[:-1] < logs).all()
        assert (logs < ends[1:]).all()
    low, high = edges["no_target"]
    assert edges["tau"][-1] < 1 < low < result["no_target"] == result["position"][-1] < high
    assert result["position"][:-1] == targets


@pytest.mark.parametrize("name", NAMES)
def test_the_window_on_the_map_is_that_of_advise(name):
    result, raw = answer("atlas-map", {"env": name}), MAPS[name]
    drawn = result["window"]
    for alpha, low, high in list(zip(drawn["alpha"], drawn["low"], drawn["high"], strict=True))[::10]:
        own = softstep.advise(gamma=raw["gamma"], updates=raw["updates"], learning_rate=alpha).window
        assert (low, high) == ((own.low, own.high) if own.exists else (None, None))


@pytest.mark.parametrize("name", NAMES)
def test_a_map_says_how_few_its_seeds_are(name):
    says, cells = " ".join(answer("atlas-map", {"env": name})["says"]), cells_of(name).values()
    errors = [sd / math.sqrt(seeds) for _, sd, seeds in cells]
    assert "One set of settings" in says
    assert f"{max(seeds for *_, seeds in cells)} seeds" in says
    assert f"above {np.median(errors):.0f}, and the largest is {max(errors):.0f}" in says
    for arm in RAW:
        if arm["kind"] == "comparison" and arm["environment"] == name:
            assert f"γ = {arm['gamma']:g}" in says


def test_the_arms_of_comparisons_are_those_of_the_file():
    for name in NAMES:
        drawn = answer("atlas-map", {"env": name})["arms"]
        raw = [table for table in RAW if table["kind"] == "comparison" and table["environment"] == name]
        expected = sorted(
            values
            for table in raw
            for values in zip(
                *(table[column] for column in ("learning_rate", "tau", "mean", "sd", "seeds")), strict=True
            )
        )
        columns = ("learning_rate", "tau", "mean", "sd", "seeds")
        assert sorted(tuple(arm[column] for column in columns) for arm in drawn) == expected


# ---- one pair ----


@given(st.sampled_from(NAMES), ALPHAS, WEIGHTS)
@example(NAMES[0], 1e-3, 0.99)
@example(NAMES[-1], 1.0, 0.9999)
@settings(max_examples=60, deadline=None)
def test_the_cells_around_a_pair(name, alpha, c):
    """The first is the nearest of all, and together they enclose the pair wherever the map does."""
    result, cells, tau = answer("atlas-point", {"env": name, "alpha": alpha, "c": c}), cells_of(name), 1 - c
    near = list(zip(result["nearest"]["learning_rate"], result["nearest"]["tau"], strict=True))

    def distance(pair):
        return math.hypot(math.log(pair[0] / alpha), math.log(pair[1] / tau))

    assert distance(near[0]) == pytest.approx(min(map(distance, cells)))
    assert [distance(pair) for pair in near] == sorted(map(distance, near))
    for axis, own in enumerate((alpha, tau)):
        found, measured = {pair[axis] for pair in near}, {pair[axis] for pair in cells}
        assert min(found) <= own * (1 + 1e-9) or own < min(measured)
        assert max(found) >= own * (1 - 1e-9) or own > max(measured)
        assert not [value for value in measured if min(found) < value < max(found)]
    for i, pair in enumerate(near):
        assert tuple(result["nearest"][column][i] for column in ("mean", "sd", "seeds")) == cells[pair]
        assert result["measured"][1 + i].startswith(f"{cells[pair][0]:.0f}".replace("-", "−"))
        assert f"({cells[pair][2]} seeds)" in result["measured"][1 + i]


@given(st.sampled_from(NAMES), ALPHAS, WEIGHTS)
@settings(max_examples=30, deadline=None)
def test_the_advice_is_that_of_advise(name, alpha, c):
    result, raw = answer("atlas-point", {"env": name, "alpha": alpha, "c": c}), MAPS[name]
    advice = softstep.advise(
        gamma=raw["gamma"], updates=raw["updates"], learning_rate=alpha, optimizer=raw["optimizer"], env=name, tau=1 - c
    )
    assert (result["low"], result["high"]) == (advice.window.low, advice.window.high)
    assert result["place"] == advice.place.value
    assert advice.place.value in result["advice"][1]
    assert result["whole"] == str(advice)
    assert result["warnings"] == advice.to_dict()["warnings"]


@pytest.mark.parametrize(("alpha", "c"), [(0.00123456789, 0.987654321), (0.01, 0.0), (1.0, 0.9999)])
def test_the_command_prints_the_same_advice(alpha, c, capsys):
    result = answer("atlas-point", {"env": NAMES[0], "alpha": alpha, "c": c})
    assert main(shlex.split(result["command"])[1:]) == 0
    assert capsys.readouterr().out == result["whole"] + "\n"
    assert f" {alpha:.12g} " in result["command"]  # the text rounds it


@pytest.mark.parametrize("name", NAMES)
def test_what_changes_without_a_target_network(name):
    cells, clear = cells_of(name), 0
    pairs = [pair for pair in cells if pair[1] < 1 and (pair[0], 1.0) in cells]
    for alpha, tau in pairs:
        result = answer("atlas-point", {"env": name, "alpha": alpha, "c": 1 - tau})
        with_target, without = cells[alpha, tau], cells[alpha, 1.0]
        assert result["compared"] == [tau, 1.0]
        assert result["difference"] == pytest.approx(with_target[0] - without[0])
        low, high = result["interval"]
        assert (low + high) / 2 == pytest.approx(result["difference"])
        clear += low > 0 or high < 0
        assert ("excludes 0" in result["without"]) == (low > 0 or high < 0)
        assert ("lower than" in result["without"]) == (result["difference"] > 0)
        assert f"{abs(with_target[0] - without[0]):.0f}" in result["without"]
    assert 0 < clear < len(pairs)


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_without_a_target_network_sees_the_range_of_those_with_one(name):
    for (alpha, tau), own in cells_of(name).items():
        if tau == 1:
            result = answer("atlas-point", {"env": name, "alpha": alpha, "c": 0})
            means = [mean for (other, share), (mean, *_) in cells_of(name).items() if other == alpha and share < 1]
            ends = [f"{value:.0f}".replace("-", "−") for value in (own[0], min(means), max(means))]
            positions = [result["without"].find(end) for end in ends]
            assert -1 not in positions
            assert result["difference"] is result["interval"] is None


# ---- randomly drawn pairs, and contenders ----


@pytest.mark.parametrize("name", PAIRS_ONLY)
def test_an_environment_without_a_map_shows_its_pairs(name):
    result, raw = answer("atlas-map", {"env": name}), PAIRS[name]
    columns = ("learning_rate", "tau", "mean", "sd", "seeds")
    assert [result["pairs"][column] for column in columns] == [raw[column] for column in columns]
    assert result["mean"] == []
    for axis, column in (("alpha", "learning_rate"), ("tau", "tau")):
        low, high = result["edges"][axis]
        assert low < min(raw[column]) <= max(raw[column]) < high
    assert result["range"] == {"alpha": [min(raw["learning_rate"]), max(raw["learning_rate"])], "tau": min(raw["tau"])}
    assert f"{len(raw['tau'])} pairs, drawn at random" in result["says"][0]
    assert answer("atlas-map", {"env": NAMES[0]})["pairs"]["tau"] == []


@given(st.sampled_from(PAIRS_ONLY), ALPHAS, WEIGHTS)
@settings(max_examples=40, deadline=None)
def test_the_three_pairs_around_a_pair_are_the_nearest(name, alpha, c):
    raw, result = PAIRS[name], answer("atlas-point", {"env": name, "alpha": alpha, "c": c})
    near = list(zip(result["nearest"]["learning_rate"], result["nearest"]["tau"], strict=True))
    pairs = list(zip(raw["learning_rate"], raw["tau"], strict=True))
    logs = np.log(pairs) - np.log([alpha, 1 - c])
    assert near == [pairs[i] for i in np.argsort(np.hypot(*logs.T), kind="stable")[:3]]
    assert len(result["measured"]) == 4
    assert "has not seen these pairs" in result["advice"][-1]
    advice = softstep.advise(gamma=raw["gamma"], updates=raw["updates"], learning_rate=alpha, env=name, tau=1 - c)
    assert (result["low"], result["high"]) == (advice.window.low, advice.window.high)


def test_the_contenders_are_those_of_the_atlas_s_summary():
    summary = json.loads((ROOT / "docs/results/atlas/summary.json").read_text(encoding="utf-8"))["studies"]
    shown = {study["env"].rpartition(":")[2]: study for study in summary.values()}
    assert [contest["environment"] for contest in SHIPPED["contests"]] == list(shown)
    for name, study in shown.items():
        result = answer("atlas-contenders", {"env": name})
        rows = {row["contender"]: row for row in study["contenders"]}
        assert [row["name"] for row in result["contenders"]] == sorted(rows, key=lambda each: -rows[each]["mean"])
        assert result["mean"] == pytest.approx([rows[row["name"]]["mean"] for row in result["contenders"]], rel=1e-5)
        verdict = next(row for row in study["verdicts"] if row["claim"] == "soft-beats-none")
        assert f"which is {verdict['verdict']} (δ = {study['margin']:g})" in result["says"][0]
        for row in result["contenders"]:
            numbers = [float(part.strip("[],")) for part in row["judged"].replace("−", "-").split()]
            expected = [rows[row["name"]][key] for key in ("mean", "low", "high")]
            assert numbers == pytest.approx(expected, abs=0.51)


def test_an_environment_outside_the_contests_has_no_contenders():
    result = atlas.contenders("Nowhere-v0")
    assert (result["contenders"], result["says"]) == ([], [])


# ---- other maps than the shipped ones ----


def planted(*cells: Cell, highest: float = 100.0) -> Table:
    return Table("planted", "map", "Planted-v0", "sac", 0.9, 1000, "adam", 0.0, highest, cells)


SPARSE = planted(
    Cell(1e-3, 0.01, 1, 80.0, float("nan"), 1e-4),
    Cell(1e-3, 1.0, 1, 60.0, float("nan"), 1e-4),
    Cell(1e-2, 0.1, 5, 70.0, 3.0, 1e-4),
    Cell(1e-2, 0.01, 4, -0.2, 2.0, 1e-4),
)
"""A map with gaps, single seeds, and a row that has no cell without a target network."""


def point_of(table: Table, alpha: float, c: float) -> dict:
    return atlas.point_of(table, alpha, c, (*advice_atlas.load(), table))


def test_a_map_with_gaps():
    result = atlas.map_of(SPARSE)
    assert result["alpha"] == [1e-3, 1e-2]
    assert result["tau"] == [0.01, 0.1, 1.0]
    assert result["mean"] == [[80, -0.2], [None, 70], [60, None]]
    assert result["text"][1][0] == "not measured"
    assert result["short"] == [["80 (1)", "0 ± 2 (4)"], ["", "70 ± 3 (5)"], ["60 (1)", ""]]
    assert "1 to 5 seeds" in result["says"][0]
    assert "SAC" in result["says"][0]
    assert "(number of seeds)" in result["caption"]


def test_a_comparison_that_was_not_measured_or_has_no_interval():
    alone = point_of(SPARSE, 1e-3, 0.99)
    assert alone["difference"] == 20
    assert "single seed" in alone["without"]
    assert "95 %" not in alone["without"]
    missing = point_of(SPARSE, 1e-2, 0.9)
    assert missing["without"] == "Nothing was measured without a target network at α = 0.01."
    only_none = point_of(planted(Cell(1e-3, 1.0, 3, 90.0, 1.0, 1e-4), Cell(1e-4, 0.1, 3, 90.0, 1.0, 1e-4)), 1e-3, 0)
    assert only_none["without"] == "Nothing was measured with a target network at α = 0.001."


@pytest.mark.parametrize(
    ("alpha", "c", "lead"),
    [(1e-3, 0.99, "was measured"), (3e-3, 0.95, "between"), (1e-4, 0.99, "beyond"), (3e-3, 0.999, "beyond")],
)
def test_the_words_say_whether_a_pair_lies_on_the_map(alpha, c, lead):
    assert lead in point_of(SPARSE, alpha, c)["measured"][0]


@pytest.mark.parametrize(("highest", "shown"), [(1.0, "0.53"), (9.0, "0.53"), (30.0, "0.5"), (500.0, "1")])
def test_returns_have_as_many_decimals_as_their_span_needs(highest, shown):
    table = planted(Cell(1e-3, 0.1, 2, 0.533, 0.1, 1e-4), Cell(1e-3, 0.2, 2, 0.5, 0.1, 1e-4), highest=highest)
    assert atlas.map_of(table)["label"][0] == [shown]


# ---- refusals ----


@pytest.mark.parametrize("endpoint", ["atlas-map", "atlas-point"])
def test_an_environment_that_was_not_measured_is_refused_with_those_that_were(endpoint):
    for name in ("Pong", "", "gymnax:CartPole-v1"):
        with pytest.raises(BadParameter) as refusal:
            answer(endpoint, {"env": name})
        assert refusal.value.parameter == "env"
        assert refusal.value.reason == f"{name!r} is not offered: choose one of {', '.join(atlas.SHOWN)}"


@pytest.mark.parametrize(("key", "value"), [("alpha", 0), ("alpha", 2), ("c", 1), ("c", -0.1), ("alpha", "1e-3")])
def test_a_pair_out_of_range_is_refused_in_one_line(key, value):
    with pytest.raises(BadParameter) as refusal:
        answer("atlas-point", {key: value})
    assert refusal.value.parameter == key
    assert str(value) in refusal.value.reason


def test_every_measured_pair_can_be_asked_for():
    for name in NAMES:
        for alpha, tau in cells_of(name):
            asked = {"env": name, "alpha": alpha, "c": atlas.c_of(tau)}
            assert read(atlas.PairParameters, asked).alpha == alpha
            assert answer("atlas-point", asked)["measured"][0] == "Your pair was measured:"
