"""Comparison of numbers with the digits written in a text."""

from __future__ import annotations

from decimal import Decimal


def agrees(value: float, text: str) -> bool:
    """Return whether `value`, rounded to the last digit in `text`, is `text` (half a unit, plus rounding noise)."""
    written = Decimal(text)
    unit = float(Decimal(1).scaleb(written.as_tuple().exponent))
    return abs(float(value) - float(written)) <= 0.5 * unit * (1 + 1e-3) + 4e-16 * abs(float(written))


def all_agree(values: object, texts: str) -> bool:
    """Return whether each value agrees with its number in `texts`, which are separated by spaces."""
    numbers, written = list(values), texts.split()  # type: ignore[call-overload]
    return len(numbers) == len(written) and all(agrees(n, w) for n, w in zip(numbers, written, strict=True))
