"""Expressions as trees: evaluated on NumPy arrays, differentiated exactly, written as Python; never run as code.

The derivative is that of the sum, product, quotient and chain rule; nodes that are shared stay shared, so that it grows
no faster than the expression.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

LONGEST_PYTHON = 2000
"""Characters of an expression written as Python."""

Unary = Callable[[Any], Any]
FUNCTIONS: Mapping[str, Unary] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs,
    "tanh": np.tanh, "cosh": np.cosh, "sinh": np.sinh, "sign": np.sign,
}  # fmt: skip
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}


class FormulaError(ValueError):
    """A text that is no formula, or too long a one: one line that says where and why."""


class Expression(NamedTuple):
    """A node: a number, a variable, or an operation on other nodes, which may be shared."""

    kind: str
    parts: tuple[Any, ...]

    def __call__(self, **variables: Any) -> Any:
        """The value where x (and y) are numbers or arrays; nan or infinite outside its domain, without a warning."""
        return evaluator(self)(**variables)[0]

    def derivative(self, variable: str) -> Expression:
        """The exact partial derivative (almost everywhere for abs)."""
        return _derivative(self, variable, {})

    def variables(self) -> set[str]:
        """The variables it depends on."""
        return {str(node.parts[0]) for node in ordered(self) if node.kind == "variable"}

    def python(self) -> str:
        """The expression in Python with NumPy. FormulaError where that would be very long."""
        return _python(self)


# ---- building, with the simplest rules of algebra ----


def number(value: float) -> Expression:
    return Expression("number", (float(value),))


def _is(node: Expression, value: float) -> bool:
    return node.kind == "number" and node.parts[0] == value


def operation(kind: str, left: Expression, right: Expression) -> Expression:
    """left kind right; sums with 0 and products with 0 or 1 disappear."""
    if kind in "+-" and _is(right, 0.0):
        return left
    if kind == "+" and _is(left, 0.0):
        return right
    if kind == "*" and (_is(left, 0.0) or _is(right, 0.0)):
        return number(0)
    if kind == "*" and _is(left, 1.0):
        return right
    if kind in "*/^" and _is(right, 1.0):
        return left
    return Expression(kind, (left, right))


def call(name: str, inner: Expression) -> Expression:
    return Expression("call", (name, inner))


# ---- derivatives ----


def _outer_derivative(name: str, u: Expression) -> Expression:
    """φ′(u) of the function φ named."""
    one = number(1)
    rules: Mapping[str, Callable[[], Expression]] = {
        "sin": lambda: call("cos", u),
        "cos": lambda: operation("*", number(-1), call("sin", u)),
        "tan": lambda: operation("+", one, operation("^", call("tan", u), number(2))),
        "exp": lambda: call("exp", u),
        "log": lambda: operation("/", one, u),
        "sqrt": lambda: operation("/", number(0.5), call("sqrt", u)),
        "abs": lambda: call("sign", u),
        "tanh": lambda: operation("-", one, operation("^", call("tanh", u), number(2))),
        "cosh": lambda: call("sinh", u),
        "sinh": lambda: call("cosh", u),
        "sign": lambda: number(0),
    }
    return rules[name]()


def _derivative(node: Expression, x: str, known: dict[int, Expression]) -> Expression:
    """d node / dx; nodes that are shared are differentiated once, so that sharing survives."""
    if id(node) not in known:
        known[id(node)] = _rule(node, x, lambda part: _derivative(part, x, known))
    return known[id(node)]


def _rule(node: Expression, x: str, d: Callable[[Expression], Expression]) -> Expression:
    if node.kind == "number":
        return number(0)
    if node.kind == "variable":
        return number(1 if node.parts[0] == x else 0)
    if node.kind == "call":
        name, inner = node.parts
        slope = d(inner)
        return number(0) if _is(slope, 0.0) else operation("*", _outer_derivative(name, inner), slope)
    u, v = node.parts
    if node.kind in "+-":
        return operation(node.kind, d(u), d(v))
    if node.kind == "*":
        return operation("+", operation("*", d(u), v), operation("*", u, d(v)))
    if node.kind == "/":
        whole = operation("/", d(u), v) if not _is(d(u), 0.0) else number(0)
        if _is(d(v), 0.0):
            return whole
        return operation("-", whole, operation("/", operation("*", u, d(v)), operation("^", v, number(2))))
    return _power_rule(node, u, v, d)


def _power_rule(node: Expression, u: Expression, v: Expression, d: Callable[[Expression], Expression]) -> Expression:
    """(uᵛ)′ = v·uᵛ⁻¹·u′ + uᵛ·log(u)·v′."""
    if v.kind == "number":
        lower = operation("*", v, operation("^", u, number(v.parts[0] - 1)) if v.parts[0] != 1 else number(1))
    else:
        lower = operation("*", v, operation("^", u, operation("-", v, number(1))))
    first = operation("*", lower, d(u))
    if _is(d(v), 0.0):
        return first
    return operation("+", first, operation("*", operation("*", node, call("log", u)), d(v)))


# ---- evaluating and writing ----


def ordered(*roots: Expression) -> list[Expression]:
    """Every node once, parts before what is made of them."""
    found: list[Expression] = []
    seen: set[int] = set()

    def visit(node: Expression) -> None:
        if id(node) not in seen:
            seen.add(id(node))
            for part in node.parts:
                if isinstance(part, Expression):
                    visit(part)
            found.append(node)

    for root in roots:
        visit(root)
    return found


_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
}  # fmt: skip


def evaluator(*roots: Expression) -> Callable[..., list[Any]]:
    """A function of the variables that gives the value of each root, nodes that are shared computed once.

    The order of the nodes is found here, so that a path of many steps does not find it again.
    """
    nodes = ordered(*roots)
    places = {id(node): i for i, node in enumerate(nodes)}
    program = [
        (FUNCTIONS[node.parts[0]] if node.kind == "call" else _OPERATORS.get(node.kind), node.parts,
         [places[id(part)] for part in node.parts if isinstance(part, Expression)])
        for node in nodes
    ]  # fmt: skip

    def evaluate(**variables: Any) -> list[Any]:
        known = {name: np.asarray(value, float)[()] for name, value in variables.items()}
        values: list[Any] = []
        with np.errstate(all="ignore"):
            for act, parts, sources in program:
                if act is not None:
                    values.append(act(*(values[i] for i in sources)))
                else:
                    values.append(known[parts[0]] if isinstance(parts[0], str) else np.float64(parts[0]))
        return [values[places[id(root)]] for root in roots]

    return evaluate


def _python(root: Expression) -> str:
    texts: dict[int, str] = {}
    for node in ordered(root):
        if node.kind in ("number", "variable"):
            text = str(node.parts[0]) if node.kind == "variable" else repr(node.parts[0]).removesuffix(".0")
            text = f"({text})" if text.startswith("-") else text
        elif node.kind == "call":
            text = f"np.{node.parts[0]}({texts[id(node.parts[1])]})"
        else:
            left, right = (texts[id(part)] for part in node.parts)
            text = f"({left} {'**' if node.kind == '^' else node.kind} {right})"
        if len(text) > LONGEST_PYTHON:
            raise FormulaError("too long to write out: use a shorter formula")
        texts[id(node)] = text
    whole = texts[id(root)]
    return whole[1:-1] if root.kind in _OPERATORS else whole
