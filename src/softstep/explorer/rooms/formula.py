"""Parse a loss that the user typed, by recursive descent and without eval.

Example: x^2/2 + 0.3*sin(3x). Allowed are numbers, x, y, pi, e, + - * / ^ ( ) and the functions in `FUNCTIONS`; 3x means
3*x.
"""

from __future__ import annotations

import math
import re

from softstep.explorer.rooms.expression import CONSTANTS, FUNCTIONS, Expression, FormulaError, call, number, operation

__all__ = ["DEEPEST", "LONGEST", "FormulaError", "parse"]

LONGEST = 120
"""Largest number of characters."""
DEEPEST = 24
"""Largest depth of nested brackets, powers and signs."""

_TYPED = {ord("−"): "-", ord("·"): "*", ord("×"): "*", ord("²"): "^2", ord("³"): "^3"}
_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z]+)|(\*\*|[-+*/^()]))")


def parse(text: str, variables: tuple[str, ...] = ("x",)) -> Expression:
    """Return the expression written in `text`; FormulaError if it is not a formula in `variables`."""
    if len(text) > LONGEST:
        raise FormulaError(f"the formula has {len(text)} characters: use at most {LONGEST}")
    parser = _Parser(_tokens(text), variables)
    result = parser.sum(0)
    if parser.token:
        raise FormulaError(f"unexpected {parser.token!r}: put an operator before it, for example + or *")
    return result


def _tokens(text: str) -> list[str]:
    plain = text.translate(_TYPED).rstrip()
    if not plain:
        raise FormulaError("the formula is empty: write one, for example x^2/2")
    tokens, position = [], 0
    while position < len(plain):
        match = _TOKEN.match(plain, position)
        if match is None:
            character = plain[position:].strip()[:1]
            raise FormulaError(f"unknown character {character!r}: use numbers, names, + - * / ^ and brackets")
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


class _Parser:
    """A recursive-descent parser: sum → product → sign → power → atom, with the precedence of mathematics."""

    def __init__(self, tokens: list[str], variables: tuple[str, ...]) -> None:
        self.tokens, self.position, self.variables = tokens, 0, variables

    @property
    def token(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.token
        self.position += 1
        return token

    def sum(self, depth: int) -> Expression:
        result = self.product(depth)
        while self.token in ("+", "-"):
            result = operation(self.take(), result, self.product(depth))
        return result

    def product(self, depth: int) -> Expression:
        result = self.signed(depth)
        while self.token in ("*", "/") or self.starts_atom():
            operator = self.take() if self.token in ("*", "/") else "*"
            result = operation(operator, result, self.signed(depth))
        return result

    def starts_atom(self) -> bool:
        """Return whether a factor follows without an operator, as in 3x or 2(x+1)."""
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
        if token:
            raise FormulaError(f"unexpected {token!r}: write a number, a name or ( before it")
        raise FormulaError("the formula ends too early: add a number, a name or (")

    def name(self, token: str, depth: int) -> Expression:
        if token in self.variables:
            return Expression("variable", (token,))
        if token in CONSTANTS:
            return number(CONSTANTS[token])
        if token not in FUNCTIONS:
            known = ", ".join((*self.variables, *CONSTANTS, *FUNCTIONS))
            raise FormulaError(f"unknown name {token[:12]!r}: use {known}")
        if self.token != "(":
            raise FormulaError(f"{token} needs brackets: write {token}(x)")
        return call(token, self.atom(depth))


def _check_depth(depth: int) -> None:
    if depth > DEEPEST:
        raise FormulaError(f"the formula is nested more than {DEEPEST} levels deep: simplify it")


def _finite(token: str) -> Expression:
    value = float(token)
    if not math.isfinite(value):
        raise FormulaError(f"{token[:12]} is too large: use a smaller number")
    return number(value)
