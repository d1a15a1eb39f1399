"""Tests of contenders: how candidates are drawn, what a spec may say, and which candidate wins."""

from __future__ import annotations

import math
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.studies.agents import StudyAgent, study_agents
from softstep.studies.contenders import Contender, Draw, Knob, Range, draw_contender
from softstep.studies.grid import cell_arm, cell_config
from softstep.studies.judge import judge_study
from softstep.studies.populations import pack_populations
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents, summarize_contenders
from softstep.studies.winners import Winner, select_winners

ALPHA = Range(1e-5, 1e-2)

TEXT = """
env = "CartPole-v1"
[candidates]
count = 4
[contenders.soft]
learning_rate = { low = 1e-5, high = 1e-2 }
tau = { low = 1e-4, high = 0.3 }
[contenders.none]
c = 0.0
learning_rate = { low = 1e-5, high = 1e-2 }
max_grad_norm = ["none", 10]
[contenders.layer-norm]
c = 0.0
learning_rate = { low = 1e-5, high = 1e-2 }
normalization = ["none", "layer"]
[contenders.hard]
tau = 1
period = { low = 1, high = 5000 }
learning_rate = { low = 1e-5, high = 1e-2 }
[seeds]
first = 5
selection = 3
judging = 4
[[claims]]
name = "soft-beats-none"
first = "soft"
second = ["none", "layer-norm"]
"""


def spec(text: str = TEXT) -> Spec:
    return Spec.from_toml(text, source="s.toml")


# ---- drawing ----

knob_values = st.one_of(
    st.tuples(st.floats(1e-6, 1e-2), st.floats(1.5, 1e4)).map(lambda t: Range(t[0], t[0] * t[1])),
    st.lists(st.sampled_from([0.5, 1.0, 2.0, "mse", True]), min_size=1, max_size=4, unique=True).map(tuple),
)
knob_sets = st.dictionaries(
    st.sampled_from(["gamma", "target.tau", "loss", "exploration.end"]), knob_values, max_size=3
).map(lambda knobs: {"learning_rate": ALPHA} | knobs)


@given(knob_sets, st.integers(1, 12), st.integers(0, 6), st.integers(0, 3), st.randoms())
def test_candidates_are_different_points_within_their_knobs_whatever_the_order_and_the_count(
    knobs: dict[str, Knob], count: int, more: int, seed: int, shuffled
) -> None:
    drawn = draw_contender("x", knobs, Draw(count, seed)).candidates
    assert len({tuple(sorted((k, str(v)) for k, v in cell.items())) for cell in drawn}) == count
    for cell in drawn:
        assert cell.keys() == knobs.keys()
        for name, knob in knobs.items():
            rounded = 1 + 1e-3  # four digits
            if isinstance(knob, Range):
                assert knob.low / rounded <= cell[name] <= knob.high * rounded
            else:
                assert cell[name] in knob
    names = list(knobs)
    shuffled.shuffle(names)
    reordered = draw_contender("x", {name: knobs[name] for name in names}, Draw(count + more, seed)).candidates
    assert reordered[:count] == drawn


@pytest.mark.parametrize("seed", range(5))
def test_every_one_of_eight_equal_parts_of_log_alpha_has_one_of_eight_candidates(seed: int) -> None:
    cells = draw_contender("x", {"learning_rate": ALPHA, "target.tau": Range(1e-4, 0.3)}, Draw(8, seed)).candidates
    parts = [
        math.floor(8 * math.log(cell["learning_rate"] / ALPHA.low) / math.log(ALPHA.high / ALPHA.low)) for cell in cells
    ]
    assert sorted(parts) == list(range(8))


def test_contenders_with_the_same_range_of_alpha_try_the_same_alpha_and_another_seed_others() -> None:
    alphas = {
        name: [cell["learning_rate"] for cell in contender.candidates] for name, contender in spec().contenders.items()
    }
    assert len(set(map(tuple, alphas.values()))) == 1
    other = spec(TEXT.replace("count = 4", "count = 4\nseed = 1")).contenders["soft"]
    assert not {cell["learning_rate"] for cell in other.candidates} & set(alphas["soft"])


def test_a_range_of_a_whole_number_is_rounded() -> None:
    periods = [cell["target.period"] for cell in spec().contenders["hard"].candidates]
    assert all(isinstance(period, int) and 1 <= period <= 5000 for period in periods)
    assert len(set(periods)) == 4


def test_none_is_none_where_the_setting_may_be_none_and_a_word_elsewhere() -> None:
    contenders = spec(TEXT.replace("count = 4", "count = 8")).contenders
    assert {cell["max_grad_norm"] for cell in contenders["none"].candidates} == {None, 10}
    assert {cell["normalization"] for cell in contenders["layer-norm"].candidates} == {"none", "layer"}
    grid = Spec.from_toml('env = "CartPole-v1"\npreset = "fast"\n[axes]\nmax_grad_norm = ["none", 1.0]\n', source="s")
    assert [cell_config(cell, grid.base).max_grad_norm for cell in grid.cells()] == [None, 1.0]
    assert list(grid.named_cells()) == ["max_grad_norm=none", "max_grad_norm=1"]


