"""The explanation agrees with the numbers it is made of; the page is complete and self-contained."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from softstep import theory
from softstep.report import theory_page
from softstep.theory import problems


def test_without_a_problem():
    explanation = theory.explain(1e-3, 0.999)
    assert explanation.numbers["blended_alpha"] == pytest.approx(1e-6)
    assert explanation.numbers["hard_period"] == 1999
    assert explanation.numbers["effective_alpha"] == theory.one_dimension.effective_alpha(1e-3, 0.999, 0.99, 1.0)
    assert set(explanation.numbers["named"]) == set(problems.NAMED)
    for phrase in (
        "0.000501505786",
        "every 1999 steps",
        "The target delays steps; it does not shrink them",
        "only_target",
    ):
        assert phrase in str(explanation)
    line = next(line for line in explanation.text.splitlines() if "only_target" in line)
    assert re.search(r"with the target converges +without diverges", line)


def test_with_a_problem_by_name_or_as_an_object():
    by_name, as_object = theory.explain(0.1, 0.9, "only_target"), theory.explain(0.1, 0.9, problems.only_target())
    numbers = by_name.numbers
    assert numbers["radius"] == as_object.numbers["radius"] == problems.only_target().spectral_radius(0.1, 0.9)
    assert numbers["stable_c"] == problems.only_target().stable_c(0.1)
    assert np.isnan(numbers["effective_alpha"])
    assert "no single network has this rate" in by_name.text
    assert "(0.862137092312, 1)" in by_name.text
    assert "your problem" in as_object.text


def test_extreme_pairs():
    assert "every frequency keeps more than half its power" in theory.explain(0.1, 0.0).text
    assert "nowhere" in theory.explain(0.1, 0.5, "neither").text
    assert "could be missed" in theory.explain(0.1, 0.5, problems.random_mdp(0, 20, 11, on_policy=True)).text
    assert theory.explain(5.0, 0.9).numbers["alpha_max"] < 5  # unstable in one dimension: ratios are left out


def test_the_page_is_self_contained(tmp_path):
    result = theory_page.run(0.1, 0.9, "only_target", out=tmp_path / "deep" / "page.html")
    text = result.page.read_text(encoding="utf-8")
    own_text = text.replace(theory_page.plotly.offline.get_plotlyjs(), "")
    assert not re.search(r"""(src|href)=["']|@import|url\(""", own_text)
    assert text.count("plotly.js v") == 1
    assert own_text.count("Plotly.newPlot") == 4
    assert result.text.splitlines()[0] in own_text


@pytest.mark.parametrize(
    ("alpha", "c", "name"), [(1e-3, 0.999, "baird"), (0.5, 0.0, "target_destroys"), (9.0, 0.9, "both")]
)
def test_figures_contain_the_numbers_of_the_theory(alpha, c, name):
    problem = problems.by_name(name)
    heat = theory_page.map_figure(alpha, c, problem).data[0]
    i, j = 40, 20
    weight = 1 - heat.y[i] * heat.x[j]
    assert weight > 0
    assert heat.z[i][j] == pytest.approx((problem.spectral_radius(heat.x[j], weight) - 1) / heat.x[j], rel=1e-9)
    boundary = next((t for t in theory_page.map_figure(alpha, c, problem).data if t.name == "exact boundary"), None)
    if boundary is not None:
        rho = problem.spectral_radius(boundary.x, 1 - boundary.y * boundary.x)
        np.testing.assert_allclose(rho, 1, atol=1e-9)
    ledger = theory_page.ledger_figure(c).data[0]
    np.testing.assert_allclose(ledger.y, 1 - c ** np.asarray(ledger.x, dtype=float))
    single = theory_page.noise_figure(alpha, c, problem).data[0]
    assert len(single.x) > 0
    assert (np.diff(single.y) > 0).all()


def test_problem_from_a_file(tmp_path):
    path = tmp_path / "mdp.json"
    mdp = problems.only_target().mdp
    path.write_text(json.dumps({k: np.asarray(v).tolist() for k, v in mdp._asdict().items()}))
    assert theory_page.run(0.1, 0.9, mdp_file=path).numbers["radius"] == problems.only_target().spectral_radius(
        0.1, 0.9
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory_page.run(0.1, 1.0), "c = 1"),
        (lambda: theory_page.run(0.0, 0.5), "alpha"),
        (lambda: theory_page.run(0.1, 0.5, "bothh"), "unknown"),
        (lambda: theory_page.run(0.1, 0.5, "both", "file.json"), "not both"),
        (lambda: theory_page.run(0.1, 0.5, mdp_file="nowhere.json"), "nowhere"),
    ],
)
def test_bad_input_raises_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
