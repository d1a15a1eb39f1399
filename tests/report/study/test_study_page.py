"""The page of a study on a synthetic table: its answer, verdicts, figures and embedded tables."""

from __future__ import annotations

import base64
import gzip
import json
import re

import numpy as np
import plotly.offline
import polars as pl
import pytest

from softstep.config import Config
from softstep.report.study.page import study_page
from softstep.studies.claims import StudyClaim
from softstep.studies.grid import cell_name
from softstep.studies.predictor import rank_predictors
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents

SPEC = Spec(
    Config(env="CartPole-v1", total_steps=100_000),
    axes={"learning_rate": (1e-4, 1e-3, 1e-2), "c": (0.0, 0.9, 0.99)},
    seeds=11,
    selection=3,
    claims=(StudyClaim("a-target-helps", {"c": [0.9, 0.99]}, {"c": [0.0]}),),
)
FAILURES = {"learning_rate=0.01 c=0, seed 3": "</script><b>worn out</b>"}


def final_return(rate: float, c: float, seed: int) -> float:
    """Return a score that is highest at α = 0.001 and c = 0.99."""
    return 400.0 - 100.0 * abs(np.log10(rate) + 3) - 100.0 * (0.99 - c) + seed


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rows = [
        {
            "cell": cell_name(cell), "seed": seed, "learning_rate": cell["learning_rate"], "c": cell["c"], "period": 1,
            "env_steps": steps, "eval_return": final_return(cell["learning_rate"], cell["c"], seed) * steps / 100_000,
            "diverged": cell["c"] == 0 and cell["learning_rate"] == 1e-2 and seed == 0, "y_drift": 0.01,
        }
        for cell in SPEC.cells()
        for seed in range(SPEC.seeds)
        for steps in (50_000, 100_000)
    ]  # fmt: skip
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def page(frame) -> str:
    return study_page(frame, SPEC, {"softstep": "0.1.0"}, FAILURES).replace(plotly.offline.get_plotlyjs(), "")


def embedded(page: str, name: str) -> object:
    (packed,) = re.findall(rf'id="data-{name}">([^<]*)<', page)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_the_answer_has_the_numbers_of_the_study(page):
    for words in (
        "9 cells of (α, c) on CartPole-v1 with 11 seeds each and 100\u202f000 environment steps per agent",
        "Without a target network the highest mean return is 306, at α = 0.001, c = 0, the best of 3 cells; with one"
        " it is 405, at α = 0.001, c = 0.99, the best of 6. Each was chosen after the run",
        "Agents act with Q and are scored with Q",
        "1 of 99 agents diverged",
        "a-target-helps: supported",
        "8 seeds)",
    ):
        assert words in page


def test_every_figure_and_table_is_embedded(page, frame):
    figures = set(re.findall(r'id="([a-z-]+)-figure"', page))
    maps = {"map-return", "map-time", "map-diverged", "map-drift", "theory"}
    assert figures == maps | {"predictors", "slices", "profiles"}
    agents = summarize_agents(frame, SPEC, 475.0)
    assert embedded(page, "agents") == agents.to_dict(as_series=False)
    assert [verdict["claim"] for verdict in embedded(page, "verdicts")] == ["a-target-helps"]
    predictors = embedded(page, "predictors")
    assert [row["lower_bound"] for row in predictors] == [None] * 5 + [0.0] * 5
    assert {row["name"] for row in predictors[:5]} == {"α", "c", "(1−c)α", "κ = (1−c)/α", "α_eff"}


def test_every_predictor_has_a_line_with_its_reproducible_shares(page, frame):
    agents = summarize_agents(frame, SPEC, 475.0)
    for plain, clipped in ((p, c) for p in rank_predictors(agents) for c in rank_predictors(agents, 0.0)):
        if plain.name == clipped.name:
            (line,) = re.findall(rf"<tr><t[hd]>{re.escape(plain.name)}<.*?</tr>", page)
            for found in (plain, clipped):
                share, low, high = (f"{x:.2f}".replace("-", "−") for x in (found.reproducible, found.low, found.high))
                assert f"{share} [{low}, {high}]" in line


def test_failures_are_listed_and_escaped(page):
    assert "&lt;/script&gt;&lt;b&gt;worn out&lt;/b&gt;" in page
    assert "<b>worn out" not in page


def test_a_study_of_one_number_has_no_maps(frame):
    spec = Spec(SPEC.base, axes={"learning_rate": (1e-4, 1e-3, 1e-2)}, seeds=11)
    single = frame.filter(pl.col("c") == 0).with_columns(cell=pl.col("cell").str.replace(" c=0(\\.0)?$", ""))
    page = study_page(single, spec, {}, {})
    assert "map-return" not in page
    assert "No seeds were set apart for selection" in page


@pytest.fixture(scope="module")
def best() -> pl.DataFrame:
    """Best checkpoints on 100 fresh episodes: 7 more than the final return."""
    rows = [
        (cell_name(cell), seed, 50_000, 450.0, final_return(cell["learning_rate"], cell["c"], seed) + 7.0, 100)
        for cell in SPEC.cells()
        for seed in range(SPEC.seeds)
    ]
    names = ["cell", "seed", "env_steps", "eval_return", "fresh_return", "episodes"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_best_checkpoints_are_shown_as_secondary_where_they_were_judged(page, frame, best):
    title = "Best checkpoints (secondary, not judged)"
    assert title not in page
    shown = study_page(frame, SPEC, {}, {}, best=best)
    section = shown.split(f"<h2>{title}<")[1].split("<h2")[0]
    assert "100 fresh episodes" in section
    assert "measured for 99 agents" in section
    assert 'id="map-best-figure"' in section
    assert "No claim is judged on these returns" in section
    judged = embedded(page, "verdicts")
    assert embedded(shown, "verdicts") == judged
    (row,) = re.findall(r"<tr><t[hd]>a-target-helps<.*?</tr>", section)
    assert row.count("99 [99, 99]") == 2  # the final return and, 7 higher on both sides, the best checkpoint
    assert embedded(shown, "cells")["fresh_return"] == pytest.approx([m + 7.0 for m in plain_means(frame)])


def plain_means(frame) -> list[float]:
    """Return every cell's mean of the last evaluation, also of agents that diverged."""
    last = frame.filter(pl.col("env_steps") == 100_000).group_by("cell", maintain_order=True)
    return last.agg(pl.col("eval_return").mean())["eval_return"].to_list()


def test_a_study_of_one_number_lists_its_best_checkpoints(frame, best):
    spec = Spec(SPEC.base, axes={"learning_rate": (1e-4, 1e-3, 1e-2)}, seeds=11)
    single, its_best = (
        table.filter(pl.col("cell").str.ends_with(" c=0")).with_columns(cell=pl.col("cell").str.replace(" c=0$", ""))
        for table in (frame, best)
    )
    page = study_page(single, spec, {}, {}, best=its_best.filter(pl.col("seed") < 9))
    assert "map-best" not in page
    (row,) = re.findall(r"<tr><t[hd]>learning_rate=0.001<.*?</tr>", page)
    assert "306 [304, 308]" in row
    assert "312 [310, 314]" in row
    assert "9 of 11" in row