# ---- the spec ----


def test_a_spec_survives_the_round_trip_through_json() -> None:
    study = spec(TEXT + '[metric]\nprimary = "best_return"\n')
    assert study.metric == "best_return"
    assert Spec.from_json(study.to_json(), source="study.json") == study


WRONG = [
    (TEXT + "[axes]\nc = [0.5]\n", "a study has either axes (a grid) or contenders"),
    (TEXT.replace("[candidates]\ncount = 4", ""), "candidates.count must be at least 1"),
    ('env = "CartPole-v1"\n[candidates]\ncount = 3\n[seeds]\nselection = 1\njudging = 1\n', "belong together"),
    (TEXT.replace("selection = 3\n", ""), "seeds.selection = 0 and seeds.judging = 4 must be at least 1 each"),
    (TEXT.replace("judging = 4\n", ""), "seeds.selection = 3 and seeds.judging = 0 must be"),
    (TEXT.replace("judging = 4", "count = 4"), "line 23: seeds has an unknown key 'count'"),
    (TEXT.replace("tau = 1\n", "tau = 1\nc = 0.0\n"), "contender 'hard' sets 'c' and 'tau'"),
    (TEXT.replace("period = { low = 1,", "period = { low = 0.5,"), "low = 0.5 and high = 5000 must be whole numbers"),
    (TEXT.replace("tau = { low = 1e-4, high = 0.3 }", "tau = { low = 0.3, high = 0.1 }"), "needs 0 < low < high"),
    (TEXT.replace("tau = { low = 1e-4, high = 0.3 }", "tau = { low = 0.3 }"), "knob 'tau' needs two numbers, low and"),
    (TEXT.replace("high = 0.3", "high = 3.0").replace("1e-4", "1.3"), "'soft', candidate 1: tau = 1."),
    (TEXT.replace("tau = { low", "c = { low"), "'c' has a range, whose even steps"),
    (TEXT.replace('["none", 10]', "[]"), "knob 'max_grad_norm' has no values"),
    (TEXT.replace('["none", 10]', "[-1.0]"), "contender 'none', candidate 1: max_grad_norm = -1.0 must be"),
    (TEXT.replace("max_grad_norm", "max_grad_nrm"), "line 11: contender 'none': knob 'max_grad_nrm' is not a field"),
    (TEXT.replace("max_grad_norm", "seed"), "'seed' cannot be an axis or a knob"),
    (TEXT.replace("[contenders.soft]", "[contenders]\nsoft = 3\n[contenders.x]"), "contenders.soft = 3 must be"),
    (TEXT.replace('first = "soft"', 'first = "sofd"'), "first has contender = sofd, which is not in the study"),
    (TEXT.replace('first = "soft"', "first = { c = 0.5 }"), "first = {'c': 0.5} must be the name of a contender"),
    (TEXT + '[metric]\nprimary = "final"\n', "metric.primary = 'final' is not one of final_return"),
    (TEXT + '[metric]\nsecondary = "final"\n', "metric has an unknown key 'secondary'"),
    (
        TEXT.replace("learning_rate = { low = 1e-5, high = 1e-2 }\nmax", "learning_rate = [1e-3]\nmax"),
        "contender 'none' has only 2 different settings, and candidates.count = 4",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_an_invalid_spec_gives_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        spec(text)
    assert message in str(error.value)
    assert re.match(r"s\.toml(, line \d+)?: ", str(error.value))
    assert "\n" not in str(error.value)


def test_data_share_a_population_and_shapes_have_their_own() -> None:
    study = spec()
    populations = pack_populations(study, study_agents(study))
    shapes = [(config.max_grad_norm, config.normalization) for config in populations]
    assert len(shapes) == len(set(shapes)) == 3
    shared = next(config for config in populations if config.max_grad_norm is None and config.normalization == "none")
    assert {arm.name.partition("/")[0] for arm in shared.arms} >= {"soft", "hard", "none"}
    assert all(set(config.arms) for config in populations)
    assert sorted(agent for config in populations for agent in ((a.arm, a.seed) for a in config.agents())) == sorted(
        study_agents(study)
    )


def test_an_arm_has_its_candidates_settings_and_the_bases_target_otherwise() -> None:
    base = Config(target=Config().target.hard(7))
    arm = cell_arm({"target.tau": 0.5, "learning_rate": 0.1}, base, "soft/1")
    assert (arm.name, arm.learning_rate, arm.target.tau, arm.target.period) == ("soft/1", 0.1, 0.5, 7)


def test_candidates_have_the_selection_seeds_and_winners_the_judging_seeds_too() -> None:
    study = spec()
    candidates = study_agents(study)
    assert len(candidates) == 4 * 4 * 3
    assert {seed for _, seed in candidates} == {5, 6, 7}
    whole = study_agents(study, ["soft/2", "none/1", "layer-norm/1", "hard/4"])
    assert len(whole) == study.num_agents
    assert set(whole) - set(candidates) == {
        StudyAgent(cell, seed) for cell in ("soft/2", "none/1", "layer-norm/1", "hard/4") for seed in range(8, 12)
    }


# ---- winners ----

TWO = Spec(
    Config(env="CartPole-v1"),
    seeds=10,
    selection=2,
    draw=Draw(3),
    contenders={
        name: Contender({"learning_rate": ALPHA}, tuple({"learning_rate": rate} for rate in (1e-4, 1e-3, 1e-2)))
        for name in ("soft", "none")
    },
    claims=spec("""
        env = "CartPole-v1"
        candidates = { count = 3 }
        contenders = { soft = { learning_rate = [1e-4, 1e-3, 1e-2] }, none = { learning_rate = [1e-4, 1e-3, 1e-2] } }
        seeds = { selection = 2, judging = 8 }
        claims = [{ name = "n", first = "soft", second = "none" }]
    """).claims,
)


def agents_of(returns: dict[tuple[str, int], float], metric: str = "final_return") -> pl.DataFrame:
    other = dict.fromkeys(("final_return", "mean_return", "best_return"), 0.0)
    rows = [
        {"cell": cell, "seed": seed, "diverged": False} | other | {metric: value}
        for (cell, seed), value in returns.items()
    ]
    return pl.DataFrame(rows)


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=6, max_size=6), st.sets(st.integers(0, 5)))
def test_the_first_candidate_with_the_best_mean_wins_and_a_failed_agent_counts_with_the_floor(
    values: list[float], failed: set[int]
) -> None:
    returns = {(f"soft/{1 + i // 2}", i % 2): value for i, value in enumerate(values) if i not in failed}
    rest = {(f"none/{number}", seed): 5.0 for number in (1, 2, 3) for seed in (0, 1)}
    soft, none = select_winners(agents_of(returns | rest), TWO)
    means = [sum(0.0 if 2 * n + s in failed else values[2 * n + s] for s in (0, 1)) / 2 for n in range(3)]
    assert soft.scores == tuple(means)
    assert soft.candidate == 1 + means.index(max(means))
    assert none == Winner("none", 1, (5.0, 5.0, 5.0))


