"""The numbers that sum up an agent's evaluations, one of which a study declares as its primary metric."""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """A number of an agent, from its greedy evaluations."""

    title: str
    meaning: str


METRICS = {
    "final_return": Metric("final greedy return", "greedy return, mean over the last tenth of the evaluations"),
    "mean_return": Metric("mean greedy return", "greedy return, mean over all evaluations: the area under the curve"),
    "best_return": Metric("best greedy return", "greedy return of the best evaluation"),
}
"""Metrics by name; all are columns of `summaries.summarize_agents`."""

DEFAULT_METRIC = "final_return"
