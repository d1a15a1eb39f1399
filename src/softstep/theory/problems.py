"""Named problems: the smallest on which the two networks and the single one disagree, and random ones.

γ = .9 unless given; chains are deterministic and their last state absorbs; d is the distribution of updates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softstep.theory.checks import Array, check_count
from softstep.theory.linear import LinearTD
from softstep.theory.mdp import stationary_distribution


def both(gamma: float = 0.9) -> LinearTD:
    """With or without a target: s1→s2→s2, φ = 1, 2, only s2 updated."""
    return LinearTD.from_mdp([[1.0], [2.0]], successors(1, 1), [0.0, 1.0], gamma)


def only_target(gamma: float = 0.9) -> LinearTD:
    """Only the target works: s1→s2→s2, φ = (1,0), (2,1), both updated equally. Lowering α at fixed c destabilises."""
    return LinearTD.from_mdp([[1.0, 0.0], [2.0, 1.0]], successors(1, 1), [0.5, 0.5], gamma)


def target_destroys(gamma: float = 0.9) -> LinearTD:
    """The target destroys: s1→s2→s3→s3, φ = (1,0), (0,2), (−3,1), d = (20, 1, 20)/41."""
    phi = [[1.0, 0.0], [0.0, 2.0], [-3.0, 1.0]]
    return LinearTD.from_mdp(phi, successors(1, 2, 2), np.array([20.0, 1.0, 20.0]) / 41, gamma)


def neither(gamma: float = 0.9) -> LinearTD:
    """Nothing works: s1→s2→s2, φ = 1, 2, both updated equally; fails for every (α, c) iff γ > 5/6."""
    return LinearTD.from_mdp([[1.0], [2.0]], successors(1, 1), [0.5, 0.5], gamma)


def two_theta(gamma: float = 0.9) -> LinearTD:
    """θ → 2θ: as `neither`, only s1 updated; fails iff γ > ½. Source: Tsitsiklis & Van Roy 1997."""
    return LinearTD.from_mdp([[1.0], [2.0]], successors(1, 1), [1.0, 0.0], gamma)


def resonance(gamma: float = 0.9) -> LinearTD:
    """Both limits stable, the middle not: 1→3, 2→4, 3 and 4 absorb; B = .7·I, A a scaled rotation."""
    phi = [[1.0, 0.0], [0.0, 1.0], [1.0, 2.0], [-2.0, 1.0]]
    return LinearTD.from_mdp(phi, successors(2, 3, 2, 3), [0.45, 0.45, 0.05, 0.05], gamma)


def baird(gamma: float = 0.9) -> LinearTD:
    """The seven-state star on its row space (n = 7): 8 features, uniform updates, every state leads to the last.

    φ_i = 2e_i + e_8 for i = 1 … 6, φ_7 = e_7 + 2e_8. Source: Baird 1995.
    """
    phi = np.hstack([2 * np.eye(7), np.ones((7, 1))])
    phi[6, 6:] = 1.0, 2.0
    return LinearTD.from_mdp(phi, successors(6, 6, 6, 6, 6, 6, 6), np.full(7, 1 / 7), gamma).rowspace()


def random_mdp(
    seed: int, num_states: int = 6, num_features: int = 3, gamma: float = 0.9, on_policy: bool = False
) -> LinearTD:
    """Gaussian features, Dirichlet rows of P, random rewards; d Dirichlet too, or the stationary one (`on_policy`)."""
    states, features = check_count("num_states", num_states, 1), check_count("num_features", num_features, 1)
    if features > states:
        raise ValueError(f"num_features = {features} exceeds num_states = {states}: some would be redundant")
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(states, 0.5), size=states)
    d = stationary_distribution(P) if on_policy else rng.dirichlet(np.ones(states))
    phi = rng.standard_normal((states, features))
    return LinearTD.from_mdp(phi, P, np.clip(d, 0, None), gamma, rng.standard_normal(states))


def successors(*states: int) -> Array:
    """The deterministic transition matrix that leads state i to `states[i]`, shape (S, S)."""
    return np.eye(len(states))[list(states)]


NAMED: Sequence[str] = ("both", "only_target", "target_destroys", "neither", "two_theta", "resonance", "baird")
"""Problems that can be asked for by name."""


def by_name(name: str) -> LinearTD:
    """The named problem at γ = .9. ValueError where there is none of that name."""
    makers = {
        maker.__name__: maker for maker in (both, only_target, target_destroys, neither, two_theta, resonance, baird)
    }
    if name not in makers:
        raise ValueError(f"problem {name!r} is unknown: choose one of {', '.join(NAMED)}")
    return makers[name]()
