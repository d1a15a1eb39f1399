"""Judge a comparison: what its tables say of the claims that were declared before the data were seen.

Greedy returns are compared by the mean of an agent's last tenth of evaluations, paired by seed, against a margin δ
below which a difference does not matter. The interval is Student's t at 95 %. p is an exact sign-flip test of no
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
    ACTOR_TARGET_NOT_NEEDED,
    BLENDED_EQUALS,
    CRITIC_TARGET_NEEDED,
    FIRST_UPDATE_EQUAL,
    RETURN_CLAIMS,
    SECOND_UPDATE_DIFFERS,
    SOFT_EQUALS_HARD,
    SOFT_SMOOTHER,
    Y_MOVES_LESS,
    Claim,
)
from softstep.comparison.decision_rules import (
    VerdictWord,
    decide_equivalence,
    decide_not_lower,
    decide_smaller_ratio,
    decide_superiority,
)
from softstep.comparison.scores import ReturnCriteria, by_agent, final_return, return_criteria, values_of
from softstep.comparison.target_moves import mean_move, rms_move
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.stats import Paired, holm, paired_difference

MIN_SEEDS = 8
"""Fewest pairs that are judged: the smallest p of eight, 2/2⁸, survives Holm over six claims."""
EQUAL_DISTANCE = 1e-8
"""Distances below this, relative to the distance travelled, count as equal in float64."""
DIFFERENT_DISTANCE = 1e-3
"""Relative distances above this count as different."""

RETURN_RULES = (
    *((claim, decide_superiority) for claim in RETURN_CLAIMS),
    (SOFT_EQUALS_HARD, decide_equivalence),
    (CRITIC_TARGET_NEEDED, decide_superiority),
    (ACTOR_TARGET_NOT_NEEDED, decide_not_lower),
)
"""Claims on greedy returns, and how each is decided."""


class Verdict(NamedTuple):
    """A claim, what was measured and what that says of the claim."""

    claim: str
    statement: str
    estimand: str
    estimate: float
    low: float
    """Lower end of the 95 % interval; NaN for a claim that does not rest on seeds."""
    high: float
    p: float
    p_holm: float
    """p adjusted for the number of claims."""
    verdict: VerdictWord
    arms: tuple[str, ...]
    n: int
    """Number of pairs of seeds, or of rows of the table of first steps."""


class _MeasuredClaim(NamedTuple):
    """A claim that rests on seeds, before its p is adjusted for the other claims."""

    claim: Claim
    estimand: str
    measured: Paired
    decide: Callable[[Paired, float], VerdictWord]
    """(measured, adjusted p) → verdict."""

    def verdict(self, p_holm: float) -> Verdict:
        claim, estimand, measured, decide = self
        word = "exploratory" if measured.n < MIN_SEEDS else decide(measured, p_holm)
        return Verdict(
            claim.name, claim.statement, estimand, measured.estimate, measured.low, measured.high, measured.p, p_holm,
            word, claim.arms, measured.n,
        )  # fmt: skip


def judge_claims(
    curves: pl.DataFrame,
    config: Config,
    first_steps: Sequence[Any] | None,
    *,
    margin: float | None = None,
    floor: float | None = None,
) -> list[Verdict]:
    """Judge every claim whose arms and columns are in `curves`.

    Args:
        curves: one row per agent and record, with arm, seed, env_steps, gradient_steps, train_return, eval_return and
            diverged; the claims on y also need y_drift or y_rms, and y_sd.
        config: the configuration of the run.
        first_steps: mappings or named tuples of optimizer, update, t_x = ‖T − X‖/‖X − X₀‖ and w_x = ‖W − X‖/‖X − X₀‖,
            for the target network T of the soft update, the one blended network W and the one network X at the
            smaller step; with an actor, those of the critics, which have no W.
        margin: δ, in place of the one in `RETURN_CRITERIA`.
        floor: score of a diverged agent, in place of the one in `RETURN_CRITERIA`.

    Returns:
        The verdicts: first those on the exact claims, then those on the claims that rest on seeds.

    Raises:
        ConfigError: two seeds are identical, two arms have no seed in common, the run has no evaluation, or the
            environment has no margin and floor.
    """
    check_distinct_seeds(curves)
    exact = list(_judge_first_steps(first_steps or (), of_critics=config.continuous))
    measured = [*_measure_returns(curves, config, margin, floor), *_measure_target_moves(curves)]
    adjusted = holm([claim.measured.p for claim in measured])
    return exact + [claim.verdict(p_holm) for claim, p_holm in zip(measured, adjusted, strict=True)]


def verdicts_to_json(verdicts: Sequence[Verdict]) -> str:
    """Return a JSON list of objects, with low and high as `interval` and null for numbers that are not finite."""

    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    rows = [
        {
            "claim": v.claim, "statement": v.statement, "estimand": v.estimand, "estimate": finite(v.estimate),
            "interval": [finite(v.low), finite(v.high)], "p": finite(v.p), "p_holm": finite(v.p_holm),
            "verdict": v.verdict, "arms": list(v.arms), "n": v.n,
        }
        for v in verdicts
    ]  # fmt: skip
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False)


def check_distinct_seeds(curves: pl.DataFrame) -> None:
    """Raise ConfigError if two seeds of an arm have identical records.

    Agents are compared only if they have at least three records and a column that varies, because agents that never
    reach the goal all score the same.
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
                f"seeds {other} and {seed} of arm {arm!r} have identical records: retrain with distinct seeds"
            )


