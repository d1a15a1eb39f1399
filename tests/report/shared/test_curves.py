"""Bands, summaries and contrasts, compared with numbers worked out by hand."""

import math

import numpy as np
import polars as pl
import pytest

from softstep.report.shared.curves import bands, contrast, find_arm, summaries, visible_range


def test_a_band_has_the_mean_the_worst_and_the_best_of_its_seeds(make_curves):
    band = bands(make_curves({"soft": lambda seed, step: 100 * seed + step / 1000}), "train_return")["soft"]
    assert band.steps.tolist() == list(range(10_000, 100_001, 10_000))
    np.testing.assert_allclose(band.mean, 100 + band.steps / 1000)
    np.testing.assert_allclose(band.low, band.steps / 1000)
    np.testing.assert_allclose(band.high, 200 + band.steps / 1000)


def test_a_band_starts_where_every_seed_has_finished_an_episode(make_curves):
    curve = {"soft": lambda seed, step: math.nan if seed == 1 and step < 30_000 else 5.0}
    assert bands(make_curves(curve), "train_return")["soft"].steps[0] == 30_000


def test_a_seed_that_stopped_early_keeps_its_last_value(make_curves):
    curves = make_curves({"soft": lambda seed, step: 10.0 * seed}, seeds=2)
    stopped = curves.filter((pl.col("seed") == 0) | (pl.col("env_steps") <= 40_000))
    band = bands(stopped, "train_return")["soft"]
    assert band.steps[-1] == 100_000
    np.testing.assert_allclose(band.mean, 5.0)


def test_seeds_recorded_at_different_steps_are_interpolated_linearly(make_curves):
    curves = make_curves({"soft": lambda seed, step: step / 1000}, seeds=2)
    sparse = curves.filter(
        (pl.col("seed") == 0) | (pl.col("env_steps") % 20_000 == 10_000) | (pl.col("env_steps") == 1e5)
    )
    band = bands(sparse, "train_return")["soft"]
    np.testing.assert_allclose(band.low, band.steps / 1000)


def test_an_arm_without_a_value_has_no_band(make_curves):
    assert bands(make_curves({"soft": lambda seed, step: math.nan}), "train_return") == {}


def test_a_rare_deep_dip_is_cut_off_and_a_slope_is_not(make_curves):
    dip = {"soft": lambda seed, step: -1e6 if step == 10_000 and seed == 0 else step / 1000}
    low, high = visible_range(bands(make_curves(dip, seeds=7), "train_return") | {})
    assert high == 100
    assert low == -1e6  # one of ten lows: not rare enough to hide
    rare = {"soft": lambda seed, step: step / 1000, "same-alpha": lambda seed, step: step / 1000, "hard": dip["soft"]}
    low, high = visible_range(bands(make_curves(rare), "train_return"))
    assert -200 < low < 10
    assert high == 100


def test_a_summary_has_the_last_record_and_the_median_drift(make_curves):
    curves = make_curves({"soft": lambda seed, step: seed + step}).with_columns(
        y_drift=pl.when(pl.col("env_steps") == 10_000).then(math.nan).otherwise(pl.col("env_steps") / 1e6),
        eval_return=pl.when(pl.col("env_steps") == 20_000).then(7.0 + pl.col("seed")).otherwise(math.nan),
        diverged=(pl.col("seed") == 2) & (pl.col("env_steps") >= 50_000),
    )
    (summary,) = summaries(curves.sample(fraction=1, shuffle=True, seed=1))
    assert summary.seeds == (0, 1, 2)
    assert summary.train_return.tolist() == [100_000, 100_001, 100_002]
    assert summary.best_eval.tolist() == [7, 8, 9]
    assert np.isnan(summary.eval_return).all()
    assert summary.y_drift.tolist() == pytest.approx([0.06] * 3)
    assert summary.diverged.tolist() == [False, False, True]
    assert (summary.learning_rate, summary.tau, summary.period) == (1e-3, 0.005, 1)
    assert find_arm([summary], "soft") is summary
    assert find_arm([summary], "hard") is None


def test_contrast_is_paired_by_seed(make_curves):
    curves = make_curves({"soft": lambda seed, step: 1000.0 * seed + seed, "hard": lambda seed, step: 1000.0 * seed})
    soft, hard = summaries(curves.filter((pl.col("arm") == "soft") | (pl.col("seed") > 0)))
    difference = contrast(soft, hard, "train_return")
    assert difference.difference == pytest.approx(1.5)  # seeds 1 and 2 only
    assert difference.error == pytest.approx(0.5)
    assert (difference.higher, difference.pairs) == (2, 2)
    assert not difference.clear  # three standard errors, but two pairs


def test_many_seeds_are_shaded_over_their_middle_half(make_curves):
    few, many = (bands(make_curves({"soft": lambda s, t: float(s)}, seeds=n), "train_return")["soft"] for n in (7, 9))
    assert (few.low[0], few.high[0]) == (0, 6)
    assert (many.low[0], many.high[0]) == (2, 6)
