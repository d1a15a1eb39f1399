"""Tests of verdicts on planted data."""

import json
import math
from typing import NamedTuple

import gymnasium
import numpy as np
import polars as pl
import pytest

from softstep.comparison.judge import check_distinct_seeds, judge_claims, verdicts_to_json
from softstep.comparison.scores import RETURN_CRITERIA, return_criteria
from softstep.config import Config
from softstep.errors import ConfigError

LANDER = Config(env="LunarLander-v3", eval_every=1_000)
RECORDS = 20
RETURN_CLAIMS = {
    "soft-beats-smaller-alpha",
    "soft-beats-same-alpha",
    "no-smaller-alpha-matches-soft",
    "soft-equals-hard",
}


def make_curves(returns, seeds=10, noise=5.0, start=0, **columns):
    """Make curves of arms that end at `returns`, with independent noise.

    columns: name → function of (arm, seed, record).
    """
    generator = np.random.default_rng(start)
    rows = []
    for arm, level in returns.items():
        for seed in range(seeds):
            end = level + noise * generator.normal()
            for record in range(RECORDS):
                rows.append({
                    "arm": arm, "seed": seed, "env_steps": 1_000 * (record + 1), "gradient_steps": 250 * record,
                    "train_return": 10.0 * record + generator.normal(), "diverged": False,
                    "eval_return": end if record >= 10 else 10.0 * record,
                } | {name: column(arm, seed, record) for name, column in columns.items()})  # fmt: skip
    return pl.DataFrame(rows)


def set_where(curves, column, value, **where):
    condition = pl.all_horizontal(pl.col(name) == required for name, required in where.items())
    return curves.with_columns(pl.when(condition).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))


def verdict_on(claim, verdicts):
    (verdict,) = [verdict for verdict in verdicts if verdict.claim == claim]
    return verdict


def judge_soft_against_smaller(soft, other, config=LANDER, **options):
    curves = make_curves({"soft": soft, "smaller-alpha": other}, **options)
    return verdict_on("soft-beats-smaller-alpha", judge_claims(curves, config, None))


def test_a_planted_difference_is_supported():
    verdict = judge_soft_against_smaller(200.0, 100.0)
    assert verdict.verdict == "supported"
    assert verdict.low < 100 < verdict.high
    assert verdict.low > 20
    assert verdict.p == verdict.p_holm == 2 / 2**10
    assert (verdict.arms, verdict.n) == (("soft", "smaller-alpha"), 10)


@pytest.mark.parametrize(
    ("soft", "other", "noise", "word"),
    [
        (100.0, 200.0, 5.0, "refuted"),
        (115.0, 100.0, 15.0, "inconclusive"),  # the interval holds the margin
        (130.0, 100.0, 25.0, "inconclusive"),  # clearly above 0, not clearly above the margin
        (105.0, 100.0, 3.0, "equivalent"),
        (100.0, 110.0, 15.0, "refuted"),  # the interval reaches below −δ, not up to δ
    ],
)
def test_every_verdict_is_reached(soft, other, noise, word):
    assert judge_soft_against_smaller(soft, other, noise=noise).verdict == word


@pytest.mark.parametrize(
    ("hard", "noise", "word"),
    [(102.0, 3.0, "equivalent"), (200.0, 5.0, "refuted"), (0.0, 5.0, "refuted"), (115.0, 20.0, "inconclusive")],
)
def test_equivalence_is_judged_by_the_interval(hard, noise, word):
    curves = make_curves({"soft": 100.0, "hard": hard}, noise=noise)
    assert verdict_on("soft-equals-hard", judge_claims(curves, LANDER, None)).verdict == word


def test_an_arm_against_itself_is_never_better():
    for repeat in range(20):
        arms = dict.fromkeys(("soft", "smaller-alpha", "same-alpha", "hard", "best-alpha"), 100.0)
        verdicts = judge_claims(make_curves(arms, noise=60.0, start=repeat), LANDER, None)
        assert {v.claim for v in verdicts} == RETURN_CLAIMS
        assert "supported" not in {v.verdict for v in verdicts}


def test_seven_seeds_are_too_few_for_a_verdict():
    verdict = judge_soft_against_smaller(200.0, 100.0, seeds=7)
    assert verdict.verdict == "exploratory"
    assert verdict.low > 20
    assert judge_soft_against_smaller(200.0, 100.0, seeds=8).verdict == "supported"


