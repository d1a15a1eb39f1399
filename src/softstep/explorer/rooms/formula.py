"""A loss of one's own as text, read by a small parser: recursive descent, no eval.

x^2/2 + 0.3*sin(3x)        numbers, x, y, pi, e, + - * / ^ ( ), and the functions in `FUNCTIONS`; 3x means 3*x
"""

from __future__ import annotations

import math
import re

from softstep.explorer.rooms.expression import CONSTANTS, FUNCTIONS, Expression, FormulaError, call, number, operation

__all__ = ["DEEPEST", "LONGEST", "FormulaError", "parse"]

LONGEST = 120
"""Characters."""
DEEPEST = 24
"""Brackets, powers and signs within each other."""

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
            result = operation(self.take(), result, self.product(depth))
        return result

    def product(self, depth: int) -> Expression:
        result = self.signed(depth)
        while self.token in ("*", "/") or self.starts_atom():
            sign = self.take() if self.token in ("*", "/") else "*"
            result = operation(sign, result, self.signed(depth))
        return result

    def starts_atom(self) -> bool:
        """Whether a factor follows without a sign, as in 3x or 2(x+1)."""
        return self.token == "(" or self.token[:1].isalpha()

    def signed(self, depth: int) -> Expression:
        _check_depth(depth)
        if self.token == "-":
            self.take()
            return operation("*", number(-1), self.signed(depth + 1))
        if self.token == "+":
            self.take()
            return self.signed(depth + 1)
        return self.power(depth)

    def power(self, depth: int) -> Expression:
        base = self.atom(depth)
        if self.token in ("^", "**"):
            self.take()
            return operation("^", base, self.signed(depth + 1))
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
        return call(token, self.atom(depth))


def _check_depth(depth: int) -> None:
    if depth > DEEPEST:
        raise FormulaError(f"is nested more than {DEEPEST} deep: simplify it")


def _finite(token: str) -> Expression:
    value = float(token)
    if not math.isfinite(value):
        raise FormulaError(f"{token[:12]} is too large a number")
    return number(value)
