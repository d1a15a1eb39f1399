"""The ingredients of a linear value-learning problem, and the matrices that follow from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from softstep.files import reason
from softstep.theory.checks import Array, check_gamma, real_array


class MDP(NamedTuple):
    """A Markov reward process with S states and n features."""

    phi: Array  # (S, n), the features of each state
    P: Array  # (S, S), transition probabilities; rows sum to one
    d: Array  # (S,), how often each state is updated; a common factor multiplies α
    gamma: float  # discount per step, in [0, 1)
    rewards: Array  # (S,), expected reward on leaving each state


def make_mdp(phi: Any, P: Any, d: Any, gamma: float, rewards: Any = None) -> MDP:
    """Return the ingredients as float64 arrays, after checking that their shapes match.

    Args:
        phi: features of each state, shape (S, n).
        P: transition probabilities, shape (S, S).
        d: how often each state is updated, shape (S,).
        gamma: discount per step, in [0, 1).
        rewards: expected reward on leaving each state, shape (S,); zeros by default.

    Raises:
        ValueError: the shapes do not fit, P has a negative entry or a row that does not sum to one, d has a negative
            entry or is zero throughout, γ is outside [0, 1), or a number is NaN.
    """
    features, transition, weights = real_array("phi", phi, 2), real_array("P", P, 2), real_array("d", d, 1)
    states = len(features)
    reward = np.zeros(states) if rewards is None else real_array("rewards", rewards, 1)
    if transition.shape != (states, states) or len(weights) != states or len(reward) != states or not features.size:
        raise ValueError(
            f"shapes do not fit: phi {features.shape} has {states} states, P is {transition.shape},"
            f" d {weights.shape}, rewards {reward.shape}"
        )
    bad_rows = np.flatnonzero((np.abs(transition.sum(axis=1) - 1) > 1e-9) | (transition < 0).any(axis=1))
    if len(bad_rows):
        row = transition[bad_rows[0]]
        raise ValueError(
            f"row {bad_rows[0]} of P (sum {row.sum():.12g}, smallest entry {row.min():g}) is not a distribution:"
            " entries must be at least 0 and sum to 1"
        )
    if (weights < 0).any() or not weights.any():
        raise ValueError("d must be at least 0 everywhere and above 0 somewhere: how often each state is updated")
    return MDP(features, transition, weights, check_gamma(gamma), reward)


def matrices(mdp: MDP) -> tuple[Array, Array, Array]:
    """Return A = γ·ΦᵀDPΦ, B = ΦᵀDΦ, r = ΦᵀD·rewards of the expected update θ ← θ + α(A·w − B·θ + r)."""
    weighted = mdp.phi.T * mdp.d
    return mdp.gamma * weighted @ mdp.P @ mdp.phi, weighted @ mdp.phi, weighted @ mdp.rewards


def stationary_distribution(P: Array) -> Array:
    """Return d with dᵀP = dᵀ and Σd = 1, shape (S,), by least squares; unique if P has one recurrent class."""
    states = len(P)
    equations = np.vstack([P.T - np.eye(states), np.ones(states)])
    return np.asarray(np.linalg.lstsq(equations, np.append(np.zeros(states), 1.0), rcond=None)[0])


def read_mdp(path: str | Path) -> MDP:
    """Read an `MDP` from a JSON file with the keys phi, P, d, gamma and, optionally, rewards.

    Raises ValueError, naming the file, if it is missing, is not JSON, or does not hold such an object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({reason(error)})") from None
    keys = {"phi", "P", "d", "gamma"}
    if not isinstance(content, dict) or not keys <= set(content) <= keys | {"rewards"}:
        raise ValueError(f"{path}: expected a JSON object with phi, P, d, gamma and, optionally, rewards")
    try:
        return make_mdp(**content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