def test_a_claim_is_judged_only_if_its_arms_were_trained():
    assert judge_claims(make_curves({"soft": 1.0}), LANDER, None) == []
    assert judge_claims(make_curves({"agent": 1.0}), Config(env="Other-v0"), None) == []
    verdicts = judge_claims(make_curves({"soft": 1.0, "same-alpha": 2.0}), LANDER, [])
    assert [verdict.claim for verdict in verdicts] == ["soft-beats-same-alpha"]


def test_best_soft_replaces_soft_in_the_headline_claim_if_trained():
    arms = {"soft": 0.0, "best-alpha": 50.0, "best-soft": 100.0}
    verdict = verdict_on("no-smaller-alpha-matches-soft", judge_claims(make_curves(arms), LANDER, None))
    assert (verdict.arms, verdict.verdict) == (("best-soft", "best-alpha"), "supported")
    del arms["best-soft"]
    verdict = verdict_on("no-smaller-alpha-matches-soft", judge_claims(make_curves(arms), LANDER, None))
    assert (verdict.arms, verdict.verdict) == (("soft", "best-alpha"), "refuted")


def test_the_final_return_is_the_mean_of_an_agents_last_tenth_of_evaluations():
    """Of 12 evaluations the last ⌈1.2⌉ = 2 count; rows without an evaluation and the order of rows do not matter."""
    curves = make_curves({"soft": 0.0, "smaller-alpha": 0.0}, noise=0.0)
    evaluated = pl.when(pl.col("env_steps") > 12_000).then(math.nan).otherwise(pl.col("env_steps") / 1_000)
    curves = curves.with_columns(pl.when(pl.col("arm") == "soft").then(evaluated).otherwise(3.0).alias("eval_return"))
    shuffled = curves.sample(fraction=1, shuffle=True, seed=1)
    verdict = verdict_on("soft-beats-smaller-alpha", judge_claims(shuffled, LANDER, None))
    assert verdict.estimate == pytest.approx((11 + 12) / 2 - 3)


@pytest.mark.parametrize("gap", [None, math.nan])
def test_a_diverged_agent_scores_the_floor(gap):
    curves = make_curves({"soft": 200.0, "smaller-alpha": 200.0}, noise=0.0)
    curves = set_where(curves, "diverged", True, arm="soft", seed=3, env_steps=20_000)
    verdict = verdict_on("soft-beats-smaller-alpha", judge_claims(curves, LANDER, None))
    assert (verdict.estimate, verdict.n) == (-70.0, 10)  # one of ten falls from 200 to −500
    stopped = curves.filter((pl.col("seed") != 3) | (pl.col("arm") != "soft") | (pl.col("env_steps") <= 2_000))
    stopped = set_where(stopped, "eval_return", gap, arm="soft", seed=3)
    assert verdict_on("soft-beats-smaller-alpha", judge_claims(stopped, LANDER, None)).estimate == -70.0
    assert verdict_on("soft-beats-smaller-alpha", judge_claims(stopped, LANDER, None, floor=0.0)).estimate == -20.0


def test_an_agent_that_diverged_and_recovered_keeps_its_returns():
    curves = make_curves({"soft": 200.0, "smaller-alpha": 200.0}, noise=0.0)
    curves = set_where(curves, "diverged", True, arm="soft", seed=3, env_steps=5_000)
    assert verdict_on("soft-beats-smaller-alpha", judge_claims(curves, LANDER, None)).estimate == 0.0


def test_agents_are_paired_by_the_common_seeds_of_both_arms():
    curves = make_curves({"soft": 0.0, "smaller-alpha": 0.0}, noise=0.0).with_columns(
        eval_return=pl.col("seed") * 100.0 + pl.when(pl.col("arm") == "soft").then(30.0).otherwise(0.0)
    )
    kept = curves.filter((pl.col("arm") == "soft") | (pl.col("seed") > 0))
    verdict = verdict_on("soft-beats-smaller-alpha", judge_claims(kept.reverse(), LANDER, None))
    assert (verdict.estimate, verdict.low, verdict.n) == (30.0, 30.0, 9)
    apart = curves.filter((pl.col("arm") == "soft") == (pl.col("seed") < 5))
    with pytest.raises(ConfigError, match="'soft' and 'smaller-alpha' have no seed in common"):
        judge_claims(apart, LANDER, None)


