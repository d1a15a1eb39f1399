"""Reads a GeoGebra file and evaluates its formulas, independently of what wrote it: the part of the language in use.

The meaning of the commands is that of GeoGebra's manual: `Sequence` substitutes a variable by a range of numbers,
`IterationList` applies a function of one variable, or substitutes a variable of an expression by the last element.
"""

from __future__ import annotations

import functools
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

TOKEN = re.compile(r'\s*(\d+\.?\d*(?:[eE][-+]?\d+)?|"[^"]*"|[^\W\d]\w*|[-+*/^(){},\'=])')
OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "^": lambda x, y: x**y,
}
LEVELS = ("+-", "*/", "^")
Names = dict[str, Any]


class Function:
    """A function of the construction."""

    def __init__(self, parameters: list[str], body: str, names: Names) -> None:
        self.parameters, self.body, self.names = parameters, body, names

    def __call__(self, *values: Any) -> Any:
        return evaluate(self.body, {**self.names, **dict(zip(self.parameters, values, strict=True))})

    def derivative(self, x: float) -> float:
        """Return f'(x) by a complex step, which is exact to rounding."""
        return complex(self(complex(x, 1e-30))).imag / 1e-30


@functools.cache
def tokens(text: str) -> tuple[str, ...]:
    """Return the tokens of an expression, which must be nothing else."""
    found, position = [], 0
    while match := TOKEN.match(text, position):
        found.append(match[1])
        position = match.end()
    assert position == len(text), text[position:]
    return tuple(found)


class Parser:
    """Evaluates one expression while it reads it."""

    def __init__(self, text: str, names: Names) -> None:
        self.tokens, self.names = list(tokens(text)), names

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def take(self, expected: str | None = None) -> str:
        token = self.tokens.pop(0)
        assert expected in (None, token), (expected, token)
        return token

    def expression(self, level: int = 0) -> Any:
        if level == len(LEVELS):
            return self.unary()
        value = self.expression(level + 1)
        while self.peek() and self.peek() in LEVELS[level]:
            operator, right = self.take(), self.expression(level + 1)
            ends_text = operator == "+" and isinstance(value, str)  # a text that ends in a number
            value = (value, right) if ends_text else OPERATORS[operator](value, right)
        return value

    def unary(self) -> Any:
        if self.peek() == "-":
            self.take()
            return -self.expression(2)
        return self.atom()

    def listed(self, end: str) -> list[Any]:
        values = [self.expression()]
        while self.peek() == ",":
            self.take()
            values.append(self.expression())
        self.take(end)
        return values

    def atom(self) -> Any:
        token = self.take()
        if token == "(":
            values = self.listed(")")
            return values[0] if len(values) == 1 else tuple(values)
        if token == "{":
            return self.listed("}")
        if token[0] == '"':
            return token[1:-1]
        if token[0].isdigit():
            return float(token)
        if self.peek() == "'":
            self.take()
            self.take("(")
            return self.names[token].derivative(*self.listed(")"))
        if self.peek() == "(":
            self.take()
            return called(token, self.listed(")"), self.names)
        return self.names[token]


def called(name: str, values: list[Any], names: Names) -> Any:
    """Apply a function of the construction, or one of GeoGebra's own."""
    if isinstance(names.get(name), Function):
        return names[name](*values)
    if name in ("x", "y"):
        return values[0]["xy".index(name)]
    if name == "Element":
        return values[0][int(values[1]) - 1]
    return {"abs": abs, "Max": max}[name](*values)


def evaluate(text: str, names: Names) -> Any:
    """Return the value of an expression."""
    parser = Parser(text, names)
    value = parser.expression()
    assert not parser.tokens, text
    return value


def command(name: str, arguments: list[str], names: Names) -> list[Any]:
    """Return the list that a command makes."""
    if name == "Sequence":
        expression, variable, first, last = arguments
        ends = int(evaluate(first, names)), int(evaluate(last, names))
        return [evaluate(expression, {**names, variable: float(i)}) for i in range(ends[0], ends[1] + 1)]
    assert name == "IterationList"
    if len(arguments) == 3:
        function, start, count = (evaluate(argument, names) for argument in arguments)
        values, follow = [start], function
    else:
        expression, variable, starts, number = arguments
        values, count = list(evaluate(starts, names)), evaluate(number, names)

        def follow(value: Any) -> Any:
            return evaluate(expression, {**names, variable: value})

    for _ in range(int(count)):
        values.append(follow(values[-1]))
    return values


def construction(content: bytes) -> ElementTree.Element:
    """Return the root of a file's XML."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return ElementTree.fromstring(archive.read("geogebra.xml"))


def values(root: ElementTree.Element, sliders: Mapping[str, float]) -> Names:
    """Return the value of every object by its label, when sliders stand where `sliders` says."""
    names: Names = {}
    for part in root.iterfind("construction/*"):
        if part.tag == "expression":
            label, text = part.attrib["label"], part.attrib["exp"]
            head = re.match(r"(\w+)\(([\w, ]+)\) = (.*)", text)
            if head:
                assert head[1] == label
                names[label] = Function(head[2].split(", "), head[3], names)
            else:
                names[label] = evaluate(text, names)
        elif part.tag == "command":
            inputs, output = part.find("input"), part.find("output")
            assert inputs is not None
            assert output is not None
            arguments = [inputs.attrib[f"a{number}"] for number in range(len(inputs.attrib))]
            names[output.attrib["a0"]] = command(part.attrib["name"], arguments, names)
        elif part.find("slider") is not None:
            value = part.find("value")
            assert value is not None
            label = part.attrib["label"]
            names[label] = float(sliders.get(label, float(value.attrib["val"])))
        assert part.tag != "element" or part.attrib["label"] in names
    return names
