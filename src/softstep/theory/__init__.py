"""The algebra of α and c in NumPy and SciPy, float64; independent of agents.

Start with `ledger` (what T is made of), `LinearTD` (when the pair is stable) and `explain` (both, as text).
"""

from softstep.theory import one_dimension, optimizers, problems, symbolic
from softstep.theory.averaging import (
    blended_alpha,
    ema_variance_ratio,
    lookahead_alpha,
    lookahead_limit,
    stall_gap,
    stalls,
)
from softstep.theory.envelope import Envelope, envelope
from softstep.theory.explanation import Explanation, explain
from softstep.theory.filters import frequency_response, impulse_response, step_response
from softstep.theory.linear import Covariance, Limits, LinearTD
from softstep.theory.recursion import (
    Ledger,
    Momentum,
    first_difference,
    gap,
    gap_weights,
    ledger,
    ledger_weights,
    momentum_form,
    schedule,
    third_equation,
)
from softstep.theory.search import Best
from softstep.theory.windows import Windows

__all__ = [
    "Best",
    "Covariance",
    "Envelope",
    "Explanation",
    "Ledger",
    "Limits",
    "LinearTD",
    "Momentum",
    "Windows",
    "blended_alpha",
    "ema_variance_ratio",
    "envelope",
    "explain",
    "first_difference",
    "frequency_response",
    "gap",
    "gap_weights",
    "impulse_response",
    "ledger",
    "ledger_weights",
    "lookahead_alpha",
    "lookahead_limit",
    "momentum_form",
    "one_dimension",
    "optimizers",
    "problems",
    "schedule",
    "stall_gap",
    "stalls",
    "step_response",
    "symbolic",
    "third_equation",
]
