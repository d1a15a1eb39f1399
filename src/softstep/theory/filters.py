"""The target as a first-order low-pass filter of the online parameters: H(z) = (1−c)/(1 − c·z⁻¹).

Time counts gradient steps, with one update per step in order "post": T_t = Σ_j (1−c)·c^j·Q_{t−j}.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from softstep.theory.checks import Array, Spectrum, check_c, check_count, real_array


def impulse_response(c: float, n: int) -> Array:
    """Return the weight (1−c)·c^j of the online parameters j steps ago, j = 0 … n−1.

    The shape is (n,); the weights sum to 1 as n grows.
    """
    weight = float(check_c(c))
    return np.asarray((1 - weight) * weight ** np.arange(check_count("n", n, 0)))


def step_response(c: float, n: int) -> Array:
    """Return the fraction 1 − c^{j+1} of a sudden change of Q that T shows after j + 1 updates, j = 0 … n−1.

    The shape is (n,).
    """
    return np.asarray(1 - float(check_c(c)) ** np.arange(1, check_count("n", n, 0) + 1))


def frequency_response(c: float, omega: Any) -> Spectrum:
    """Return H(e^{iω}) = (1−c)/(1 − c·e^{−iω}) for ω in radians per gradient step, any shape.

    H(0) = 1 is the DC gain. |H|² = ½ at ω = 2·asin((1−c)/(2√c)), which exists for c ≥ 3 − 2√2
    (`TargetUpdate.cutoff`).
    """
    weight = float(check_c(c))
    return np.asarray((1 - weight) / (1 - weight * np.exp(-1j * real_array("omega", omega))))
