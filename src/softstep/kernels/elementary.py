"""Elementary functions of float32 numbers as LLVM code: the same bits wherever they are called from.

NumPy and XLA disagree in the last bit of tanh for 60 % of float32 arguments and of exp for 40 %. A continuous action
enters the environment with all its bits, so both drivers act through these.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import FLOAT

_INT32 = ir.IntType(32)

TANH_LIMIT = 7.90531110763549805
"""tanh rounds to ±1 beyond."""

TANH_ODD = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
"""Coefficients of x¹³ … x¹ in the numerator."""

TANH_EVEN = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
"""Coefficients of x⁶ … x⁰ in the denominator. Source of both: Eigen, `generic_fast_tanh_float`."""

EXP_LIMIT = 88.0
"""Arguments of exp are clipped to ± this."""

EXP_POLYNOMIAL = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
"""Coefficients of r⁷ … r² in exp(r) for |r| ≤ log(2)/2. Source: Cephes, `expf`."""

LOG2_E, LOG2_HIGH, LOG2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
"""1/log 2, and log 2 in two parts, the first of which has few bits."""


def emit_tanh(code: Emitter, x: ir.Value) -> ir.Value:
    """Emit tanh(x), exact to 7 units in the last place; NaN stays NaN."""
    build = code.builder
    clipped = emit_clip(code, x, -TANH_LIMIT, TANH_LIMIT)
    square = build.fmul(clipped, clipped)
    numerator = build.fmul(clipped, _polynomial(code, TANH_ODD, square))
    return build.fdiv(numerator, _polynomial(code, TANH_EVEN, square))


def emit_exp(code: Emitter, x: ir.Value) -> ir.Value:
    """Emit exp(x) = 2ⁿ·exp(r), x = n·log 2 + r, exact to 2 units in the last place; x is clipped to ±88."""
    build = code.builder
    clipped = emit_clip(code, x, -EXP_LIMIT, EXP_LIMIT)
    scaled = build.fadd(build.fmul(clipped, FLOAT(LOG2_E)), FLOAT(0.5))
    n = build.call(code.intrinsic("floor", FLOAT, 1), [scaled])
    r = build.fsub(clipped, build.fmul(n, FLOAT(LOG2_HIGH)))
    r = build.fsub(r, build.fmul(n, FLOAT(LOG2_LOW)))
    y = build.fadd(build.fmul(_polynomial(code, EXP_POLYNOMIAL, r), build.fmul(r, r)), r)
    exponent = build.shl(build.add(build.fptosi(n, _INT32), _INT32(127)), _INT32(23))
    return build.fmul(build.fadd(y, FLOAT(1.0)), build.bitcast(exponent, FLOAT))


def emit_clip(code: Emitter, x: ir.Value, low: float, high: float) -> ir.Value:
    """Emit x clipped to [low, high]; NaN stays NaN."""
    build = code.builder
    for symbol, bound in ((">", high), ("<", low)):
        x = build.select(build.fcmp_ordered(symbol, x, FLOAT(bound)), FLOAT(bound), x)
    return x


def _polynomial(code: Emitter, coefficients: Sequence[float], x: ir.Value) -> ir.Value:
    """Emit a polynomial by Horner's scheme; the highest coefficient comes first."""
    first, *rest = coefficients
    total = FLOAT(first)
    for coefficient in rest:
        total = code.builder.fadd(code.builder.fmul(total, x), FLOAT(coefficient))
    return total
