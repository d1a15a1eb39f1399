"""The arms of a comparison: the founding question on one environment, with the same seeds and initial parameters.

soft            α,        T ← cT + (1−c)Q after every gradient step
smaller-alpha   (1−c)α,   the network is its own target: the founding claim taken literally
blended         α,        one network: `inner_steps` gradient steps, then W ← cW + (1−c)W_new
same-alpha      α,        the network is its own target: what is lost without a target network
hard            α,        T ← Q every N gradient steps, with the same mean lag as soft
best-alpha      α′,       the network is its own target; α′ is the best of α and five smaller ones on other seeds
best-soft       α,        τ is the best of six on the same other seeds
"""

from __future__ import annotations

from softstep.config import Config
from softstep.settings import Arm
from softstep.target import TargetUpdate

ARMS = ("soft", "smaller-alpha", "blended", "same-alpha", "hard", "best-alpha", "best-soft")

TUNED_ARMS = ("best-alpha", "best-soft")
"""Arms with a setting that is selected on seeds of its own before the comparison."""

ALPHA_FACTORS = (1.0, 0.3, 0.1, 0.03, 0.01)
"""Candidates of best-alpha as α′/α; 1 − c is the sixth."""

TAU_FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Candidates of best-soft as τ′/τ, as far as τ′ stays below 1."""

FIRST_SELECTION_SEED = 1_000_000
"""First of the seeds on which best-alpha and best-soft are selected; no comparison is judged on them."""


def make_arm(name: str, config: Config, inner_steps: int) -> Arm:
    """Return an arm that needs no tuning; `config` holds α and the target of `soft`.

    `inner_steps` is the number of gradient steps of `blended` between two blends.
    """
    alpha, target = config.learning_rate, config.target
    return {
        "soft": Arm(name, alpha, target),
        "smaller-alpha": Arm(name, target.tau * alpha, TargetUpdate.none()),
        "blended": Arm(name, alpha, TargetUpdate(target.tau, inner_steps), blended=True),
        "same-alpha": Arm(name, alpha, TargetUpdate.none()),
        "hard": Arm(name, alpha, TargetUpdate.hard(target.lag_matched_period())),
    }[name]


def candidate_learning_rates(config: Config) -> list[float]:
    """Return the learning rates α′ from which best-alpha is selected, the largest first."""
    factors = sorted({*ALPHA_FACTORS, config.target.tau}, reverse=True)
    return [factor * config.learning_rate for factor in factors]


def candidate_taus(config: Config) -> list[float]:
    """Return the weights τ′ from which best-soft is selected, the largest first."""
    taus = [factor * config.target.tau for factor in sorted(TAU_FACTORS, reverse=True)]
    return [tau for tau in taus if tau < 1]