def test_runs_without_an_evaluation_are_rejected():
    curves = make_curves({"soft": 0.0, "hard": 0.0}).with_columns(eval_return=math.nan)
    with pytest.raises(ConfigError, match="set eval_every"):
        judge_claims(curves, LANDER, None)


@pytest.mark.parametrize("name", sorted(RETURN_CRITERIA.keys() - {"Pendulum-v1"}))
def test_the_margin_is_a_tenth_of_gymnasiums_reward_threshold(name):
    assert return_criteria(f"gymnax:{name}").margin == pytest.approx(abs(gymnasium.spec(name).reward_threshold) / 10)


def test_another_environment_needs_its_margin_and_floor():
    curves, config = make_curves({"soft": 90.0, "smaller-alpha": 0.0}), Config(env="Other-v0", eval_every=1_000)
    with pytest.raises(ConfigError, match=r"^Other-v0 has no declared .* set margin and floor$"):
        judge_claims(curves, config, None)
    with pytest.raises(ConfigError, match=r"set floor$"):
        judge_claims(curves, config, None, margin=5.0)
    verdict = verdict_on("soft-beats-smaller-alpha", judge_claims(curves, config, None, margin=5.0, floor=-1.0))
    assert verdict.verdict == "supported"
    assert "margin 5" in verdict.estimand


def test_given_criteria_override_the_declared_ones():
    assert return_criteria("envpool:CartPole-v1", floor=-3.0) == (47.5, -3.0)
    assert return_criteria("CartPole-v1", margin=1.0) == (1.0, 0.0)
    for wrong, message in (
        ({"margin": 0.0}, "margin = 0 must be above 0"),
        ({"margin": math.nan}, "margin = nan must be above 0"),
        ({"floor": -math.inf}, "floor = -inf must be finite"),
    ):
        with pytest.raises(ConfigError, match=message):
            return_criteria("CartPole-v1", **wrong)


def moves(soft, other, **options):
    """Make curves whose y moves by the given shares of its SD; the first record, before learning, is far off."""
    rates = {"soft": soft, "same-alpha": other, "hard": other}
    noise = np.random.default_rng(1).lognormal(0, options.pop("spread", 0.05), (10, RECORDS))
    columns = {
        name: lambda arm, seed, record: 1e6 if record == 0 else rates[arm] * noise[seed, record] * (record + 1.0)
        for name in ("y_drift", "y_rms")
    }
    columns["y_sd"] = lambda arm, seed, record: record + 1.0
    return make_curves(dict.fromkeys(rates, 100.0), **columns, **options)


def test_target_moves_are_judged_as_a_ratio_of_paired_runs():
    verdicts = judge_claims(moves(0.1, 0.2), LANDER, None)
    for claim, arms in (("y-moves-less", ("soft", "same-alpha")), ("soft-smoother-than-hard", ("soft", "hard"))):
        verdict = verdict_on(claim, verdicts)
        assert (verdict.verdict, verdict.arms, verdict.n) == ("supported", arms, 10)
        assert (verdict.estimate, verdict.low, verdict.high) == pytest.approx((0.5, 0.5, 0.5))
    assert verdict_on("y-moves-less", judge_claims(moves(0.2, 0.1), LANDER, None)).verdict == "refuted"


def test_the_ratio_is_the_geometric_mean_over_seeds():
    curves = moves(0.1, 0.1).with_columns(
        y_drift=pl.col("y_drift")
        * pl.when((pl.col("arm") == "soft") & (pl.col("seed") % 2 == 0)).then(4.0).otherwise(1.0)
    )
    verdict = verdict_on("y-moves-less", judge_claims(curves, LANDER, None))
    assert verdict.estimate == pytest.approx(2.0)  # √(4·1), not 2.5
    assert verdict.low < 2 < verdict.high
    assert verdict.low * verdict.high == pytest.approx(verdict.estimate**2)
    assert (verdict.verdict, verdict.n) == ("refuted", 10)
    balanced = curves.with_columns(
        y_drift=pl.col("y_drift") / pl.when(pl.col("arm") == "soft").then(2.0).otherwise(1.0)
    )
    assert verdict_on("y-moves-less", judge_claims(balanced, LANDER, None)).verdict == "inconclusive"


