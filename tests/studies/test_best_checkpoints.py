"""Best checkpoints in a study's tables: joined where they are known, and differences that no claim is judged on."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import ttest_1samp

from softstep.config import Config
from softstep.studies.best_checkpoints import (
    SecondaryDifference,
    best_checkpoint_differences,
    with_best_checkpoints,
)
from softstep.studies.claims import StudyClaim
from softstep.studies.grid import cell_name
from softstep.studies.judge import judge_study
from softstep.studies.spec import Spec
from softstep.studies.summaries import FRESH_COLUMNS, summarize_agents, summarize_cells

SPEC = Spec(
    Config(env="CartPole-v1", total_steps=1_000), axes={"c": (0.0, 0.9)}, seeds=7, selection=2, floor=-3.0,
    claims=(StudyClaim("a-target-helps", {"c": [0.9]}, {"c": [0.0]}),),
)  # fmt: skip
NONE, SOFT = (cell_name(cell) for cell in SPEC.cells())


@pytest.fixture
def agents() -> pl.DataFrame:
    rows = [
        {
            "cell": cell_name(cell), "seed": seed, "learning_rate": 1e-3, "c": cell["c"], "period": 1,
            "env_steps": 1_000, "eval_return": 10.0 + seed, "diverged": False, "y_drift": 0.01,
        }
        for cell in SPEC.cells()
        for seed in range(SPEC.seeds)
    ]  # fmt: skip
    return summarize_agents(pl.DataFrame(rows), SPEC)


def best_table(returns: dict[tuple[str, int], float]) -> pl.DataFrame:
    """Return a table of best returns; NaN stands for an agent without a best checkpoint."""
    rows = [(cell, seed, 0 if math.isnan(value) else 500, 20.0, value, 100) for (cell, seed), value in returns.items()]
    names = ["cell", "seed", "env_steps", "eval_return", "fresh_return", "episodes"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_what_is_not_measured_is_null_and_no_checkpoint_counts_as_the_floor(agents: pl.DataFrame) -> None:
    known = {(NONE, 3): 7.0, (NONE, 4): math.nan, (SOFT, 6): 9.0}
    joined = with_best_checkpoints(agents, best_table(known), SPEC)
    assert joined.drop("best_steps", "fresh_return", "fresh_episodes").equals(agents)
    values = {(row["cell"], row["seed"]): row["fresh_return"] for row in joined.iter_rows(named=True)}
    assert values == dict.fromkeys(values) | known | {(NONE, 4): -3.0}
    assert joined.filter(cell=NONE)["best_steps"].to_list() == [None, None, None, 500, 0, None, None]
    for nothing in (None, best_table({})):
        assert with_best_checkpoints(agents, nothing, SPEC) is agents


def test_the_differences_are_those_of_the_judging_seeds_that_both_sides_have(agents: pl.DataFrame) -> None:
    numbers = np.random.default_rng(0)
    known = {(cell, seed): float(numbers.normal()) for cell in (NONE, SOFT) for seed in range(7)}
    del known[SOFT, 5]
    joined = with_best_checkpoints(agents, best_table(known), SPEC)
    judged = judge_study(joined, SPEC)
    (found,) = best_checkpoint_differences(joined, SPEC, judged)
    values = [known[SOFT, seed] - known[NONE, seed] for seed in (2, 3, 4, 6)]
    low, high = ttest_1samp(values, 0).confidence_interval()
    expected = SecondaryDifference("a-target-helps", SOFT, NONE, float(np.mean(values)), low, high, 4)
    assert found[:3] == expected[:3]
    assert found[3:] == pytest.approx(expected[3:])
    assert judged == judge_study(agents, SPEC)  # the verdicts do not depend on best checkpoints
    assert best_checkpoint_differences(agents, SPEC, judged) == []
    one_side = with_best_checkpoints(agents, best_table({(SOFT, 3): 1.0}), SPEC)
    assert best_checkpoint_differences(one_side, SPEC, judged) == []


def test_cells_have_the_mean_over_the_agents_that_were_measured(agents: pl.DataFrame) -> None:
    assert not set(FRESH_COLUMNS) & set(summarize_cells(agents).columns)
    joined = with_best_checkpoints(agents, best_table({(SOFT, 0): 4.0, (SOFT, 1): 8.0}), SPEC)
    none, soft = summarize_cells(joined).select(FRESH_COLUMNS).rows()
    assert soft[0] == 6.0
    assert soft[1:3] == pytest.approx(ttest_1samp([4.0, 8.0], 0).confidence_interval())
    assert soft[3] == 2
    assert none[3] == 0
    assert np.isnan(none[:3]).all()