@pytest.mark.parametrize("metric", ["final_return", "best_return"])
def test_claims_compare_the_winners_on_the_judging_seeds_by_the_primary_metric(metric: str) -> None:
    study = Spec(**{**vars(TWO), "metric": metric})
    selection = {(f"{name}/{n}", seed): float(n == best) for name, best in (("soft", 2), ("none", 3))
                 for n in (1, 2, 3) for seed in (0, 1)}  # fmt: skip
    judging = {("soft/2", seed): 300.0 + seed for seed in range(2, 10)} | {("none/3", s): 100.0 for s in range(2, 10)}
    agents = agents_of(selection | judging, metric)
    winners = select_winners(agents, study)
    (verdict,) = judge_study(agents, study, winners)
    assert (verdict.first, verdict.second, verdict.n) == ("soft/2", "none/3", 8)
    assert verdict.estimate == pytest.approx(205.5)
    assert verdict.verdict == "supported"
    assert judge_study(agents, study, []) == []
    table = summarize_contenders(agents, study, winners)
    assert table["mean"].to_list() == [305.5, 100.0]
    assert table["selection_score"].to_list() == [1.0, 1.0]
    assert table["settings"].to_list() == ["learning_rate=0.001", "learning_rate=0.01"]


def test_metrics_of_an_agent_by_hand() -> None:
    curve = [1.0, 2.0, 9.0, *range(8)]
    rows = [
        {"cell": "x", "seed": seed, "learning_rate": 1e-3, "c": 0.0, "period": 1, "env_steps": step, "y_drift": 0.1,
         "eval_return": value, "diverged": seed == 1 and step >= 10}
        for seed in (0, 1) for step, value in enumerate([*curve, math.nan])
    ]  # fmt: skip
    study = Spec(Config(env="Acrobot-v1"), axes={"c": (0.0,)}, seeds=2)
    agents = summarize_agents(pl.DataFrame(rows), study)
    assert agents["final_return"].to_list() == [6.5, -500.0]  # of eleven evaluations, the last two
    assert agents["best_return"].to_list() == [9.0, 9.0]
    assert agents["mean_return"].to_list() == pytest.approx([sum(curve) / 11, (sum(curve[:10]) - 500) / 11])
