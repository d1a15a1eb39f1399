"""The returns of a run's best checkpoints on fresh episodes, stored in the run folder as `best_returns.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from softstep.files import json_text
from softstep.runs.run_folder import RunFolder, read_result, write_results
from softstep.runs.tables import read_curves

BEST_RETURNS_FILE = "best_returns.json"


class BestReturn(NamedTuple):
    """What the best checkpoint of an agent is worth."""

    arm: str
    seed: int
    env_steps: int
    """Environment steps at the agent's best evaluation in training; 0 if it has no best checkpoint."""
    eval_return: float
    """Mean return of that evaluation, which is biased upwards: it is the best of many. NaN without one."""
    fresh_return: float
    """Mean return of the same weights on fresh episodes. NaN without a best checkpoint."""


class BestReturns(NamedTuple):
    """The best returns of a run's agents, and how they were measured."""

    agents: tuple[BestReturn, ...]
    """In the order of the blocks; agents of blocks without a checkpoint are missing."""
    episodes: int
    """Fresh episodes per agent, the same for all."""
    seconds: float
    """Wall time that playing them took."""


def write_best_returns(run: RunFolder, best: BestReturns) -> None:
    """Write the best returns into the run folder."""
    fields = best._asdict() | {"agents": [agent._asdict() for agent in best.agents]}
    write_results(run, {BEST_RETURNS_FILE: json_text(fields, indent=2).encode()})


def read_best_returns(run: RunFolder) -> BestReturns | None:
    """Read the best returns of a run; None if they have not been measured, or the file is damaged."""
    try:
        fields = json.loads(read_result(run.path, BEST_RETURNS_FILE) or "null")
        return None if fields is None else BestReturns(_agents(fields["agents"]), fields["episodes"], fields["seconds"])
    except (ValueError, KeyError, TypeError):
        return None


def current_best_returns(run: RunFolder) -> BestReturns | None:
    """Read the best returns of a run if they are those of its best evaluations so far, and else None.

    They are not if the run has gone on since and an evaluation was better. Nothing is played, and no network is read.
    """
    stored = read_best_returns(run)
    if stored is None:
        return None
    best = _best_evaluations(run)
    return stored if all(_is_current(agent, best.get((agent.arm, agent.seed))) for agent in stored.agents) else None


def _best_evaluations(run: RunFolder) -> dict[tuple[str, int], tuple[int, float]]:
    """Return (environment steps, mean return) of every agent's best evaluation, the first of equals, undiverged."""
    best: dict[tuple[str, int], tuple[int, float]] = {}
    columns = read_curves(run).select("arm", "seed", "env_steps", "eval_return", "diverged")
    for arm, seed, steps, value, diverged in columns.sort("env_steps", maintain_order=True).iter_rows():
        if value is not None and math.isfinite(value) and not diverged:
            first = best.setdefault((arm, seed), (steps, value))
            if value > first[1]:
                best[arm, seed] = steps, value
    return best


def _is_current(stored: BestReturn, best: tuple[int, float] | None) -> bool:
    """Return whether a stored result is of an agent's best evaluation, whose weights may never have been kept."""
    if stored.env_steps:
        return best == (stored.env_steps, stored.eval_return)
    return best is None or best[1] <= stored.eval_return  # False for NaN: then there was no evaluation


def _agents(rows: Sequence[Mapping[str, object]]) -> tuple[BestReturn, ...]:
    return tuple(BestReturn(**{k: math.nan if v is None else v for k, v in row.items()}) for row in rows)  # type: ignore[arg-type]
