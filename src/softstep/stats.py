"""Statistics of returns, in NumPy and SciPy; knows nothing of agents."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Float


class ReturnStatistics(NamedTuple):
    """What one agent's greedy returns say."""

    mean: float
    iqm: float
    """Interquartile mean: of the middle half."""
    sd: float
    low: float
    """Lower end of the 95 % interval of the mean."""
    high: float


def return_statistics(returns: Float[np.ndarray, " episodes"]) -> ReturnStatistics:
    """Mean, interquartile mean, standard deviation and 95 % interval (Student's t) of the mean of returns (episodes,).

    Source of the IQM: Agarwal et al. 2021. The interval is NaN for a single episode.
    """
    mean, count = float(np.mean(returns)), len(returns)
    sd = float(np.std(returns, ddof=1)) if count > 1 else math.nan
    half = float(scipy.stats.t.ppf(0.975, count - 1)) * sd / math.sqrt(count) if count > 1 else math.nan
    return ReturnStatistics(mean, float(scipy.stats.trim_mean(returns, 0.25)), sd, mean - half, mean + half)
