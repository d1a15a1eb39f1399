"""Room 4: the trade-off between rate and variance, in one dimension with white step noise of variance 1.

At the same rate λ₁ the target network is less noisy than the single network and QN is noisier: Var T < V₁ < Var Q.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from softstep import theory
from softstep.explorer.rooms.parameters import Curvature, OldWeight, Parameters, StepSize, TargetWeight
from softstep.explorer.rooms.snippets import noise_lines
from softstep.explorer.rooms.words import count
from softstep.theory import one_dimension


class NoiseParameters(Parameters, frozen=True):
    """The parameters of `noise`."""

    alpha: StepSize = 0.5
    c: OldWeight = 0.8
    a: TargetWeight = 0.5
    b: Curvature = 1.0
    steps: Annotated[int, Meta(ge=10, le=600, description="gradient steps of the noisy run")] = 300
    seed: Annotated[int, Meta(ge=0, le=9999, description="seed of the noise")] = 0


def rate_and_variance(alpha: float, c: float, a: float, b: float, steps: int, seed: int) -> dict[str, Any]:
    """Compute rate against variance for single networks, for Q and T over all c, and at the pair (α, c).

    Args:
        alpha: α, the size of a gradient step.
        c: Weight of the old target.
        a: Weight of T in the regression target.
        b: Curvature of QN's regression.
        steps: Gradient steps of the noisy run.
        seed: Seed of the noise.

    Returns:
        The pair's values (`_at_pair`), curves over c (`family`), the single networks' curve and a noisy run.
    """
    pair = _at_pair(alpha, c, a, b)
    shares = np.geomspace(min(1e-3, 1 - c), 1.0, 40)
    family = [_point(alpha, 1 - float(share), a, b) for share in shares]
    rates = [point["decay"] for point in (*family, pair) if point["decay"]]
    columns = {key: [point[key] for point in family] for key in family[0]}
    run = _run(alpha, c, a, b, pair["alpha_same_rate"], steps, seed)
    return {
        **pair, "beta": b - a, "family": {"share": shares, **columns},
        "single": _single(rates, b - a), "run": {**run, "says": _span(pair["decay"], steps)},
        "python": noise_lines(alpha, c, a, b, pair["V1"] is not None),
    }  # fmt: skip


def _point(alpha: float, c: float, a: float, b: float) -> dict[str, Any]:
    """Return the decay per step 1 − ρ, the variances of Q and T and their ratios to V₁; nan if they do not exist."""
    if not alpha < one_dimension.alpha_max(c, a, b):
        return dict.fromkeys(("decay", "T", "Q", "T_ratio", "Q_ratio"), np.nan)
    variance, eigenvalues = one_dimension.variance(alpha, c, a, b), one_dimension.eigenvalues(alpha, c, a, b)
    is_real = np.abs(eigenvalues.imag).max() == 0
    ratios = one_dimension.ratios(alpha, c, a, b) if is_real else one_dimension.Ratios(np.nan, np.nan)
    return {
        "decay": 1 - abs(eigenvalues[0]), "T": variance.T, "Q": variance.Q, "T_ratio": ratios.T, "Q_ratio": ratios.Q,
    }  # fmt: skip


def _at_pair(alpha: float, c: float, a: float, b: float) -> dict[str, Any]:
    """Return the values at one pair and, if it exists, the single network of the same rate."""
    point = {"c": c, **_point(alpha, c, a, b)}
    if np.isnan(point["decay"]):
        return {**point, "V1": None, "alpha_same_rate": None, "says": _unstable(alpha, c, a, b)}
    if np.isnan(point["T_ratio"]):
        says = "Q and T oscillate here, so there is no single network of the same rate to compare them with."
        return {**point, "V1": None, "alpha_same_rate": None, "says": says}
    rate = float(one_dimension.eigenvalues(alpha, c, a, b)[0].real)
    return {
        **point, "V1": one_dimension.single_variance(rate, b - a), "alpha_same_rate": (1 - rate) / (b - a),
        "says": _comparison(point["T_ratio"], point["Q_ratio"]),
    }  # fmt: skip


def _unstable(alpha: float, c: float, a: float, b: float) -> str:
    """Say why the pair diverges."""
    if a >= b:
        return (
            f"a = {a:g} is not below b = {b:g}, so learning diverges for every α and c and has no stationary variance."
        )
    return f"α = {alpha:g} is above {one_dimension.alpha_max(c, a, b):.4g}, the largest stable α for this c: lower it."


def _comparison(target: float, online: float) -> str:
    """Put the two ratios in words."""
    if np.isclose(target, 1, rtol=1e-12) and np.isclose(online, 1, rtol=1e-12):
        return "Without a target network, T, Q and the single network are the same."
    if np.isclose(target, 1, rtol=1e-9):
        return f"T is exactly as noisy as the single network of the same rate; Q has {online:.4g} times its variance."
    noisier = "less noisy" if target < 1 else "noisier"
    return (
        f"At the same rate, T is {noisier} than a single network: it has {target:.4g} times its variance. "
        f"Q has {online:.4g} times its variance."
    )


def _span(decay: float, steps: int) -> str:
    """Say what the run shows, and whether it is too short to show the stationary variances."""
    text = "Q, T and the single network of the same rate, from 0 and with the same noise in every step."
    if decay > 0 and steps * decay < 3:
        text += f" At this rate they need {count(1 / decay)} steps to forget it: {steps} show less than the variance."
    return text


def _single(rates: list[float], beta: float) -> dict[str, Any]:
    """Return the variance of single networks over their decay per step, 0 < 1 − λ < 1."""
    if not rates or beta <= 0:
        return {"decay": [], "V": []}
    decay = np.geomspace(max(min(rates) / 2, 1e-7), 0.999, 50)
    return {"decay": decay, "V": [one_dimension.single_variance(1 - float(d), beta) for d in decay]}


def _run(
    alpha: float, c: float, a: float, b: float, alpha_same_rate: float | None, steps: int, seed: int
) -> dict[str, Any]:
    """Simulate Q, T and the single network of the same rate from 0 under the same noise.

    Args:
        alpha: α of Q.
        c: Weight of the old target.
        a: Weight of T in the regression target.
        b: Curvature of QN's regression.
        alpha_same_rate: α of the single network; None if there is none.
        steps: Gradient steps.
        seed: Seed of the noise.

    Returns:
        The paths Q, T and X, each of shape (steps + 1,); X is None without a single network.
    """
    problem = theory.LinearTD.scalar(a, b)
    pair = problem.simulate(alpha, c, steps, noise=1.0, seed=seed, q0=[0.0])
    X = None
    if alpha_same_rate is not None:
        X = problem.simulate(alpha_same_rate, 0.0, steps, noise=1.0, seed=seed, q0=[0.0]).Q[:, 0]
    return {"Q": pair.Q[:, 0], "T": pair.T[:, 0], "X": X}