def _judge_first_steps(first_steps: Sequence[Any], *, of_critics: bool) -> Iterator[Verdict]:
    """Yield verdicts on the exact claims, each decided by its worst row; claims without a row are left out.

    Of critics, the claim on one blended network is left out: their steps also depend on an actor, which is not blended.
    """
    rows: list[Mapping[str, Any]] = [row if isinstance(row, Mapping) else row._asdict() for row in first_steps]
    t_first = np.array([row["t_x"] for row in rows if row["update"] == 1], float)
    t_later = np.array([row["t_x"] for row in rows if row["update"] >= 2], float)
    blended = np.array([] if of_critics else [row["w_x"] for row in rows], float)
    networks = " of the critics" if of_critics else ""
    if t_first.size:
        worst = float(np.max(t_first))
        estimand = f"largest ‖T − X‖/‖X − X₀‖{networks} after update 1, below {EQUAL_DISTANCE:g}"
        yield _exact_verdict(FIRST_UPDATE_EQUAL, estimand, worst, worst < EQUAL_DISTANCE, t_first.size)
    if t_later.size:
        worst = float(np.min(t_later))
        estimand = f"smallest ‖T − X‖/‖X − X₀‖{networks} from update 2 on, above {DIFFERENT_DISTANCE:g}"
        yield _exact_verdict(SECOND_UPDATE_DIFFERS, estimand, worst, worst > DIFFERENT_DISTANCE, t_later.size)
    if blended.size:
        worst = float(np.max(blended))
        estimand = f"largest ‖W − X‖/‖X − X₀‖ after any update, below {EQUAL_DISTANCE:g}"
        yield _exact_verdict(BLENDED_EQUALS, estimand, worst, worst < EQUAL_DISTANCE, blended.size)


def _exact_verdict(claim: Claim, estimand: str, worst: float, holds: bool, num_rows: int) -> Verdict:
    word: VerdictWord = "supported" if holds else "refuted"
    nan = math.nan
    return Verdict(claim.name, claim.statement, estimand, worst, nan, nan, nan, nan, word, claim.arms, num_rows)


def _measure_returns(
    curves: pl.DataFrame, config: Config, margin: float | None, floor: float | None
) -> Iterator[_MeasuredClaim]:
    """Yield the claims on greedy returns whose arms are in `curves`, measured."""
    arms = set(curves["arm"].unique())
    claims = [(_for_arms(claim, arms), decide) for claim, decide in RETURN_RULES]
    claims = [(claim, decide) for claim, decide in claims if arms.issuperset(claim.arms)]
    if not claims:
        return
    criteria = return_criteria(config.env, margin, floor)
    if not np.isfinite(values_of(curves, "eval_return")).any():
        raise ConfigError(f"eval_every = {config.eval_every}: these runs have no evaluation to compare; set eval_every")
    for claim, decide in claims:
        difference = paired_difference(*_paired_measures(curves, claim, partial(final_return, floor=criteria.floor)))
        estimand = _return_estimand(claim, criteria)
        yield _MeasuredClaim(claim, estimand, difference, partial(decide, margin=criteria.margin))


def _for_arms(claim: Claim, arms: set[str]) -> Claim:
    """Return the claim with `soft` as its first arm if that is `best-soft`, which was not trained."""
    replaced = claim.arms[0] == "best-soft" and "best-soft" not in arms
    return claim._replace(arms=("soft", claim.arms[1])) if replaced else claim


def _return_estimand(claim: Claim, criteria: ReturnCriteria) -> str:
    return (
        f"mean over seeds of the final greedy return (last 10 % of evaluations; {criteria.floor:g} if diverged), "
        f"{claim.arms[0]} − {claim.arms[1]}; margin {criteria.margin:g}"
    )


def _paired_measures(
    curves: pl.DataFrame, claim: Claim, measure: Callable[[pl.DataFrame], float]
) -> tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " seeds"]]:
    """Return the measure of both arms (seeds,) over their common seeds; raise ConfigError if there are none."""
    first, second = (
        {seed: measure(agent) for (_, seed), agent in by_agent(curves.filter(pl.col("arm") == arm)).items()}
        for arm in claim.arms
    )
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        raise ConfigError(
            f"arms {claim.arms[0]!r} and {claim.arms[1]!r} have no seed in common: train both on the same seeds"
        )
    return np.array([first[seed] for seed in seeds]), np.array([second[seed] for seed in seeds])


def _measure_target_moves(curves: pl.DataFrame) -> Iterator[_MeasuredClaim]:
    """Yield the claims on how y moves whose arms and columns are in `curves`, measured as ratios first / second."""
    arms, columns = set(curves["arm"].unique()), set(curves.columns)
    for claim, column, measure, measure_name in (
        (Y_MOVES_LESS, "y_drift", mean_move, "mean |Δy| per update"),
        (SOFT_SMOOTHER, "y_rms", rms_move, "RMS of Δy per update"),
    ):
        if not (arms.issuperset(claim.arms) and columns.issuperset({column, "y_sd"})):
            continue
        logs = np.log(np.stack(_paired_measures(curves, claim, measure)))
        first, second = logs[:, np.isfinite(logs).all(axis=0)]
        estimand = (
            f"geometric mean over seeds of the {measure_name} in standard deviations of y,"
            f" {claim.arms[0]} / {claim.arms[1]}"
        )
        yield _MeasuredClaim(claim, estimand, _exponentiated(paired_difference(first, second)), decide_smaller_ratio)


def _exponentiated(difference: Paired) -> Paired:
    """Return the paired difference of logarithms as a ratio."""
    return difference._replace(
        estimate=math.exp(difference.estimate), low=math.exp(difference.low), high=math.exp(difference.high)
    )