def test_a_run_is_measured_by_its_mean_move_over_its_mean_spread():
    """Records (1, 3) with SDs (1, 1) have mean 2 and RMS √5; a record without a value is left out with its SD."""
    curves = moves(0.1, 0.1, spread=0.0).filter(pl.col("env_steps") <= 4_000)
    value = pl.col("env_steps").replace_strict({1_000: 99.0, 2_000: 1.0, 3_000: 3.0, 4_000: math.nan})
    one = pl.when(pl.col("env_steps") == 4_000).then(50.0).otherwise(1.0)
    soft = pl.col("arm") == "soft"
    curves = curves.with_columns(
        y_drift=pl.when(soft).then(value).otherwise(1.0), y_rms=pl.when(soft).then(value).otherwise(1.0),
        y_sd=pl.when(soft).then(one).otherwise(1.0),
    )  # fmt: skip
    verdicts = judge_claims(curves, LANDER, None)
    assert verdict_on("y-moves-less", verdicts).estimate == pytest.approx(2)
    assert verdict_on("soft-smoother-than-hard", verdicts).estimate == pytest.approx(math.sqrt(5))


def test_a_run_whose_y_was_never_measured_drops_its_pair():
    curves = set_where(moves(0.1, 0.2), "y_drift", math.inf, arm="soft", seed=0)
    assert verdict_on("y-moves-less", judge_claims(curves, LANDER, None)).n == 9
    nothing = set_where(moves(0.1, 0.2), "y_drift", math.nan, arm="soft")
    verdict = verdict_on("y-moves-less", judge_claims(nothing, LANDER, None))
    assert (verdict.verdict, verdict.n) == ("exploratory", 0)


class FirstStep(NamedTuple):
    optimizer: str
    update: int
    t_x: float
    w_x: float


FIRST_STEPS = [
    FirstStep(optimizer, update, 3e-16 if update == 1 else 0.2 + 1 / update, 1e-15 * update)
    for optimizer in ("sgd", "adam")
    for update in (1, 2, 3, 10, 100, 1_000)
]
EXACT_CLAIMS = ["first-update-equal", "second-update-differs", "blended-equals-smaller-alpha"]


@pytest.mark.parametrize("as_mapping", [False, True])
def test_the_first_steps_decide_the_exact_claims(as_mapping):
    rows = [row._asdict() for row in FIRST_STEPS] if as_mapping else FIRST_STEPS
    verdicts = judge_claims(make_curves({"agent": 0.0}, seeds=1), LANDER, rows)
    assert [(v.claim, v.verdict, v.n) for v in verdicts] == [
        (claim, "supported", n) for claim, n in zip(EXACT_CLAIMS, (2, 10, 12), strict=True)
    ]
    assert [v.estimate for v in verdicts] == pytest.approx([3e-16, 0.201, 1e-12])
    assert all(math.isnan(x) for v in verdicts for x in (v.low, v.high, v.p, v.p_holm))


@pytest.mark.parametrize(
    ("row", "field", "value", "claim"),
    [
        (6, "t_x", 1e-7, "first-update-equal"),
        (6, "t_x", math.nan, "first-update-equal"),
        (7, "t_x", 1e-4, "second-update-differs"),
        (11, "w_x", 1e-7, "blended-equals-smaller-alpha"),
        (3, "w_x", math.nan, "blended-equals-smaller-alpha"),
    ],
)
def test_one_wrong_row_refutes_only_its_own_claim(row, field, value, claim):
    rows = [FIRST_STEPS[i]._replace(**{field: value}) if i == row else FIRST_STEPS[i] for i in range(12)]
    verdicts = judge_claims(make_curves({"agent": 0.0}), LANDER, rows)
    assert {v.claim for v in verdicts if v.verdict == "refuted"} == {claim}
    assert verdict_on(claim, verdicts).estimate == pytest.approx(value, nan_ok=True)


def test_holm_counts_only_the_claims_that_rest_on_seeds():
    arms = {"soft": 300.0, "smaller-alpha": 100.0, "same-alpha": 100.0, "best-alpha": 100.0}
    verdicts = judge_claims(make_curves(arms), LANDER, FIRST_STEPS)
    judged = [v for v in verdicts if v.claim in RETURN_CLAIMS]
    assert [v.claim for v in verdicts[:3]] == EXACT_CLAIMS
    assert len(judged) == 3
    assert all(v.p_holm == 3 * v.p == 3 * 2 / 2**10 for v in judged)


