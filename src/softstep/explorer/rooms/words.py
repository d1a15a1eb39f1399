"""Numbers in the rooms' sentences."""

from __future__ import annotations


def count(number: float) -> str:
    """Format a number of steps with three digits, and narrow spaces between groups of them: 745, 8.21, 21 000."""
    rounded = float(f"{number:.3g}")
    return f"{rounded:g}" if rounded < 1000 else f"{rounded:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
