"""Claims about the soft update, declared before the data are seen, and what a comparison's tables say of each.

Greedy returns are compared by the mean of an agent's last tenth of evaluations, paired by seed, against a margin δ
below which a difference does not matter. The interval is Student's t at 95 %, p an exact sign-flip test of no
difference, adjusted by Holm over all claims that rest on seeds. A diverged agent scores the environment's floor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float

from softstep.comparison.claims import (
    BLENDED_EQUALS,
    FIRST_UPDATE_EQUAL,
    RETURN_CLAIMS,
    SECOND_UPDATE_DIFFERS,
    SOFT_EQUALS_HARD,
    SOFT_SMOOTHER,
    Y_MOVES_LESS,
    Claim,
)
from softstep.comparison.decision_rules import Word, _equal, _smaller, beats
from softstep.comparison.scores import Declared, by_agent, declared, final_return, values_of
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.stats import Paired, holm, paired_difference

Measure = Callable[[pl.DataFrame], float]

MIN_SEEDS = 8
"""Fewest pairs that are judged: the smallest p of eight, 2/2⁸, survives Holm over six claims."""
EQUAL = 1e-8
"""Largest distance, relative to the distance travelled, that counts as equal in float64."""
DIFFERENT = 1e-3
"""Smallest relative distance that counts as different."""


class Verdict(NamedTuple):
    """A claim, what was measured and what that says."""

    claim: str
    statement: str
    estimand: str
    estimate: float
    low: float
    """Lower end of the 95 % interval; NaN for a claim without chance in it."""
    high: float
    p: float
    p_holm: float
    """p adjusted for the number of claims."""
    verdict: Word
    arms: tuple[str, ...]
    n: int
    """Pairs of seeds, or rows of the table of first steps."""


def judge(
    curves: pl.DataFrame,
    config: Config,
    first_steps: Sequence[Any] | None,
    *,
    margin: float | None = None,
    floor: float | None = None,
) -> list[Verdict]:
    """A verdict on every claim whose arms and columns are in `curves`, the exact claims before the measured ones.

    curves: one row per agent and record, with arm, seed, env_steps, gradient_steps, train_return, eval_return and
    diverged; the claims on y need y_drift or y_rms, and y_sd. first_steps: mappings or named tuples of optimizer,
    update, t_x = ‖T − X‖/‖X − X₀‖ and w_x = ‖W − X‖/‖X − X₀‖, for the target T of the soft update, the one blended
    network W and the one network X at the smaller step. margin, floor: in place of those in `DECLARED`.
    Errors: ConfigError for a doubled seed, arms without a common seed, runs without an evaluation, and an
    environment without a declared margin and floor.
    """
    check_seeds(curves)
    exact = list(_judge_first_steps(first_steps or ()))
    measured = [*_judge_returns(curves, config, margin, floor), *_judge_y(curves)]
    adjusted = holm([found.p for _, _, found, _ in measured])
    return exact + [
        Verdict(
            claim.name, claim.statement, estimand, found.estimate, found.low, found.high, found.p, p_holm,
            "exploratory" if found.n < MIN_SEEDS else word(found, p_holm), claim.arms, found.n,
        )
        for (claim, estimand, found, word), p_holm in zip(measured, adjusted, strict=True)
    ]  # fmt: skip


def to_json(verdicts: Sequence[Verdict]) -> str:
    """A JSON list of objects, low and high as `interval`; what is not a finite number is null."""

    def plain(value: float) -> float | None:
        return value if math.isfinite(value) else None

    rows = [
        {
            "claim": v.claim, "statement": v.statement, "estimand": v.estimand, "estimate": plain(v.estimate),
            "interval": [plain(v.low), plain(v.high)], "p": plain(v.p), "p_holm": plain(v.p_holm),
            "verdict": v.verdict, "arms": list(v.arms), "n": v.n,
        }
        for v in verdicts
    ]  # fmt: skip
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False)


def check_seeds(curves: pl.DataFrame) -> None:
    """Find a doubled seed: two seeds of an arm with the same records, returns and all; ConfigError names both.

    Records are compared where there are at least three and a column that varies: agents that never reach the goal
    all score the same.
    """
    seen: dict[tuple[str, bytes], int] = {}
    for (arm, seed), agent in by_agent(curves).items():
        names = [name for name in ("train_return", "eval_return", "loss", "q_mean") if name in agent.columns]
        columns = np.stack([values_of(agent, name) for name in names])
        if agent.height < 3 or not any(len(np.unique(c[np.isfinite(c)])) > 1 for c in columns):
            continue
        content = np.where(np.isnan(columns), np.nan, columns).tobytes()  # one bit pattern for NaN
        other = seen.setdefault((arm, content), seed)
        if other != seed:
            raise ConfigError(
                f"seeds {other} and {seed} of arm {arm!r} are one run under two names: train them anew with two seeds"
            )


def _judge_first_steps(first_steps: Sequence[Any]) -> Iterator[Verdict]:
    """Verdicts on the claims that hold or fail without chance, each by its worst row; none for an absent update."""
    rows: list[Mapping[str, Any]] = [row if isinstance(row, Mapping) else row._asdict() for row in first_steps]
    t_first = np.array([row["t_x"] for row in rows if row["update"] == 1], float)
    t_later = np.array([row["t_x"] for row in rows if row["update"] >= 2], float)
    blended = np.array([row["w_x"] for row in rows], float)
    if t_first.size:
        worst = float(np.max(t_first))
        estimand = f"largest ‖T − X‖/‖X − X₀‖ after update 1, below {EQUAL:g}"
        yield _exact(FIRST_UPDATE_EQUAL, estimand, worst, worst < EQUAL, t_first.size)
    if t_later.size:
        worst = float(np.min(t_later))
        estimand = f"smallest ‖T − X‖/‖X − X₀‖ from update 2 on, above {DIFFERENT:g}"
        yield _exact(SECOND_UPDATE_DIFFERS, estimand, worst, worst > DIFFERENT, t_later.size)
    if blended.size:
        worst = float(np.max(blended))
        estimand = f"largest ‖W − X‖/‖X − X₀‖ after any update, below {EQUAL:g}"
        yield _exact(BLENDED_EQUALS, estimand, worst, worst < EQUAL, blended.size)


def _exact(claim: Claim, estimand: str, worst: float, holds: bool, rows: int) -> Verdict:
    word: Word = "supported" if holds else "refuted"
    nan = math.nan
    return Verdict(claim.name, claim.statement, estimand, worst, nan, nan, nan, nan, word, claim.arms, rows)


class _Measured(NamedTuple):
    """A claim before its p is adjusted for the others."""

    claim: Claim
    estimand: str
    found: Paired
    word: Callable[[Paired, float], Word]


def _judge_returns(
    curves: pl.DataFrame, config: Config, margin: float | None, floor: float | None
) -> Iterator[_Measured]:
    """The claims on greedy returns whose arms are there."""
    arms = set(curves["arm"].unique())
    named = (claim if claim.arms[0] in arms else _with_soft(claim) for claim in (*RETURN_CLAIMS, SOFT_EQUALS_HARD))
    claims = [claim for claim in named if arms.issuperset(claim.arms)]
    if not claims:
        return
    fixed = declared(config.env, margin, floor)
    if not np.isfinite(values_of(curves, "eval_return")).any():
        raise ConfigError(f"eval_every = {config.eval_every}: these runs have no evaluation to compare; set eval_every")
    for claim in claims:
        found = paired_difference(*_paired(curves, claim, partial(final_return, floor=fixed.floor)))
        word = _equal if claim.name == SOFT_EQUALS_HARD.name else beats
        yield _Measured(claim, _return_estimand(claim, fixed), found, partial(word, margin=fixed.margin))


def _with_soft(claim: Claim) -> Claim:
    """The claim with `soft` in place of the absent `best-soft`."""
    return claim._replace(arms=("soft", claim.arms[1]))


def _return_estimand(claim: Claim, fixed: Declared) -> str:
    return (
        f"mean over seeds of the final greedy return (last 10 % of evaluations; {fixed.floor:g} if diverged), "
        f"{claim.arms[0]} − {claim.arms[1]}; margin {fixed.margin:g}"
    )


def _paired(
    curves: pl.DataFrame, claim: Claim, measure: Measure
) -> tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " seeds"]]:
    """The measure of both arms (seeds,), over the seeds that both have; ConfigError where there is none."""
    first, second = (
        {seed: measure(agent) for (_, seed), agent in by_agent(curves.filter(pl.col("arm") == arm)).items()}
        for arm in claim.arms
    )
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        raise ConfigError(
            f"arms {claim.arms[0]!r} and {claim.arms[1]!r} have no seed in common: train both on the same"
        )
    return np.array([first[seed] for seed in seeds]), np.array([second[seed] for seed in seeds])


def _judge_y(curves: pl.DataFrame) -> Iterator[_Measured]:
    """The claims on how y moves whose arms and columns are there, as ratios: first / second."""
    arms, columns = set(curves["arm"].unique()), set(curves.columns)
    for claim, column, measure, what in (
        (Y_MOVES_LESS, "y_drift", _mean_move, "mean |Δy| per update"),
        (SOFT_SMOOTHER, "y_rms", _rms_move, "RMS of Δy per update"),
    ):
        if not (arms.issuperset(claim.arms) and columns.issuperset({column, "y_sd"})):
            continue
        logs = np.log(np.stack(_paired(curves, claim, measure)))
        first, second = logs[:, np.isfinite(logs).all(axis=0)]
        estimand = (
            f"geometric mean over seeds of the {what} in standard deviations of y, {claim.arms[0]} / {claim.arms[1]}"
        )
        yield _Measured(claim, estimand, _exponentiated(paired_difference(first, second)), _smaller)


def _moves(agent: pl.DataFrame, column: str) -> Float[np.ndarray, "2 records"]:
    """A column and y_sd, once learning has started, where both are finite."""
    both = np.stack([values_of(agent, column), values_of(agent, "y_sd")])
    return both[:, np.isfinite(both).all(axis=0) & (values_of(agent, "gradient_steps") > 0)]


def _mean_move(agent: pl.DataFrame) -> float:
    """Mean |Δy| over mean SD of y; NaN without a positive one of both."""
    move, sd = _moves(agent, "y_drift")
    return _ratio(float(move.sum()), float(sd.sum()))


def _rms_move(agent: pl.DataFrame) -> float:
    """Root of the mean squared Δy over mean SD of y; NaN without a positive one of both."""
    move, sd = _moves(agent, "y_rms")
    return _ratio(math.sqrt(float((move**2).sum()) * move.size), float(sd.sum()))


def _ratio(above: float, below: float) -> float:
    return above / below if above > 0 and below > 0 else math.nan


def _exponentiated(found: Paired) -> Paired:
    """The paired difference of logarithms as a ratio."""
    return found._replace(estimate=math.exp(found.estimate), low=math.exp(found.low), high=math.exp(found.high))
