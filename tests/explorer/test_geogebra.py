"""The GeoGebra construction: its points are the theory's, and its XML has the documented form."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from explorer import geogebra_language
from hypothesis import given, settings
from hypothesis import strategies as st

import softstep
from softstep import theory
from softstep.cli.main import main
from softstep.explorer.geogebra import write_construction
from softstep.explorer.geogebra.rooms import construction
from softstep.explorer.rooms import one_network, two_networks

NUMBERS = {"val", "min", "max", "x", "y", "r", "g", "b", "alpha", "xZero", "yZero", "scale", "yscale", "step"}
BOOLEANS = {
    "absoluteScreenLocation", "axes", "cmd", "fixed", "grid", "horizontal", "inframe", "playing", "show", "showAlgebra",
    "showNumbers", "stylebar", "visible",
}  # fmt: skip
FORM = {
    "geogebra": ({"format", "version", "app"}, {"gui", "euclidianView", "kernel", "construction"}),
    "gui": (set(), {"window", "perspectives", "font"}),
    "window": ({"width", "height"}, set()),
    "perspectives": (set(), {"perspective"}),
    "perspective": ({"id"}, {"panes", "views", "toolbar", "input"}),
    "panes": (set(), {"pane"}),
    "pane": ({"location", "divider", "orientation"}, set()),
    "views": (set(), {"view"}),
    "view": ({"id", "visible", "inframe", "stylebar", "location", "size", "window"}, set()),
    "toolbar": ({"show", "items"}, set()),
    "font": ({"size"}, set()),
    "euclidianView": (set(), {"viewNumber", "size", "coordSystem", "evSettings", "axis"}),
    "viewNumber": ({"viewNo"}, set()),
    "size": ({"width", "height"}, set()),
    "coordSystem": ({"xZero", "yZero", "scale", "yscale"}, set()),
    "evSettings": ({"axes", "grid", "pointCapturing"}, set()),
    "axis": ({"id", "show", "label", "showNumbers"}, set()),
    "kernel": (set(), {"continuous", "decimals"}),
    "continuous": ({"val"}, set()),
    "decimals": ({"val"}, set()),
    "construction": ({"title", "author", "date"}, {"expression", "command", "element"}),
    "expression": ({"label", "exp"}, set()),
    "command": ({"name"}, {"input", "output"}),
    "output": ({"a0"}, set()),
    "element": ({"type", "label"}, {
        "value", "slider", "show", "objColor", "labelMode", "animation", "absoluteScreenLocation", "lineStyle",
        "pointSize",
    }),
    "value": ({"val"}, set()),
    "slider": ({
        "min", "max", "absoluteScreenLocation", "width", "x", "y", "fixed", "horizontal", "showAlgebra",
    }, set()),
    "show": ({"object", "label", "ev"}, set()),
    "objColor": ({"r", "g", "b", "alpha"}, set()),
    "labelMode": ({"val"}, set()),
    "animation": ({"step", "type", "playing"}, set()),
    "absoluteScreenLocation": ({"x", "y"}, set()),
    "lineStyle": ({"thickness", "type"}, set()),
    "pointSize": ({"val"}, set()),
}  # fmt: skip
"""Attributes and children by element, as far as they are used: from "Common XML tags and types" of GeoGebra's reference
(geogebra.github.io/docs/reference), and from files that GeoGebra Classic 5.4.916 writes."""


@pytest.fixture(scope="module")
def root() -> ElementTree.Element:
    """The XML of a construction."""
    return geogebra_language.construction(construction(0.5, 0.9))


def hundredths(low: int, high: int) -> st.SearchStrategy[float]:
    """Return the values that a slider can have."""
    return st.integers(low, high).map(lambda number: number / 100)


PAIRS = {"α": hundredths(1, 1000), "c": hundredths(0, 99)}


@settings(max_examples=40, deadline=None)
@given(sliders=st.fixed_dictionaries({**PAIRS, "x_0": hundredths(-300, 300), "n": st.integers(1, 60)}))
def test_room_1_plots_descent_and_the_soft_update_of_one_network(
    root: ElementTree.Element, sliders: dict[str, float]
) -> None:
    shown = geogebra_language.values(root, sliders)
    alpha, c, start, steps = sliders["α"], sliders["c"], sliders["x_0"], int(sliders["n"])
    for name, rate in (
        ("plainPath", alpha),
        ("blendedPath", theory.blended_alpha(alpha, c)),
        ("smallerPath", theory.blended_alpha(alpha, c)),
    ):
        path = start * (1 - rate) ** np.arange(steps + 1)  # gradient descent on x²/2
        size = np.abs(start) * np.maximum(1, np.abs(1 - rate)) ** np.arange(steps + 1)
        assert np.all(np.abs(np.array(shown[name]) - path) <= 1e-9 * size)
        points = np.array(shown[f"{name}Points"])
        assert np.array_equal(points[:, 0], shown[name])
        assert np.allclose(points[:, 1], points[:, 0] ** 2 / 2, rtol=1e-12, atol=1e-300)
    words, number = shown["room1"]
    assert words == "Room 1, one network: α′ = (1 − c) α = "
    assert number == pytest.approx(theory.blended_alpha(alpha, c), rel=1e-12)
    assert shown["same"][1] <= 1e-9 * np.max(size)


RECURSION = {
    "a": hundredths(-200, 200),
    "b": hundredths(5, 300),
    "q_0": hundredths(-1000, 1000),
    "m": st.integers(2, 60),
}


@settings(max_examples=40, deadline=None)
@given(sliders=st.fixed_dictionaries({**PAIRS, **RECURSION}))
def test_room_2_plots_the_theorys_two_networks(root: ElementTree.Element, sliders: dict[str, float]) -> None:
    shown = geogebra_language.values(root, sliders)
    alpha, c, a, b, start = (sliders[name] for name in ("α", "c", "a", "b", "q_0"))
    steps, problem = int(sliders["m"]), theory.LinearTD.scalar(a, b)
    pair = problem.simulate(alpha, c, steps, q0=[start])
    single = problem.simulate(theory.blended_alpha(alpha, c), 0.0, steps, q0=[start])
    largest = np.maximum.accumulate(np.max(np.abs([pair.Q[:, 0], pair.T[:, 0], single.Q[:, 0]]), axis=0))
    for name, path in (("Q", pair.Q), ("T", pair.T), ("X", single.Q)):
        points = np.array(shown[name])
        assert np.array_equal(points[:, 0], np.arange(steps + 1))
        assert np.all(np.abs(points[:, 1] - path[:, 0]) <= 1e-9 * largest)
    predicted = float(theory.first_difference(lambda q, t: a * t - b * q, alpha, c, start))
    assert shown["difference"][1] == pytest.approx(predicted, abs=1e-9 * largest[2])


def test_the_sliders_begin_as_the_rooms_do(root: ElementTree.Element) -> None:
    shown, one, two = geogebra_language.values(root, {}), one_network.PathParameters(), two_networks.StepParameters()
    assert (shown["α"], shown["c"], shown["x_0"], shown["n"]) == (0.5, 0.9, one.x, one.steps)
    assert (shown["a"], shown["b"], shown["q_0"], shown["m"]) == (two.a, two.b, two.start, two_networks.run_length(0.9))
    assert shown["difference"][1] == pytest.approx(-0.00225, abs=1e-12)  # the number of the teachers' page


@settings(max_examples=40, deadline=None)
@given(decimals=st.integers(1, 6), thousands=st.integers(1, 50_000), c=st.integers(0, 9999))
def test_every_slider_reaches_its_first_value(decimals: int, thousands: int, c: int) -> None:
    tree = geogebra_language.construction(construction(thousands / 10**decimals, c / 10_000))
    shown = geogebra_language.values(tree, {})
    assert (shown["α"], shown["c"]) == (thousands / 10**decimals, c / 10_000)
    for element in tree.iterfind("construction/element[slider]"):
        slider, animation, value = element.find("slider"), element.find("animation"), shown[element.attrib["label"]]
        assert slider is not None
        assert animation is not None
        assert float(slider.attrib["min"]) <= value <= float(slider.attrib["max"])
        steps = value / float(animation.attrib["step"])
        assert steps == pytest.approx(round(steps), abs=1e-6)


def test_the_xml_has_the_documented_form(root: ElementTree.Element) -> None:
    for element in root.iter():
        if element.tag == "input":
            perspective = {"show", "cmd", "top"}
            assert set(element.attrib) <= perspective or set(element.attrib) <= {f"a{number}" for number in range(9)}
            continue
        attributes, children = FORM[element.tag]
        assert set(element.attrib) <= attributes, element.tag
        assert {child.tag for child in element} <= children, element.tag
        for name, value in element.attrib.items():
            if name in BOOLEANS and element.tag != "lineStyle":
                assert value in ("true", "false"), (element.tag, name)
            elif name in NUMBERS and element.tag != "continuous":
                float(value)
    labels = [element.attrib["label"] for element in root.iterfind("construction/element")]
    assert len(labels) == len(set(labels))


def test_equal_constructions_are_equal_files(tmp_path: Path) -> None:
    for name in ("one.ggb", "two.ggb"):
        write_construction(tmp_path / name, 0.3, 0.7)
    assert (tmp_path / "one.ggb").read_bytes() == (tmp_path / "two.ggb").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.ggb") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["geogebra.xml"]


def test_it_needs_neither_jax_nor_polars_nor_plotly(tmp_path: Path) -> None:
    blocked = "import sys; sys.modules |= dict.fromkeys(['jax', 'polars', 'plotly', 'gymnasium', 'PIL', 'starlette'])"
    write = "from pathlib import Path; from softstep.explorer.geogebra import write_construction as w"
    code = f"{blocked}; {write}; w(Path('x.ggb'), .5, .9)"
    paths = os.environ | {"PYTHONPATH": str(Path(softstep.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=paths, check=True)
    assert (tmp_path / "x.ggb").exists()


# ---- the command ----


def theory_command(tmp_path: Path, *more: str) -> int:
    return main(["theory", "--alpha", "0.5", "--c", "0.9", "--out", str(tmp_path / "page.html"), *more])


def test_the_command_writes_the_page_and_the_construction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new folder" / "rooms.ggb"
    assert theory_command(tmp_path, "--geogebra", str(file)) == 0
    assert f"GeoGebra: {file}" in capsys.readouterr().out.splitlines()
    assert (tmp_path / "page.html").exists()
    assert geogebra_language.values(geogebra_language.construction(file.read_bytes()), {})["c"] == 0.9


def test_a_wrong_name_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken, blocked = tmp_path / "taken.ggb", tmp_path / "file"
    taken.write_text("mine")
    blocked.write_text("")
    for name, message in (
        (taken, f"--geogebra {taken} exists already: choose another name, or delete it"),
        (
            tmp_path / "rooms.xml",
            f"--geogebra {tmp_path}/rooms.xml must end in .ggb, by which GeoGebra knows its files",
        ),
        (blocked / "rooms.ggb", f"cannot write {blocked}/rooms.ggb: "),
    ):
        assert theory_command(tmp_path, "--geogebra", str(name)) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert message in printed.err
    assert taken.read_text() == "mine"
    assert not (tmp_path / "page.html").exists()


def test_a_pair_out_of_range_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rooms.ggb"
    assert main(["theory", "--alpha", "0.5", "--c", "1.5", "--geogebra", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not file.exists()
