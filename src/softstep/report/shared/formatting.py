"""Numbers as text, the same in the terminal, in pictures and on pages."""

from __future__ import annotations

import math

import numpy as np

from softstep.report.shared.curves import mean_sd

MISSING = "–"
"""Stands for a value that does not exist or is not finite."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def minus_sign(text: str) -> str:
    """Return `text` with true minus signs in place of hyphens."""
    return text.replace("-", "−")


def format_setting(value: float) -> str:
    """Format a setting with all its digits but without rounding noise: 0.001, 5e-06, 0.995."""
    return f"{value:.10g}"


def format_result(value: float) -> str:
    """Format a result: an integer above 100, otherwise three digits; – if it is not finite."""
    if not math.isfinite(value):
        return MISSING
    return minus_sign(f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}")


def format_mean_sd(values: np.ndarray) -> str:
    """Format mean ± standard deviation over seeds, as integers if the mean is above 10.

    A single seed has only a mean; without a finite value the text is –.
    """
    mean, sd = mean_sd(values)
    if not math.isfinite(sd):
        return format_result(mean)
    return minus_sign(f"{mean:.0f} ± {sd:.0f}" if abs(mean) >= 10 else f"{mean:.3g} ± {sd:.2g}")


def format_two_digits(value: float) -> str:
    """Format a value briefly with two digits: 0.31, 0.012, 6.7e-4; – if it is not finite."""
    if not math.isfinite(value):
        return MISSING
    if value == 0 or 0.001 <= abs(value) < 1e4:
        return f"{value:.2g}"
    return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def format_short(value: float) -> str:
    """Format a round value with its magnitude, as on an axis: 300 k, 1.5 M, −200, 0.25."""
    for size, factor, unit in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if abs(value) >= size:
            return minus_sign(f"{value / factor:.4g}{unit}")
    return minus_sign(f"{value:.4g}")


def format_power(value: float) -> str:
    """Format a positive value of any size for an axis, without SI prefixes: 0.003, 200, 10⁻⁵, 3 × 10⁷."""
    if 1e-4 <= value < 1e5:
        return f"{value:.6g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    factor = f"{float(mantissa):g} × " if float(mantissa) != 1 else ""
    return factor + "10" + str(int(exponent)).translate(_SUPERSCRIPTS)


def format_thousands(value: int) -> str:
    """Format an integer with narrow spaces between groups of three digits: 1 000 000."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def format_count(count: int, noun: str) -> str:
    """Format a number of things: 1 seed, 2 seeds."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
