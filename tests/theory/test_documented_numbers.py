"""Every number in docs/theory.md is what the expression behind it computes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from digits import agrees

from softstep import theory
from softstep.target import TargetUpdate
from softstep.theory import one_dimension, problems

TEXT = (Path(__file__).parents[2] / "docs" / "theory.md").read_text(encoding="utf-8")
NUMBER = r"[−-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e-?\d+)?"
ANNOTATED = re.findall(rf"({NUMBER})<!-- (.+?) -->", TEXT)
NAMES = {
    **{name: getattr(theory, name) for name in theory.__all__},
    **{name: getattr(problems, name) for name in problems.NAMED},
    **{name: getattr(one_dimension, name) for name in ("alpha_max", "effective_alpha", "variance", "ratios")},
    "scalar": theory.LinearTD.scalar,
    "soft": TargetUpdate.from_c,
}


@pytest.mark.parametrize(("written", "expression"), ANNOTATED, ids=[expression for _, expression in ANNOTATED])
def test_number(written, expression):
    assert agrees(eval(expression, dict(NAMES)), written.replace("−", "-"))


def test_no_computed_number_is_without_its_expression():
    """Anything with four significant digits or more is a result, unless it is a year."""
    bare = re.sub(rf"{NUMBER}<!-- .+? -->", "", TEXT)
    results = [n for n in re.findall(NUMBER, bare) if len(re.sub(r"\D", "", n).lstrip("0")) >= 4]
    assert [n for n in results if not re.fullmatch(r"(19|20)\d\d", n)] == []
    assert len(ANNOTATED) > 40
