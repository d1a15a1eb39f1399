"""The numbers that an agent's evaluations are summed up by, one of which a study declares as its primary metric."""

from __future__ import annotations

METRICS = {
    "final_return": "greedy return, mean over the last tenth of the evaluations",
    "mean_return": "greedy return, mean over all evaluations (the area under the curve)",
    "best_return": "greedy return of the best evaluation",
}
"""Metrics by name, with what they are; all are columns of `summaries.summarize_agents`."""

DEFAULT_METRIC = "final_return"
