"""The SVG of learning curves is well-formed, and its lines match the numbers."""

import itertools
import math
import re
import xml.etree.ElementTree as ET

import polars as pl
import pytest

from softstep.comparison.scores import scores_by_seed
from softstep.errors import ConfigError
from softstep.report.media.curves_svg import curves_svg
from softstep.report.shared.formatting import format_result
from softstep.report.shared.palette import ARMS

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def curves(make_curves):
    return make_curves({"soft": lambda s, t: t / 1000 + s, "smaller-alpha": lambda s, t: s, "hard": lambda s, t: 100.0})


def path(root, kind, arm):
    paint = "stroke" if kind == "line" else "fill"
    (found,) = [p for p in root.iter(f"{SVG}path") if p.get("class") == kind and p.get(paint) == ARMS[arm].colour]
    return [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", found.get("d"))]


def tick(root, text):
    """Return the height of a tick of the y axis."""
    (y,) = [
        float(t.get("y")) - 5.5 for t in root.iter(f"{SVG}text") if t.text == text and t.get("text-anchor") == "end"
    ]
    return y


def test_lines_pass_through_the_numbers(curves):
    root = ET.fromstring(curves_svg(curves, column="train_return"))
    pixel_per_return = (tick(root, "20") - tick(root, "80")) / 60
    soft = path(root, "line", "soft")
    assert len(soft) == 10
    for (_, y), step in zip(soft, range(10_000, 100_001, 10_000), strict=True):
        assert y == pytest.approx(tick(root, "20") - (step / 1000 + 1 - 20) * pixel_per_return, abs=0.2)
    xs = [x for x, _ in soft]
    assert xs == pytest.approx([xs[0] + k * (xs[1] - xs[0]) for k in range(10)], abs=0.6)


def test_the_band_spans_worst_to_best(curves):
    root = ET.fromstring(curves_svg(curves, column="train_return"))
    pixel_per_return = (tick(root, "20") - tick(root, "80")) / 60
    band = path(root, "band", "soft")
    for (_, high), (_, low) in zip(band[:10], band[:9:-1], strict=True):
        assert low - high == pytest.approx(2 * pixel_per_return, abs=0.3)


def test_names_are_at_the_ends_of_the_curves_and_apart(curves):
    root = ET.fromstring(curves_svg(curves, column="train_return"))
    names = {t.text.strip(): float(t.get("y")) for t in root.iter(f"{SVG}text") if t.get("class") == "name"}
    assert set(names) == {"soft", "smaller-alpha", "hard"}
    heights = sorted(names.values())
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 40
    assert names["smaller-alpha"] == max(heights)
    assert max(heights) < 520 - 60


def test_the_number_of_an_arm_is_the_score_that_a_comparison_judges(make_curves):
    half = make_curves({"soft": lambda s, t: t / 1000 + s})
    curves = pl.concat([half, half.with_columns(pl.col("env_steps") + 100_000)])
    curves = curves.with_columns(eval_return="train_return")
    scores = scores_by_seed(curves, floor=-500.0)["soft"]
    root = ET.fromstring(curves_svg(curves))
    (number,) = [t.text for t in root.iter(f"{SVG}tspan")]
    assert number == format_result(sum(scores.values()) / len(scores))
    assert number != format_result(curves["eval_return"].max())


def test_greedy_returns_are_preferred(make_curves):
    assert ">return</text>" in curves_svg(make_curves({"soft": lambda s, t: 1.0}))
    assert ">greedy return</text>" in curves_svg(make_curves({"soft": lambda s, t: 1.0}, eval_return=5.0))


def test_text_is_escaped_and_details_can_be_replaced(curves):
    text = curves_svg(curves, title="α < β & γ", details={"soft": "c > 0.9"})
    ET.fromstring(text)
    assert "α &lt; β &amp; γ" in text
    assert "c &gt; 0.9" in text
    assert "α 5e-06, no target" in text


def test_the_picture_has_a_dark_mode_and_loads_nothing(curves):
    text = curves_svg(curves)
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]


def test_the_file_has_the_returned_text(curves, tmp_path):
    text = curves_svg(curves, tmp_path / "out.svg")
    assert (tmp_path / "out.svg").read_text(encoding="utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["out.svg"]


def test_a_picture_without_curves_is_an_error(make_curves, tmp_path):
    with pytest.raises(ConfigError, match="no curve"):
        curves_svg(make_curves({"soft": lambda s, t: math.nan}), tmp_path / "out.svg")
    assert list(tmp_path.iterdir()) == []