def test_an_adjusted_p_above_the_level_supports_nothing():
    """Seven of eight pairs at 60 and one at −1 give p = 4/2⁸: enough for one claim, too little for four."""
    arms = dict.fromkeys(("soft", "smaller-alpha", "same-alpha", "best-alpha", "hard"), 0.0)
    curves = set_where(make_curves(arms, seeds=8, noise=0.0), "eval_return", 60.0, arm="soft")
    curves = set_where(curves, "eval_return", -1.0, arm="soft", seed=0)
    for kept, words in ((["soft", "smaller-alpha"], {"supported"}), (list(arms), {"inconclusive", "refuted"})):
        verdicts = judge_claims(curves.filter(pl.col("arm").is_in(kept)), LANDER, None)
        assert {v.verdict for v in verdicts} == words
        assert [v.p_holm for v in verdicts] == [len(verdicts) * 4 / 2**8] * len(verdicts)
        assert min(v.low for v in verdicts) > 20


def test_six_claims_on_eight_seeds_can_be_supported():
    arms = {"smaller-alpha": 0.0, "best-alpha": 0.0}
    still = {name: lambda *_: 1.0 for name in ("y_drift", "y_rms", "y_sd")}
    curves = pl.concat([moves(0.1, 0.2, seeds=8, noise=1.0), make_curves(arms, seeds=8, noise=1.0, **still)])
    verdicts = judge_claims(curves, LANDER, None)
    assert len(verdicts) == 6
    assert verdict_on("soft-beats-smaller-alpha", verdicts).p_holm == pytest.approx(6 * 2 / 2**8)
    assert {v.claim for v in verdicts if v.verdict == "supported"} == {
        "soft-beats-smaller-alpha", "no-smaller-alpha-matches-soft", "y-moves-less", "soft-smoother-than-hard"
    }  # fmt: skip


def test_a_duplicated_seed_is_detected():
    curves = make_curves({"soft": 100.0, "smaller-alpha": 0.0}).with_columns(loss=pl.lit(math.nan))
    copied = curves.filter(pl.col("seed") == 3).with_columns(seed=pl.lit(8, pl.Int64))
    doubled = pl.concat(
        [curves.filter((pl.col("seed") != 8) | (pl.col("arm") != "soft")), copied.filter(pl.col("arm") == "soft")]
    )
    with pytest.raises(ConfigError, match="seeds 3 and 8 of arm 'soft'"):
        judge_claims(doubled, LANDER, None)
    check_distinct_seeds(curves)


def test_a_seed_may_repeat_in_another_arm_or_in_training_returns_only():
    curves = make_curves({"soft": 0.0, "smaller-alpha": 0.0}, seeds=2)
    same = curves.with_columns(train_return=pl.col("env_steps") * 1.0)
    check_distinct_seeds(same)
    check_distinct_seeds(same.filter(pl.col("env_steps") <= 2_000))
    twin = curves.filter((pl.col("seed") == 0) & (pl.col("arm") == "soft"))
    check_distinct_seeds(pl.concat([twin, twin.with_columns(arm=pl.lit("hard"))]))


def test_agents_that_all_fail_alike_are_not_duplicates():
    curves = make_curves({"soft": 0.0}).with_columns(train_return=-200.0, eval_return=-200.0)
    check_distinct_seeds(curves)
    check_distinct_seeds(curves.with_columns(loss=pl.col("seed") + pl.col("env_steps") * 1.0))
    with pytest.raises(ConfigError, match="seeds 0 and 1"):
        check_distinct_seeds(curves.with_columns(loss=pl.col("env_steps") * 1.0))


def test_the_json_is_strict_and_complete():
    curves = set_where(moves(0.1, 0.2), "y_drift", math.nan, arm="soft")
    verdicts = judge_claims(curves, LANDER, FIRST_STEPS)

    def reject(constant):
        raise AssertionError(constant)

    rows = json.loads(verdicts_to_json(verdicts), parse_constant=reject)
    keys = ["claim", "statement", "estimand", "estimate", "interval", "p", "p_holm", "verdict", "arms", "n"]
    assert all(list(row) == keys for row in rows)
    assert rows[0]["interval"] == [None, None]
    assert rows[0]["p"] is None
    assert rows[3]["interval"] == [verdicts[3].low, verdicts[3].high]
    assert rows[3]["arms"] == ["soft", "same-alpha"]
    assert json.loads(verdicts_to_json([])) == []
