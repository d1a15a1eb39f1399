"""The comparison's page loads nothing, loses nothing and escapes everything, whatever the run lacks."""

import base64
import gzip
import html.parser
import io
import json
import math
import re
import shutil
from types import SimpleNamespace

import numpy as np
import plotly.offline
import polars as pl
import pytest
from playwright.sync_api import sync_playwright
from rich.console import Console

from softstep.config import Config
from softstep.report.comparison import plotted_data
from softstep.report.comparison.page import comparison_page
from softstep.report.comparison.verdict_cards import interval_bar, verdict_card
from softstep.report.comparison.verdict_text import SIGNS, verdict_table
from softstep.report.shared.curves import bands
from softstep.report.shared.palette import ARMS
from softstep.settings import Arm
from softstep.target import TargetUpdate

ALL = ("soft", "smaller-alpha", "blended", "same-alpha", "hard", "best-alpha", "best-soft")
EVIL = "</script><b onclick=x>'\"&"
FIRST_STEPS = [
    {"optimizer": name, "update": update, "t_x": t, "w_x": 1e-16, "t_x32": math.nan, "t_x_ulp32": 0.5}
    for name in ("sgd", "adam")
    for update, t in ((1, 0.0), (2, 0.7), (1000, math.nan))
]


def a_verdict(**changes):
    return {
        "claim": "soft-beats-same-alpha", "statement": "Soft is better.", "estimand": "return, soft − same-alpha",
        "estimate": 31.25, "interval": [12.5, 50.0], "p": 0.0078, "p_holm": 0.0391, "verdict": "supported",
        "arms": ["soft", "same-alpha"], "n": 8,
    } | changes  # fmt: skip


EXACT = a_verdict(claim="first", estimate=3e-14, interval=[None, None], p=None, p_holm=None, n=2)
RATIO = a_verdict(claim="y", estimand="mean |Δy|, soft / same-alpha", estimate=0.1, interval=[0.05, 0.2])
VERDICTS = [EXACT, a_verdict(), RATIO]


@pytest.fixture
def learned(make_curves):
    """Return a function that makes curves with evaluations, columns of the probe and a number that needs all digits."""

    def make(arms=ALL, seeds=3):
        curves = make_curves({arm: lambda s, t: 0.1 + 0.2 + s + t / 300 for arm in arms}, seeds)
        return curves.with_columns(
            eval_return=pl.col("train_return"), y_rms=pl.lit(0.3), y_p99=pl.lit(0.4), y_sd=pl.lit(2.0)
        )

    return make


EPISODES = pl.DataFrame(
    {"arm": ["soft"], "seed": [0], "env_steps": [97], "episode_return": [-123.45678901234567], "length": [97]}
)


def config_of(arms=ALL, **fields):
    targets = {"soft": TargetUpdate(0.005), "best-soft": TargetUpdate(0.015), "hard": TargetUpdate.hard(399)}
    return Config(arms=tuple(Arm(arm, 1e-3, targets.get(arm, TargetUpdate.none())) for arm in arms), **fields)


def rendered(curves, config=None, verdicts=VERDICTS, first_steps=FIRST_STEPS, **options):
    arguments = {
        "episodes": EPISODES,
        "answer": "It is not.",
        "versions": {"softstep": "0.1.0"},
        "animation": None,
    } | options
    arms = curves["arm"].unique(maintain_order=True).to_list()
    return comparison_page(
        curves, config=config or config_of(arms, seeds=3), verdicts=verdicts, first_steps=first_steps, **arguments
    )


