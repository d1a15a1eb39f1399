"""The lines about the target update, and the tables at the end of a run."""

import io
import math

import numpy as np
import polars as pl
from rich.console import Console

from softstep.config import Config
from softstep.report.terminal.tables import echo_target, summary_table
from softstep.settings import Arm
from softstep.target import TargetUpdate


def printed(renderable: object, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(renderable)
    return stream.getvalue()


def test_a_soft_target_is_described_on_both_clocks():
    text = "\n".join(echo_target(Config(target=TargetUpdate(0.005), learning_rate=1e-3, train_every=4)))
    for words in (
        "α = 0.001",
        "τ = 0.005",
        "c = 0.995",
        "period 1",
        "soft",
        "138.3 gradient steps",
        "553.1 environment",
    ):
        assert words in text


def test_c_keeps_its_digits():
    assert "c = 0.99999 " in echo_target(Config(target=TargetUpdate(1e-5)))[0]


def test_a_hard_target_is_described():
    text = "\n".join(echo_target(Config(target=TargetUpdate.hard(1000))))
    assert "hard: a full copy every 1000 gradient steps (4000 env. steps)" in text


def test_an_absent_target_is_described():
    assert "absent" in echo_target(Config(target=TargetUpdate.none()))[1]


def test_every_arm_has_its_own_line(demo):
    lines = echo_target(demo)
    assert lines[0].split() == ["α", "τ", "c", "period", "target", "half-life"]
    (soft,) = [line.split() for line in lines if line.startswith("soft")]
    assert soft == ["soft", "0.001", "0.005", "0.995", "1", "(4)", "soft", "138.3", "(553.1)"]
    (smaller,) = [line for line in lines if line.startswith("smaller-alpha")]
    assert "5e-06" in smaller
    assert "absent" in smaller
    assert max(map(len, lines)) <= 80


def test_the_table_holds_the_numbers_and_fits_eighty_columns(make_curves, demo):
    curves = make_curves(
        {"soft": lambda s, t: 200 + 10 * s, "smaller-alpha": lambda s, t: -150.0, "hard": lambda s, t: 1.0}
    )
    curves = curves.with_columns(
        diverged=(pl.col("arm") == "hard") & (pl.col("seed") < 2),
        eval_return=pl.when(pl.col("env_steps") == 50_000).then(260.0).otherwise(math.nan),
    )
    rows = {line.split()[1]: line.split() for line in printed(summary_table(curves, demo)).splitlines() if "/" in line}
    assert rows["soft"] == ["S", "soft", "0.001", "0.005", "1", "210", "±", "10", "260", "500", "0/3", "0.3", "0.01"]
    assert rows["smaller-alpha"][2:8] == ["5e-06", "1", "1", "−150", "±", "0"]
    assert rows["hard"][4] == "399"
    assert rows["hard"][-3] == "2/3"
    assert "…" not in printed(summary_table(curves, demo))


def test_there_is_no_greedy_column_without_evaluations(make_curves, demo):
    assert "greedy" not in printed(summary_table(make_curves({"soft": lambda s, t: 1.0}), demo))


def test_an_arm_that_finished_no_episode_has_a_dash(make_curves, demo):
    text = printed(summary_table(make_curves({"soft": lambda s, t: math.nan}, y_drift=math.inf), demo))
    assert "nan" not in text
    assert "inf" not in text
    assert "–" in text


def test_many_arms_are_described_by_their_ranges() -> None:
    targets = [TargetUpdate.none(), *(TargetUpdate(tau) for tau in np.geomspace(0.001, 0.5, 6))]
    arms = tuple(Arm(f"{rate} {t.tau}", rate, t) for rate in (1e-4, 1e-3) for t in targets)
    lines = echo_target(Config(arms=arms, train_every=4))
    assert lines[0] == "α 0.0001 to 0.001 (2 values)   c 0 to 0.999 (7 values)   targets: soft, absent"
    assert lines[1] == "half-life 1 to 692.8 gradient steps (4 to 2771 environment steps)"
    assert len(lines) == 2
