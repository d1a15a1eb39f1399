"""Expression trees that can be evaluated on NumPy arrays, differentiated exactly and written as Python.

They are never run as code. Derivatives follow the sum, product, quotient and chain rules. Shared nodes stay shared, so
a derivative grows no faster than its expression.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

LONGEST_PYTHON = 2000
"""Largest number of characters of an expression written as Python."""

Unary = Callable[[Any], Any]
FUNCTIONS: Mapping[str, Unary] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs,
    "tanh": np.tanh, "cosh": np.cosh, "sinh": np.sinh, "sign": np.sign,
}  # fmt: skip
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}


class FormulaError(ValueError):
    """An invalid formula, or one that is too long; the message says in one line what to change."""


class Expression(NamedTuple):
    """A node: a number, a variable, or an operation on other nodes, which may be shared between parents."""

    kind: str
    parts: tuple[Any, ...]

    def __call__(self, **variables: Any) -> Any:
        """Evaluate at numbers or arrays x (and y); outside its domain the value is not finite, without a warning."""
        return evaluator(self)(**variables)[0]

    def derivative(self, variable: str) -> Expression:
        """Return the exact partial derivative (almost everywhere for abs)."""
        return _derivative(self, variable, {})

    def variables(self) -> set[str]:
        """Return the names of the variables in the expression."""
        return {str(node.parts[0]) for node in ordered(self) if node.kind == "variable"}

    def python(self) -> str:
        """Return the expression as Python with NumPy; FormulaError if it exceeds `LONGEST_PYTHON` characters."""
        return _python(self)


# ---- constructors, with the simplest rules of algebra ----


def number(value: float) -> Expression:
    """Return a constant."""
    return Expression("number", (float(value),))


def _is(node: Expression, value: float) -> bool:
    return node.kind == "number" and node.parts[0] == value


def operation(kind: str, left: Expression, right: Expression) -> Expression:
    """Return `left kind right`, simplified if an operand is 0 or 1."""
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
    """Return the function `name` applied to `inner`."""
    return Expression("call", (name, inner))


# ---- derivatives ----


def _outer_derivative(name: str, u: Expression) -> Expression:
    """Return φ′(u) for the function φ with that name."""
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
    """Return d node / dx; each shared node is differentiated only once, so its derivative is shared too."""
    if id(node) not in known:
        known[id(node)] = _rule(node, x, lambda part: _derivative(part, x, known))
    return known[id(node)]


def _rule(node: Expression, x: str, d: Callable[[Expression], Expression]) -> Expression:
    """Apply the rule for this kind of node; `d` differentiates a part."""
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
        first = operation("/", d(u), v) if not _is(d(u), 0.0) else number(0)
        if _is(d(v), 0.0):
            return first
        return operation("-", first, operation("/", operation("*", u, d(v)), operation("^", v, number(2))))
    return _power_rule(node, u, v, d)


def _power_rule(node: Expression, u: Expression, v: Expression, d: Callable[[Expression], Expression]) -> Expression:
    """Return (uᵛ)′ = v·uᵛ⁻¹·u′ + uᵛ·log(u)·v′."""
    if v.kind == "number":
        lower = operation("*", v, operation("^", u, number(v.parts[0] - 1)) if v.parts[0] != 1 else number(1))
    else:
        lower = operation("*", v, operation("^", u, operation("-", v, number(1))))
    first = operation("*", lower, d(u))
    if _is(d(v), 0.0):
        return first
    return operation("+", first, operation("*", operation("*", node, call("log", u)), d(v)))


# ---- evaluation and output ----


def ordered(*roots: Expression) -> list[Expression]:
    """Return every node once, parts before the nodes that contain them."""
    nodes: list[Expression] = []
    seen: set[int] = set()

    def visit(node: Expression) -> None:
        if id(node) not in seen:
            seen.add(id(node))
            for part in node.parts:
                if isinstance(part, Expression):
                    visit(part)
            nodes.append(node)

    for root in roots:
        visit(root)
    return nodes


_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
}  # fmt: skip


def evaluator(*roots: Expression) -> Callable[..., list[Any]]:
    """Return a function from the variables to the value of each root; it computes shared nodes once.

    The nodes are put in order here, so that repeated calls do not sort them again.
    """
    nodes = ordered(*roots)
    indices = {id(node): i for i, node in enumerate(nodes)}
    program = [
        (FUNCTIONS[node.parts[0]] if node.kind == "call" else _OPERATORS.get(node.kind), node.parts,
         [indices[id(part)] for part in node.parts if isinstance(part, Expression)])
        for node in nodes
    ]  # fmt: skip

    def evaluate(**variables: Any) -> list[Any]:
        known = {name: np.asarray(value, float)[()] for name, value in variables.items()}
        values: list[Any] = []
        with np.errstate(all="ignore"):
            for apply, parts, sources in program:
                if apply is not None:
                    values.append(apply(*(values[i] for i in sources)))
                else:
                    values.append(known[parts[0]] if isinstance(parts[0], str) else np.float64(parts[0]))
        return [values[indices[id(root)]] for root in roots]

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
            raise FormulaError("the formula is too long to write as Python: use a shorter one")
        texts[id(node)] = text
    text = texts[id(root)]
    return text[1:-1] if root.kind in _OPERATORS else text