class Parsed(html.parser.HTMLParser):
    """A parsed page: elements with their attributes, texts outside scripts and styles, and scripts by id."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.scripts, self.inside = [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(SimpleNamespace(tag=tag, attributes=dict(attrs)))
        if tag in ("script", "style"):
            self.inside = dict(attrs).get("id") or f"{tag}-{len(self.elements)}"
            self.scripts[self.inside] = ""

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.scripts[self.inside] += data
        else:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts)

    def data(self, name):
        return strict(gzip.decompress(base64.b64decode(self.scripts[f"data-{name}"])))

    def figure(self, name):
        return strict(self.scripts[f"{name}-figure"])


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def whole(learned):
    return rendered(learned(), animation=b"GIF89a")


def test_the_page_loads_nothing(whole):
    for element in Parsed(whole).elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert (element.attributes.get(name) or "data:").startswith(("data:", "#"))
        assert element.tag not in ("link", "iframe", "object", "embed")
    ours = whole.replace(plotly.offline.get_plotlyjs(), "")
    assert "@import" not in ours
    assert not re.search(r"url\(|https?://", ours)


def test_the_page_begins_with_the_answer_and_a_table_of_contents(learned):
    answer = "It is not.\n\nThis was measured.\n\nThis is exact."
    text = rendered(learned(), answer=answer)
    parsed = Parsed(text)
    places = [text.index(words) for words in ("It is not.", 'id="contents"', "<section ", "plotly")]
    assert places == sorted(places)
    assert re.findall('<p class="short">(.*?)</p>', text) == ["It is not."]
    links = [e.attributes["href"] for e in parsed.elements if e.tag == "a"]
    sections = [e.attributes["id"] for e in parsed.elements if e.tag == "section"]
    assert links == [f"#{name}" for name in sections]
    assert len(links) == len(set(links)) == text.count("<h2>") > 8


def test_the_content_security_policy_forbids_loading(whole):
    (policy,) = [e.attributes["content"] for e in Parsed(whole).elements if e.attributes.get("http-equiv")]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_plotly_is_included_once(whole):
    assert whole.count(plotly.offline.get_plotlyjs()) == 1


def test_every_arm_has_its_colour_of_the_palette_everywhere(whole):
    parsed = Parsed(whole)
    for name in ("learning", "scores", "y_drift", "y_rms", "y_p99", "gap", "solved"):
        for trace in parsed.figure(name)["data"]:
            colours = [(trace.get(part) or {}).get("color") for part in ("line", "marker", "textfont")]
            assert {c for c in colours if c} == {ARMS[trace["legendgroup"]].colour}
    for arm in ALL:
        assert f'<b style="--arm:{ARMS[arm].colour}">' in whole


def test_the_tables_are_embedded_in_full_precision(learned, whole):
    parsed, curves = Parsed(whole), learned()
    assert parsed.data("curves") == curves.to_dict(as_series=False)
    assert parsed.data("episodes") == EPISODES.to_dict(as_series=False)
    assert parsed.data("verdicts") == VERDICTS
    scores = parsed.data("scores")
    assert scores["seed"] == [0, 1, 2] * 7
    assert scores["final_return"][0] == curves.row(-3, named=True)["eval_return"]
    assert [row["t_x"] for row in parsed.data("first_steps")] == [0.0, 0.7, None] * 2


def test_numbers_that_are_not_finite_are_null(learned):
    curves = learned(("soft",)).with_columns(loss=pl.lit(math.inf), q_mean=pl.lit(math.nan))
    columns = Parsed(rendered(curves)).data("curves")
    assert set(columns["loss"]) == set(columns["q_mean"]) == {None}


def test_hostile_text_is_escaped(learned):
    curves = learned(("soft", "other")).with_columns(arm=pl.col("arm").replace("other", EVIL))
    evil = a_verdict(statement=EVIL, estimand=EVIL, verdict=EVIL, arms=[EVIL, EVIL])
    steps = [{"optimizer": EVIL, "update": 1, "t_x": 0.1, "w_x": 0.1}]
    text = rendered(curves, verdicts=[evil], first_steps=steps, answer=EVIL, versions={EVIL: EVIL})
    parsed = Parsed(text)
    assert not [element for element in parsed.elements if "onclick" in element.attributes]
    assert EVIL in parsed.data("curves")["arm"]
    assert parsed.data("verdicts")[0]["statement"] == EVIL
    assert text.replace(plotly.offline.get_plotlyjs(), "").count("</script>") == len(parsed.scripts) - 1
    assert EVIL in parsed.text


@pytest.mark.parametrize("arms", [("soft",), ("hard", "soft"), ALL])
def test_absent_arms_do_not_appear(learned, arms):
    parsed = Parsed(rendered(learned(arms), verdicts=[]))
    chips = [e.attributes["data-arm"] for e in parsed.elements if "data-arm" in e.attributes]
    assert chips == list(arms)
    assert {trace["legendgroup"] for trace in parsed.figure("learning")["data"]} == set(arms)


def test_one_seed_has_neither_band_nor_interval(learned):
    parsed = Parsed(rendered(learned(("soft", "hard"), seeds=1)))
    assert not [trace for trace in parsed.figure("learning")["data"] if trace.get("fill")]
    assert "shaded" not in parsed.text
    assert "1 seed each" in rendered(learned(("soft",), seeds=1), config_of(("soft",), seeds=1))


def test_no_number_is_shown_as_nan(learned):
    gone = learned(("soft", "hard")).with_columns(
        eval_return=pl.when(pl.col("arm") == "soft").then(math.nan).otherwise("eval_return"),
        target_gap=pl.lit(math.nan),
        diverged=pl.col("arm") == "soft",
    )
    bare = a_verdict(estimate=None, interval=[None, None], p_holm=None)
    parsed = Parsed(rendered(gone, verdicts=[bare, a_verdict(interval=[math.nan, math.nan])]))
    shown, configuration, _ = parsed.text.partition("Configuration and versions")
    assert configuration
    assert not re.search(r"\b(nan|inf|null|None)\b|NaN", shown)
    assert "gap-figure" not in parsed.scripts
    assert "Diverged agents (3) count as −500" in parsed.text


def test_a_run_without_probe_and_evaluations_renders(make_curves, demo):
    curves = make_curves({"soft": lambda s, t: 1.0, "same-alpha": lambda s, t: 2.0})
    parsed = Parsed(rendered(curves, demo, verdicts=[], first_steps=[], episodes=EPISODES.clear()))
    assert "Mean training return" in parsed.text
    assert "in units of y" in parsed.text
    assert {"y_drift-figure", "learning-figure"} <= set(parsed.scripts)
    assert not {"y_rms-figure", "solved-figure", "first-steps-0-figure"} & set(parsed.scripts)


def test_moves_of_y_are_in_standard_deviations_of_y(learned):
    figure = Parsed(rendered(learned(("hard",)))).figure("y_rms")
    (line,) = [trace for trace in figure["data"] if trace.get("name") == "hard"]
    assert line["customdata"][0] == "0.15 to 0.15"


def test_the_rms_of_hard_copies_is_explained(learned):
    text = Parsed(rendered(learned(("soft", "hard")).with_columns(y_p99=pl.lit(0.0)))).text
    assert "leave y unchanged for 398 steps" in text
    assert "√399 ≈ 20 times the mean" in text
    assert "leave y unchanged: soft, hard" in text


def test_an_unknown_environment_has_neither_margin_nor_threshold(learned):
    curves = learned(("soft", "hard")).with_columns(diverged=pl.col("arm") == "soft")
    parsed = Parsed(rendered(curves, config_of(("soft", "hard"), env="Mine-v0")))
    assert "No margin was declared" in parsed.text
    assert "Diverged agents (3) are left out, because no floor was declared" in parsed.text
    assert "solved-figure" not in parsed.scripts
    given = Parsed(rendered(curves, config_of(("soft", "hard"), env="Mine-v0"), margin=5.0, floor=-7.0))
    assert "δ = 5 " in given.text
    assert "count as −7" in given.text


def test_the_animation_is_embedded(whole, learned):
    assert 'src="data:image/gif;base64,R0lGODlh"' in whole
    assert "<img" not in rendered(learned(("soft",))).replace(plotly.offline.get_plotlyjs(), "")


@pytest.mark.parametrize("word", SIGNS)
def test_a_verdict_has_a_word_a_sign_and_a_colour(word):
    text = verdict_card(a_verdict(verdict=word), 20.0)
    assert f'class="word {word}"' in text
    assert SIGNS[word] in text
    assert f" {word}</div>" in text
    assert "31.2 [12.5, 50]" in text
    assert "adjusted p = 0.039 · 8 pairs of seeds" in text


def test_a_tiny_p_is_shown_as_a_bound():
    assert "adjusted p &lt; 0.001 · 8" in verdict_card(a_verdict(p_holm=1e-5), None)


def test_a_verdict_without_an_interval_says_why():
    assert "exact · 2 rows of the first steps" in verdict_card(EXACT, None)
    single = a_verdict(interval=[None, None], p=None, p_holm=None, verdict="exploratory", n=1)
    assert "no interval · 1 pair of seeds" in verdict_card(single, None)


def test_the_bar_shows_the_interval_beside_the_margin():
    bar = interval_bar(a_verdict(estimate=0.0, interval=[-20.0, 20.0]), 20.0)
    (left, right), (shade, width) = (
        map(float, re.search(pattern, bar).groups())
        for pattern in (
            r'class="range" x1="([\d.]+)" x2="([\d.]+)"',
            r'class="margin" x="([\d.]+)" y="2" width="([\d.]+)"',
        )
    )
    assert (left, right) == (shade, shade + width)
    assert left + right == 260
    assert "← same-alpha larger" in bar


def test_a_ratio_is_drawn_around_one_and_an_exact_claim_is_not_drawn():
    even = interval_bar(a_verdict(estimand="soft / same-alpha", estimate=1.0, interval=[0.5, 2.0]), 20.0)
    assert 'cx="130.0"' in even
    assert "margin" not in even
    assert ">×2<" in even
    assert interval_bar(EXACT, 20.0) == ""


def test_intervals_are_students():
    (mean,), (low,), (high,) = plotted_data.mean_band(np.array([[1.0], [2.0], [3.0]]))
    assert (mean, high - mean) == (2.0, pytest.approx(4.302653 / math.sqrt(3), rel=1e-6))
    assert low == pytest.approx(4 - high)
    assert plotted_data.mean_band(np.array([[7.0]])) == (7, 7, 7)


def test_bands_with_intervals_have_the_mean_of_the_seeds(learned):
    curves = learned(("soft",))
    band, spread = plotted_data.interval_bands(curves, "eval_return")["soft"], bands(curves, "eval_return")["soft"]
    assert band.mean.tolist() == spread.mean.tolist()
    logs = plotted_data.interval_bands(curves.with_columns(y=10.0 ** pl.col("seed")), "y", geometric=True)["soft"]
    assert logs.mean == pytest.approx([10.0] * len(logs.steps))


def test_solved_means_two_evaluations_in_a_row():
    rows = [("a", 0, 10, 5.0), ("a", 0, 20, 1.0), ("a", 0, 30, 5.0), ("a", 0, 40, 6.0), ("a", 1, 40, math.nan)]
    rows += [("a", 1, 10, 1.0), ("a", 1, 20, 5.0), ("b", 0, 40, math.nan)]
    curves = pl.DataFrame(rows, schema=["arm", "seed", "env_steps", "eval_return"], orient="row")
    (found,) = plotted_data.solved(curves, 5.0)
    assert found == ("a", (40.0,), 2, 40)
    assert found.median == 40
    assert math.isnan(plotted_data.Solved("a", (40.0,), 3, 40).median)


LONGEST = a_verdict(verdict="exploratory", claim="no-smaller-alpha-matches-soft")


@pytest.mark.parametrize("verdicts", [[], [EXACT, a_verdict(), RATIO, LONGEST]])
def test_the_verdicts_fit_a_terminal(verdicts):
    stream = io.StringIO()
    Console(file=stream, width=80).print(verdict_table(verdicts))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    if verdicts:
        (row,) = [line for line in lines if line.startswith(" y ")]
        assert row.split() == ["y", "✓", "supported", "×", "0.1", "[0.05,", "0.2]", "0.039", "8"]
        assert "nan" not in stream.getvalue()


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.heavy
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_a_browser_saves_the_numbers_without_a_network(learned, tmp_path):
    curves = learned()
    (tmp_path / "report.html").write_text(rendered(curves), encoding="utf-8")
    errors = []
    with sync_playwright() as playwright:
        tab = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]).new_page()
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto((tmp_path / "report.html").as_uri())
        for kind, read in (("csv", pl.read_csv), ("json", pl.read_json)):
            with tab.expect_download() as saved:
                tab.click(f"button[data-table=curves][data-format={kind}]")
            found = read(saved.value.path())
            assert found["arm"].to_list() == curves["arm"].to_list()
            assert np.array_equal(found["eval_return"], curves["eval_return"], equal_nan=True)
    assert not errors
