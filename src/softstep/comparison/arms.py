"""The founding question on one environment: named arms, the same seeds and first parameters, one population.

soft            α,        T ← cT + (1−c)Q after every gradient step
smaller-alpha   (1−c)α,   the network is its own target: the claim taken literally
blended         α,        one network: `inner_steps` steps, then W ← cW + (1−c)W_new
same-alpha      α,        the network is its own target: what is lost without the target network
hard            α,        T ← Q every N steps, of the same mean lag
best-alpha      α′,       the network is its own target; α′ the best of six on selection seeds
best-soft       α,        τ the best of six on the same selection seeds
"""

from __future__ import annotations

from softstep.config import Config

ARMS = ("soft", "smaller-alpha", "blended", "same-alpha", "hard", "best-alpha", "best-soft")
TUNED = ("best-alpha", "best-soft")

PROBE = 64
"""Transitions of the probe on which Δy is measured at every gradient step."""

ALPHA_FACTORS = (1.0, 0.3, 0.1, 0.03, 0.01)
"""α′/α of best-alpha's candidates; 1 − c is the sixth."""

TAU_FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""τ′/τ of best-soft's candidates, as far as they stay below 1."""

SELECTION_SEED = 1_000_000
"""First of the seeds on which best-alpha and best-soft are selected; no comparison judges on them."""


def candidates(config: Config) -> tuple[list[float], list[float]]:
    """The rates α′ that best-alpha is selected from, and the τ′ that best-soft is; the largest first."""
    factors = sorted({*ALPHA_FACTORS, config.target.tau}, reverse=True)
    taus = [factor * config.target.tau for factor in sorted(TAU_FACTORS, reverse=True)]
    return [factor * config.learning_rate for factor in factors], [tau for tau in taus if tau < 1]
