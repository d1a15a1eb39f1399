"""Comparison to the digits a text gives."""

from __future__ import annotations

from decimal import Decimal


def agrees(value: float, text: str) -> bool:
    """Whether `value`, rounded to the last digit written in `text`, is `text` (half a unit, plus rounding noise)."""
    written = Decimal(text)
    unit = float(Decimal(1).scaleb(written.as_tuple().exponent))
    return abs(float(value) - float(written)) <= 0.5 * unit * (1 + 1e-3) + 4e-16 * abs(float(written))


def all_agree(values: object, texts: str) -> bool:
    """`agrees` for as many values as there are words in `texts`."""
    numbers, words = list(values), texts.split()  # type: ignore[call-overload]
    return len(numbers) == len(words) and all(agrees(v, w) for v, w in zip(numbers, words, strict=True))
