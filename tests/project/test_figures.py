"""Every measured figure of the texts is recomputed from the committed tables; `figures.txt` declares them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache

import measured
import polars as pl
import pytest

from softstep.target import TargetUpdate

DECLARED = (measured.ROOT / "tests" / "project" / "figures.txt").read_text(encoding="utf-8")
EXPRESSION = re.compile(r"\{(.+?)\}")
MEASURED = re.compile(r"\d ± \d|[−\d]\d* \[−?[\d.]+, −?[\d.]+\]|\d % of the variance|\| −?0\.\d\d \|")
"""What only a measured figure looks like: a mean with its spread or its interval, or a share of the variance."""


@cache
def names() -> dict[str, object]:
    """Return what an expression of `figures.txt` may use."""
    return {
        **{name: value for name, value in vars(measured).items() if not name.startswith("_")},
        "lander": measured.Comparison("lander", "LunarLander-v3"),
        "cartpole": measured.Comparison("cartpole", "CartPole-v1"),
        "sac_pendulum_compared": measured.Comparison("sac-pendulum", "gymnax:Pendulum-v1"),
        "td3_pendulum_compared": measured.Comparison("td3-pendulum", "gymnax:Pendulum-v1"),
        "demo": measured.Comparison("demo", "LunarLander-v3"),
        "demo_26": measured.Comparison("demo-26-november", "LunarLander-v3"),
        "demo_27": measured.Comparison("demo-27-november", "LunarLander-v3"),
        "lander_map": measured.Map("lander-map"),
        "cartpole_map": measured.Map("cartpole-map"),
        "atlas": measured.Atlas(),
        "sac_lander": measured.Returns("sac-lander"),
        "td3_lander": measured.Returns("td3-lander"),
        "td3_lander_128": measured.Returns("td3-lander-128"),
        "sac_walker": measured.Returns("sac-walker"),
        "td3_walker": measured.Returns("td3-walker"),
        "ddpg_walker": measured.Returns("ddpg-walker"),
        "sac_pendulum": measured.Returns("sac-pendulum"),
        "td3_pendulum": measured.Returns("td3-pendulum"),
        "ddpg_pendulum": measured.Returns("ddpg-pendulum"),
        "TargetUpdate": TargetUpdate,
        "GOOD_ALPHAS": (1e-3, 3e-3),
        "GOOD_CS": (0.7, 0.9, 0.97, 0.99, 0.997),
    }


def passages() -> Iterator[tuple[str, str]]:
    """Yield every declared passage with its page."""
    page = ""
    for line in DECLARED.splitlines():
        if line.startswith("== "):
            page = line[3:]
        elif line and not line.startswith("#"):
            yield page, line


PASSAGES = list(passages())
PAGES = list(dict.fromkeys(page for page, _ in PASSAGES))


@cache
def text_of(page: str) -> str:
    """Return a page, or a notebook without its outputs, in one line."""
    text = (measured.ROOT / page).read_text(encoding="utf-8")
    if page.endswith(".ipynb"):
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return " ".join(text.split())


@cache
def computed(passage: str) -> str:
    """Return a passage with its figures computed."""
    return EXPRESSION.sub(lambda match: str(eval(match[1], dict(names()))), passage)


@pytest.mark.parametrize(("page", "passage"), PASSAGES, ids=[f"{page}: {passage[:60]}" for page, passage in PASSAGES])
def test_a_passage_stands_in_its_page_with_the_computed_figures(page: str, passage: str) -> None:
    assert EXPRESSION.search(passage)
    found = text_of(page).count(computed(passage))
    assert found == 1, f"{page} must have this passage once, and has it {found} times: {computed(passage)}"


@pytest.mark.parametrize("page", PAGES)
def test_no_measured_figure_is_undeclared(page: str) -> None:
    text = text_of(page)
    for declared_page, passage in PASSAGES:
        if declared_page == page:
            text = text.replace(computed(passage), " ")
    undeclared = MEASURED.findall(text)
    assert not undeclared


@pytest.mark.parametrize("page", PAGES)
def test_a_changed_digit_of_a_figure_is_noticed(page: str) -> None:
    for passage in (passage for declared, passage in PASSAGES if declared == page):
        figure = str(eval(EXPRESSION.findall(passage)[0], dict(names())))
        changed = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), figure, count=1)
        text = text_of(page).replace(computed(passage), computed(passage).replace(figure, changed, 1))
        assert computed(passage) not in text or changed == figure  # a figure in words has no digit


@pytest.mark.parametrize("name", measured.PICTURES)
def test_a_picture_of_curves_is_drawn_from_its_table(name: str) -> None:
    stored = (measured.RESULTS / f"{name}.svg").read_text(encoding="utf-8")
    assert stored == measured.picture(name), "redraw it with measured.picture"


def test_the_demo_is_the_first_half_of_judged_agents() -> None:
    """So the choice of the length, made after the demo, was not blind to these seeds."""
    columns = ["arm", "seed", "env_steps", "loss", "y_drift", "target_gap", "train_return"]
    demo, judged = (pl.read_parquet(measured.RESULTS / f"{name}-curves.parquet") for name in ("demo", "lander"))
    assert demo["seed"].unique().sort().to_list() == list(range(6))
    assert demo.select(columns).join(judged.select(columns), on=columns, how="anti", nulls_equal=True).is_empty()


def test_ten_of_twelve_groups_of_equal_products_differ_by_more_than_200() -> None:
    spans = measured.Map("lander-map").spans()
    assert (len(spans), sum(span > 200 for span in spans)) == (12, 10)


def test_ten_of_sixteen_cells_of_large_steps_end_below_250() -> None:
    means = measured.Map("lander-map").means(alphas=[0.01, 0.03])
    assert (len(means), sum(mean < -250 for mean in means)) == (16, 10)
