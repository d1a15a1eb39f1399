"""Formulas that users type: exact derivatives, and a parser that returns an expression or a one-line error."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from softstep.explorer.rooms import expression, formula
from softstep.explorer.rooms.formula import FormulaError, parse

SMOOTH = ("sin", "cos", "exp", "tanh", "cosh", "sinh")


def formulas() -> st.SearchStrategy[str]:
    """Generate smooth formulas in x and y."""
    leaves = st.sampled_from(["x", "y", "2", "0.5", "pi", "3x", "(x+y)"])

    def combine(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pair = st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})")
        quotient = inner.map(lambda f: f"(x/(2 + ({f})^2))")
        power = st.tuples(inner, st.sampled_from("23")).map(lambda p: f"({p[0]})^{p[1]}")
        call = st.tuples(st.sampled_from(SMOOTH), inner).map(lambda p: f"{p[0]}({p[1]}/4)")
        root = inner.map(lambda f: f"sqrt(1 + ({f})^2)")
        return pair | quotient | power | call | root

    return st.recursive(leaves, combine, max_leaves=5).filter(lambda text: len(text) <= formula.LONGEST)


@pytest.mark.parametrize("outer", ["", *SMOOTH])
@given(formulas(), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5), st.sampled_from("xy"))
@settings(max_examples=40)
def test_derivatives_agree_with_finite_differences(outer, text, x, y, variable):
    formula_text = f"{outer}(({text})/4 + x/3 + y/2)"
    assume(len(formula_text) <= formula.LONGEST)
    tree, h = parse(formula_text, ("x", "y")), 1e-5
    above, below = (tree(**{"x": x, "y": y, variable: {"x": x, "y": y}[variable] + sign * h}) for sign in (1, -1))
    third = tree.derivative(variable).derivative(variable).derivative(variable)(x=x, y=y)
    scale = max(abs(float(above)), 1.0)
    assume(np.isfinite([above, below, third]).all())
    tolerance = 1e-9 * scale / h * 1e-1 + abs(float(third)) * h**2 + 1e-7 * scale
    assume(tolerance < 1e-3 * scale)
    assert float(tree.derivative(variable)(x=x, y=y)) == pytest.approx((above - below) / (2 * h), abs=10 * tolerance)


@pytest.mark.parametrize(
    ("text", "slope"),
    [
        ("x^2/2 + 0.3*sin(3x)", lambda x: x + 0.9 * np.cos(3 * x)),
        ("log(x)", lambda x: 1 / x),
        ("cos(2x)", lambda x: -2 * np.sin(2 * x)),
        ("cosh(x) + sinh(2x)", lambda x: np.sinh(x) + 2 * np.cosh(2 * x)),
        ("tanh(x)", lambda x: 1 / np.cosh(x) ** 2),
        ("sqrt(x)", lambda x: 0.5 / np.sqrt(x)),
        ("tan(x)", lambda x: 1 + np.tan(x) ** 2),
        ("abs(x)", np.sign),
        ("x^x", lambda x: x**x * (np.log(x) + 1)),
        ("2^x", lambda x: 2**x * np.log(2)),
        ("x/(1+x)", lambda x: 1 / (1 + x) ** 2),
        ("5/x", lambda x: -5 / x**2),
        ("e^(-x)", lambda x: -np.exp(-x)),
    ],
)
def test_derivatives_in_closed_form(text, slope):
    x = np.linspace(0.2, 1.4, 7)
    computed = np.broadcast_to(parse(text).derivative("x")(x=x), x.shape)
    np.testing.assert_allclose(computed, slope(x), rtol=1e-13)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-x^2", -4.0), ("2^3^2", 512.0), ("3x", 6.0), ("2(x+1)", 6.0), ("x(x)", 4.0), ("1/2x", 1.0), ("-2^-2", -0.25),
        ("2e", 2 * np.e), ("1e2", 100.0), (".5x", 1.0), ("x**3", 8.0), ("sin(x)^2 + cos(x)^2", 1.0), ("3−x", 1.0),
        ("x²", 4.0), ("--x", 2.0), ("+x", 2.0), ("x - -x", 4.0), ("6/2/3", 1.0), ("5-3-1", 1.0),
    ],
)  # fmt: skip
def test_signs_powers_and_juxtaposition_bind_as_in_mathematics(text, value):
    assert float(parse(text)(x=2.0)) == pytest.approx(value, rel=1e-14)


def parse_or_error(text: str) -> tuple[expression.Expression, str]:
    """Return the expression and "", or the constant 0 and the error."""
    try:
        return parse(text), ""
    except FormulaError as error:
        return expression.number(0), str(error)


@given(st.text(max_size=150) | st.text("x0123456789.+-*/^() sincoexplogtaqrbh", max_size=150))
def test_the_parser_returns_an_expression_or_a_one_line_error(text):
    tree, reason = parse_or_error(text)
    assert "\n" not in reason
    assert len(reason) < 200
    tree.derivative("x").derivative("x")(x=np.linspace(-1, 1, 3))


@given(formulas(), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
def test_a_formula_written_as_python_has_the_same_value(text, x, y):
    tree = parse(text, ("x", "y"))
    with np.errstate(all="ignore"):
        assert eval(tree.python(), {"np": np, "x": np.float64(x), "y": np.float64(y)}) == tree(x=x, y=y)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is empty"), ("x +", "ends too early"), ("sin x", "needs brackets"), ("(x", "not closed"), ("x)", "')'"),
        ("x y z", "unknown name 'y'"), ("__import__('os')", "unknown character '_'"), ("x" * 200, "at most 120"),
        ("(" * 30 + "x" + ")" * 30, "nested"), ("-" * 60 + "x", "nested"), ("2 3", "'3'"), ("1e999", "too large"),
        ("lambda", "unknown name 'lambda'"), ("x.real", "unknown character '.'"), ("x;x", "';'"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(text, part):
    with pytest.raises(FormulaError, match=re.escape(part)):
        parse(text)


def test_no_text_is_run_as_code():
    """The modules use neither eval, exec, compile nor ast."""
    source = "".join(Path(str(module.__file__)).read_text("utf-8") for module in (formula, expression))
    forbidden = {"eval(", "exec(", "compile(", "import ast", "__import__", "getattr("}
    assert not [name for name in forbidden if name in source.replace("re.compile(", "")]


def test_a_formula_outside_its_domain_is_not_finite_and_does_not_warn(recwarn):
    tree = parse("log(x) + 1/x + sqrt(x)")
    assert not np.isfinite(tree(x=np.array([-1.0, 0.0]))).any()
    assert not recwarn.list


def test_the_second_derivative_of_a_long_product_stays_small():
    """Shared nodes are differentiated once, so the expression does not grow exponentially."""
    tree = parse("x" + "*x" * 50)
    assert float(tree.derivative("x").derivative("x")(x=1.0)) == 51 * 50
    assert len(expression.ordered(tree.derivative("x").derivative("x"))) < 2000
