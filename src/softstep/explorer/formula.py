"""A loss of one's own as text: read by a small parser, differentiated as a tree, and never run as code.

    x^2/2 + 0.3*sin(3x)        numbers, x, y, pi, e, + - * / ^ ( ), and the functions below; 3x means 3*x

`parse` gives an `Expression`, which can be evaluated on NumPy arrays, differentiated exactly (sum, product, quotient
and chain rule), and written as Python.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

LONGEST = 120
"""Characters."""
DEEPEST = 24
"""Brackets, powers and signs within each other."""
LONGEST_PYTHON = 2000
"""Characters of an expression written as Python."""

Unary = Callable[[Any], Any]
FUNCTIONS: Mapping[str, Unary] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs,
    "tanh": np.tanh, "cosh": np.cosh, "sinh": np.sinh, "sign": np.sign,
}  # fmt: skip
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}


class FormulaError(ValueError):
    """A text that is no formula: one line that says where and why."""


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
        return {str(node.parts[0]) for node in _ordered(self) if node.kind == "variable"}

    def python(self) -> str:
        """The expression in Python with NumPy. FormulaError where that would be very long."""
        return _python(self)


# ---- building, with the simplest rules of algebra ----


def number(value: float) -> Expression:
    return Expression("number", (float(value),))


def _is(node: Expression, value: float) -> bool:
    return node.kind == "number" and node.parts[0] == value


def _operation(kind: str, left: Expression, right: Expression) -> Expression:
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


def _call(name: str, inner: Expression) -> Expression:
    return Expression("call", (name, inner))


# ---- derivatives ----


def _outer_derivative(name: str, u: Expression) -> Expression:
    """φ′(u) of the function φ named."""
    one = number(1)
    rules: Mapping[str, Callable[[], Expression]] = {
        "sin": lambda: _call("cos", u),
        "cos": lambda: _operation("*", number(-1), _call("sin", u)),
        "tan": lambda: _operation("+", one, _operation("^", _call("tan", u), number(2))),
        "exp": lambda: _call("exp", u),
        "log": lambda: _operation("/", one, u),
        "sqrt": lambda: _operation("/", number(0.5), _call("sqrt", u)),
        "abs": lambda: _call("sign", u),
        "tanh": lambda: _operation("-", one, _operation("^", _call("tanh", u), number(2))),
        "cosh": lambda: _call("sinh", u),
        "sinh": lambda: _call("cosh", u),
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
        return number(0) if _is(slope, 0.0) else _operation("*", _outer_derivative(name, inner), slope)
    u, v = node.parts
    if node.kind in "+-":
        return _operation(node.kind, d(u), d(v))
    if node.kind == "*":
        return _operation("+", _operation("*", d(u), v), _operation("*", u, d(v)))
    if node.kind == "/":
        whole = _operation("/", d(u), v) if not _is(d(u), 0.0) else number(0)
        if _is(d(v), 0.0):
            return whole
        return _operation("-", whole, _operation("/", _operation("*", u, d(v)), _operation("^", v, number(2))))
    return _power_rule(node, u, v, d)


def _power_rule(node: Expression, u: Expression, v: Expression, d: Callable[[Expression], Expression]) -> Expression:
    """(uᵛ)′ = v·uᵛ⁻¹·u′ + uᵛ·log(u)·v′."""
    if v.kind == "number":
        lower = _operation("*", v, _operation("^", u, number(v.parts[0] - 1)) if v.parts[0] != 1 else number(1))
    else:
        lower = _operation("*", v, _operation("^", u, _operation("-", v, number(1))))
    first = _operation("*", lower, d(u))
    if _is(d(v), 0.0):
        return first
    return _operation("+", first, _operation("*", _operation("*", node, _call("log", u)), d(v)))


# ---- evaluating and writing ----


def _ordered(*roots: Expression) -> list[Expression]:
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
    nodes = _ordered(*roots)
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
            for operation, parts, sources in program:
                if operation is not None:
                    values.append(operation(*(values[i] for i in sources)))
                else:
                    values.append(known[parts[0]] if isinstance(parts[0], str) else np.float64(parts[0]))
        return [values[places[id(root)]] for root in roots]

    return evaluate


def _python(root: Expression) -> str:
    texts: dict[int, str] = {}
    for node in _ordered(root):
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


# ---- reading ----

_TYPED = {ord("−"): "-", ord("·"): "*", ord("×"): "*", ord("²"): "^2", ord("³"): "^3"}
_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z]+)|(\*\*|[-+*/^()]))")


def parse(text: str, variables: tuple[str, ...] = ("x",)) -> Expression:
    """The expression that `text` writes, in these variables. FormulaError with one line where it is none."""
    if len(text) > LONGEST:
        raise FormulaError(f"{len(text)} characters are too many: use at most {LONGEST}")
    reader = _Reader(_tokens(text), variables)
    result = reader.sum(0)
    if reader.token:
        raise FormulaError(f"did not expect {reader.token!r}: put an operator such as + or * before it")
    return result


def _tokens(text: str) -> list[str]:
    plain = text.translate(_TYPED).rstrip()
    if not plain:
        raise FormulaError("is empty: write a formula such as x^2/2")
    tokens, place = [], 0
    while place < len(plain):
        match = _TOKEN.match(plain, place)
        if match is None:
            raise FormulaError(f"does not know {plain[place:].strip()[:1]!r}: use numbers, x, + - * / ^ and brackets")
        tokens.append(match.group().strip())
        place = match.end()
    return tokens


class _Reader:
    """Recursive descent: sum → product → sign → power → atom. Functions and names bind as in mathematics."""

    def __init__(self, tokens: list[str], variables: tuple[str, ...]) -> None:
        self.tokens, self.place, self.variables = tokens, 0, variables

    @property
    def token(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        token = self.token
        self.place += 1
        return token

    def sum(self, depth: int) -> Expression:
        result = self.product(depth)
        while self.token in ("+", "-"):
            result = _operation(self.take(), result, self.product(depth))
        return result

    def product(self, depth: int) -> Expression:
        result = self.signed(depth)
        while self.token in ("*", "/") or self.starts_atom():
            sign = self.take() if self.token in ("*", "/") else "*"
            result = _operation(sign, result, self.signed(depth))
        return result

    def starts_atom(self) -> bool:
        """Whether a factor follows without a sign, as in 3x or 2(x+1)."""
        return self.token == "(" or self.token[:1].isalpha()

    def signed(self, depth: int) -> Expression:
        _check_depth(depth)
        if self.token == "-":
            self.take()
            return _operation("*", number(-1), self.signed(depth + 1))
        if self.token == "+":
            self.take()
            return self.signed(depth + 1)
        return self.power(depth)

    def power(self, depth: int) -> Expression:
        base = self.atom(depth)
        if self.token in ("^", "**"):
            self.take()
            return _operation("^", base, self.signed(depth + 1))
        return base

    def atom(self, depth: int) -> Expression:
        token = self.take()
        if token == "(":
            inner = self.sum(depth + 1)
            if self.take() != ")":
                raise FormulaError("a bracket is not closed: add )")
            return inner
        if token[:1].isalpha():
            return self.name(token, depth)
        if token[:1].isdigit() or token[:1] == ".":
            return _finite(token)
        raise FormulaError(f"did not expect {token!r}: a number, x or ( is missing" if token else "ends too early")

    def name(self, token: str, depth: int) -> Expression:
        if token in self.variables:
            return Expression("variable", (token,))
        if token in CONSTANTS:
            return number(CONSTANTS[token])
        if token not in FUNCTIONS:
            known = ", ".join((*self.variables, *CONSTANTS, *FUNCTIONS))
            raise FormulaError(f"does not know {token[:12]!r}: known are {known}")
        if self.token != "(":
            raise FormulaError(f"needs brackets after {token}: write {token}(x)")
        return _call(token, self.atom(depth))


def _check_depth(depth: int) -> None:
    if depth > DEEPEST:
        raise FormulaError(f"is nested more than {DEEPEST} deep: simplify it")


def _finite(token: str) -> Expression:
    value = float(token)
    if not math.isfinite(value):
        raise FormulaError(f"{token[:12]} is too large a number")
    return number(value)
