"""The ingredients of a linear value-learning problem, checked, and where its matrices come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from softstep.theory.checks import Array, check_gamma, real_array


class MDP(NamedTuple):
    """A Markov reward process with features: S states, n features."""

    phi: Array  # (S, n), the features of each state
    P: Array  # (S, S), rows sum to one
    d: Array  # (S,), how often each state is updated; a common factor multiplies α
    gamma: float  # discount per step, [0, 1)
    rewards: Array  # (S,), expected reward on leaving each state


def make_mdp(phi: Any, P: Any, d: Any, gamma: float, rewards: Any = None) -> MDP:
    """The ingredients as float64 arrays of matching shapes.

    Errors: ValueError where shapes do not fit, P has a negative entry or a row that does not sum to one, d is
    negative or zero throughout, γ is outside [0, 1), or a number is NaN.
    """
    features, transition, weights = real_array("phi", phi, 2), real_array("P", P, 2), real_array("d", d, 1)
    states = len(features)
    reward = np.zeros(states) if rewards is None else real_array("rewards", rewards, 1)
    if transition.shape != (states, states) or len(weights) != states or len(reward) != states or not features.size:
        raise ValueError(
            f"shapes do not fit: phi {features.shape} has {states} states, P is {transition.shape},"
            f" d {weights.shape}, rewards {reward.shape}"
        )
    off = np.flatnonzero((np.abs(transition.sum(axis=1) - 1) > 1e-9) | (transition < 0).any(axis=1))
    if len(off):
        raise ValueError(f"row {off[0]} of P is no distribution: it sums to {transition[off[0]].sum():.12g}")
    if (weights < 0).any() or not weights.any():
        raise ValueError("d must be at least 0 everywhere and above 0 somewhere: how often each state is updated")
    return MDP(features, transition, weights, check_gamma(gamma), reward)


def matrices(mdp: MDP) -> tuple[Array, Array, Array]:
    """A = γ·ΦᵀDPΦ, B = ΦᵀDΦ, r = ΦᵀD·rewards of the expected update θ ← θ + α(A·w − B·θ + r)."""
    weighted = mdp.phi.T * mdp.d
    return mdp.gamma * weighted @ mdp.P @ mdp.phi, weighted @ mdp.phi, weighted @ mdp.rewards


def stationary_distribution(P: Array) -> Array:
    """d with dᵀP = dᵀ, Σd = 1, by least squares; unique where P has one recurrent class. Shape (S,)."""
    states = len(P)
    equations = np.vstack([P.T - np.eye(states), np.ones(states)])
    return np.asarray(np.linalg.lstsq(equations, np.append(np.zeros(states), 1.0), rcond=None)[0])


def read_mdp(path: str | Path) -> MDP:
    """An `MDP` from a JSON file with the keys phi, P, d, gamma and, if wanted, rewards.

    Errors: ValueError naming the file where it is missing, no JSON, or no such object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None
    keys = {"phi", "P", "d", "gamma"}
    if not isinstance(content, dict) or not keys <= set(content) <= keys | {"rewards"}:
        raise ValueError(f"{path}: expected a JSON object with phi, P, d, gamma and perhaps rewards")
    try:
        return make_mdp(**content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
