"""Every number in docs/theory.md equals the value of the expression in the comment behind it."""

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
def test_a_number_equals_its_expression(written, expression):
    assert agrees(eval(expression, dict(NAMES)), written.replace("−", "-"))


def test_every_computed_number_has_an_expression():
    """A number of four or more significant digits is a computed result, unless it is a year or a slider's place."""
    unannotated = re.sub(rf"{NUMBER}<!-- .+? -->|<!-- room: .+? -->", "", TEXT)
    results = [n for n in re.findall(NUMBER, unannotated) if len(re.sub(r"\D", "", n).lstrip("0")) >= 4]
    assert [n for n in results if not re.fullmatch(r"(19|20)\d\d", n)] == []
    assert len(ANNOTATED) > 40
