"""Named problems: the smallest on which two networks and a single one disagree, and random ones.

γ = .9 by default. Chains are deterministic and their last state is absorbing. d is the distribution of updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from softstep.theory.checks import Array, check_count
from softstep.theory.linear import LinearTD
from softstep.theory.mdp import read_mdp, stationary_distribution


def both(gamma: float = 0.9) -> LinearTD:
    """Return a problem that is stable with and without a target: s1→s2→s2, φ = 1, 2, only s2 updated."""
    return LinearTD.from_mdp([[1.0], [2.0]], successors(1, 1), [0.0, 1.0], gamma)


def only_target(gamma: float = 0.9) -> LinearTD:
    """Return a problem that is stable only with a target: s1→s2→s2, φ = (1,0), (2,1), both updated equally.

    Lowering α at fixed c destabilises it.
    """
    return LinearTD.from_mdp([[1.0, 0.0], [2.0, 1.0]], successors(1, 1), [0.5, 0.5], gamma)


def target_destroys(gamma: float = 0.9) -> LinearTD:
    """Return a problem that a slow target destabilises: s1→s2→s3→s3, φ = (1,0), (0,2), (−3,1), d = (20, 1, 20)/41."""
    phi = [[1.0, 0.0], [0.0, 2.0], [-3.0, 1.0]]
    return LinearTD.from_mdp(phi, successors(1, 2, 2), np.array([20.0, 1.0, 20.0]) / 41, gamma)


def neither(gamma: float = 0.9) -> LinearTD:
    """Return a problem that no pair stabilises: s1→s2→s2, φ = 1, 2, both updated equally.

    It diverges for every (α, c) iff γ > 5/6.
    """
    return LinearTD.from_mdp([[1.0], [2.0]], successors(1, 1), [0.5, 0.5], gamma)


def two_theta(gamma: float = 0.9) -> LinearTD:
    """Return θ → 2θ, which is `neither` with only s1 updated; it diverges iff γ > ½.

    Source: Tsitsiklis & Van Roy 1997.
    """
    return LinearTD.from_mdp([[1.0], [2.0]], successors(1, 1), [1.0, 0.0], gamma)


def resonance(gamma: float = 0.9) -> LinearTD:
    """Return a problem that is stable in both limits but not between: B = .7·I, A a scaled rotation.

    The chain is 1→3, 2→4; states 3 and 4 are absorbing.
    """
    phi = [[1.0, 0.0], [0.0, 1.0], [1.0, 2.0], [-2.0, 1.0]]
    return LinearTD.from_mdp(phi, successors(2, 3, 2, 3), [0.45, 0.45, 0.05, 0.05], gamma)


def baird(gamma: float = 0.9) -> LinearTD:
    """Return the seven-state star on its row space (n = 7): uniform updates, every state leads to the last.

    The 8 features are φ_i = 2e_i + e_8 for i = 1 … 6, φ_7 = e_7 + 2e_8. Source: Baird 1995.
    """
    phi = np.hstack([2 * np.eye(7), np.ones((7, 1))])
    phi[6, 6:] = 1.0, 2.0
    return LinearTD.from_mdp(phi, successors(6, 6, 6, 6, 6, 6, 6), np.full(7, 1 / 7), gamma).rowspace()


def random_mdp(
    seed: int, num_states: int = 6, num_features: int = 3, gamma: float = 0.9, on_policy: bool = False
) -> LinearTD:
    """Draw a problem with Gaussian features and rewards, and rows of P from a Dirichlet distribution.

    Args:
        seed: seed of the generator.
        num_states: number of states S.
        num_features: number of features n, at most S.
        gamma: discount per step.
        on_policy: whether d is the stationary distribution of P; otherwise it is drawn from a Dirichlet distribution.

    Raises:
        ValueError: there are more features than states, so that some would be redundant.
    """
    states, features = check_count("num_states", num_states, 1), check_count("num_features", num_features, 1)
    if features > states:
        raise ValueError(f"num_features = {features} exceeds num_states = {states}: some would be redundant; lower it")
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(states, 0.5), size=states)
    d = stationary_distribution(P) if on_policy else rng.dirichlet(np.ones(states))
    phi = rng.standard_normal((states, features))
    return LinearTD.from_mdp(phi, P, np.clip(d, 0, None), gamma, rng.standard_normal(states))


def successors(*states: int) -> Array:
    """Return the deterministic transition matrix that leads state i to `states[i]`, shape (S, S)."""
    return np.eye(len(states))[list(states)]


NAMED: Sequence[str] = ("both", "only_target", "target_destroys", "neither", "two_theta", "resonance", "baird")
"""The names that `by_name` accepts."""


def by_name(name: str) -> LinearTD:
    """Return the named problem at γ = .9. Raises ValueError if the name is unknown."""
    makers = {
        maker.__name__: maker for maker in (both, only_target, target_destroys, neither, two_theta, resonance, baird)
    }
    if name not in makers:
        raise ValueError(f"problem {name!r} is unknown: choose one of {', '.join(NAMED)}")
    return makers[name]()


def named_or_read(name: str | None, mdp_file: str | Path | None) -> LinearTD | str | None:
    """Return the problem that the user asks about: its name, the problem read from a file, or None for neither.

    Args:
        name: name of a problem, not checked here.
        mdp_file: JSON file of a decision process (see `theory.mdp.read_mdp`).

    Raises:
        ValueError: both are given, or the file does not hold a problem.
    """
    if name is not None and mdp_file is not None:
        raise ValueError("give either a named problem or an MDP file, not both")
    return LinearTD.from_mdp(*read_mdp(mdp_file)) if mdp_file is not None else name
