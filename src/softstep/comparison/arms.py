"""The arms of a comparison: the founding question on one environment, with the same seeds and initial parameters.

soft            α,        T ← cT + (1−c)Q after every gradient step
smaller-alpha   (1−c)α,   the network is its own target: the founding claim taken literally
blended         α,        one network: `inner_steps` gradient steps, then W ← cW + (1−c)W_new
same-alpha      α,        the network is its own target: what is lost without a target network
hard            α,        T ← Q every N gradient steps, with the same mean lag as soft
best-alpha      α′,       the network is its own target; α′ is the best of α and five smaller ones on other seeds
best-soft       α,        τ is the best of six on the same other seeds
critic-target   α,        as soft, but the actor is its own target (DDPG, TD3)
actor-target    α,        as soft, but the critics are their own targets (DDPG, TD3); the actor's follows at every step

With an actor, T follows the critics, so that α is theirs: smaller-alpha leaves the actor's α and the temperature's as
they are. Nothing has a target where "the network is its own target". Because slowing one of three networks is not the
only reading of "a smaller step", best-alpha also tries the same factors on all α at once.
"""

from __future__ import annotations

from dataclasses import replace

from softstep.config import Config
from softstep.settings import ALGORITHMS_WITH, Arm
from softstep.target import TargetUpdate

ACTOR_TARGET_ARMS = ("critic-target", "actor-target")
"""Arms that need an actor with a target of its own."""

ARMS = (
    "soft", "smaller-alpha", "blended", "same-alpha", "hard", "best-alpha", "best-soft", *ACTOR_TARGET_ARMS
)  # fmt: skip

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
    no_actor_target = _no_actor_target(config)
    return {
        "soft": Arm(name, alpha, target),
        "smaller-alpha": Arm(name, target.tau * alpha, TargetUpdate.none(), actor_tau=no_actor_target),
        "blended": Arm(name, alpha, TargetUpdate(target.tau, inner_steps), blended=True),
        "same-alpha": Arm(name, alpha, TargetUpdate.none(), actor_tau=no_actor_target),
        "hard": Arm(name, alpha, TargetUpdate.hard(target.lag_matched_period()), actor_tau=no_actor_target),
        "critic-target": Arm(name, alpha, target, actor_tau=1.0),
        "actor-target": Arm(name, alpha, TargetUpdate.none(), actor_tau=_tau_per_step(config)),
    }[name]


def _no_actor_target(config: Config) -> float | None:
    """Return the τ of an actor that is its own target; None if the actor has no target, or there is no actor."""
    return 1.0 if config.algorithm in ALGORITHMS_WITH["actor_tau"] else None


def _tau_per_step(config: Config) -> float:
    """Return the τ with which the actor's target, moved at every gradient step, keeps c in a period as before."""
    tau, period = config.actor_tau or config.target.tau, config.target.period
    return tau if period == 1 else 1 - (1 - tau) ** (1 / period)


def candidates_of_best_alpha(config: Config) -> list[Arm]:
    """Return the arms from which best-alpha is selected: α′ from large to small, then, with an actor, all α at once."""
    alphas = candidate_learning_rates(config)
    if not config.continuous:
        return [Arm(f"alpha {alpha:.6g}", alpha, TargetUpdate.none()) for alpha in alphas]
    one_network = Arm("one network", target=TargetUpdate.none(), actor_tau=_no_actor_target(config))
    has_temperature = config.algorithm in ALGORITHMS_WITH["temperature_learning_rate"]
    return [
        *(replace(one_network, name=f"alpha {alpha:.6g}", learning_rate=alpha) for alpha in alphas),
        *(
            replace(
                one_network,
                name=f"alpha {alpha:.6g}, all networks",
                learning_rate=alpha,
                actor_learning_rate=factor * _followed(config.actor_learning_rate, config),
                temperature_learning_rate=factor * _followed(config.temperature_learning_rate, config)
                if has_temperature
                else None,
            )
            for alpha in alphas
            if (factor := alpha / config.learning_rate) < 1
        ),
    ]


def _followed(rate: float | None, config: Config) -> float:
    """Return a rate that is α if it is not set."""
    return config.learning_rate if rate is None else rate


def candidates_of_best_soft(config: Config) -> list[Arm]:
    """Return the arms from which best-soft is selected, the largest τ′ first."""
    return [Arm(f"tau {tau:.6g}", None, TargetUpdate(tau, config.target.period)) for tau in candidate_taus(config)]


def candidate_learning_rates(config: Config) -> list[float]:
    """Return the learning rates α′ from which best-alpha is selected, the largest first."""
    factors = sorted({*ALPHA_FACTORS, config.target.tau}, reverse=True)
    return [factor * config.learning_rate for factor in factors]


def candidate_taus(config: Config) -> list[float]:
    """Return the weights τ′ from which best-soft is selected, the largest first."""
    taus = [factor * config.target.tau for factor in sorted(TAU_FACTORS, reverse=True)]
    return [tau for tau in taus if tau < 1]
