"""Best checkpoints judged on fresh episodes: measured once, stored, and measured again when the run has gone on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support import small

import softstep
from softstep.errors import ConfigError, StoreError
from softstep.policies import rejudging
from softstep.policies.evaluation import FIRST_HELD_OUT_EVALUATION
from softstep.runs import run_folder
from softstep.runs.best_returns import BEST_RETURNS_FILE, current_best_returns, read_best_returns
from softstep.settings import Arm
from softstep.studies.best_checkpoints import measured_best_returns
from softstep.studies.spec import Spec
from softstep.studies.study_folder import study_runs
from softstep.training.evaluation import evaluation_seeds
from softstep.worker.in_process import run_blocks_here

CONFIG = small(
    total_steps=400, eval_every=100, eval_episodes=2, learning_starts=50, learning_rate=3e-2, seeds=2, block_width=2,
    arms=(Arm("sound"), Arm("diverging", learning_rate=1e36)),
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> softstep.Run:
    return softstep.runs.api.train(CONFIG, tmp_path / "run", execute=run_blocks_here)


def count_plays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of every block that is played from now on."""
    plays, play_block = list[int](), rejudging.play_block

    def counting(folder: Any, spec: Any, block: int, *arguments: Any, **options: Any) -> Any:
        plays.append(block)
        return play_block(folder, spec, block, *arguments, **options)

    monkeypatch.setattr(rejudging, "play_block", counting)
    return plays


def test_the_best_weights_are_judged_once_on_episodes_of_their_own(
    run: softstep.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays = count_plays(monkeypatch)
    first, again = softstep.best_returns(run), softstep.best_returns(run.path)
    assert plays == [0, 1]
    np.testing.assert_equal(again, first)
    assert first.episodes == CONFIG.eval_episodes
    expected = softstep.evaluate(run, 2, rejudging.REJUDGING_SEED, best=True).returns.mean(1)
    np.testing.assert_array_equal([agent.fresh_return for agent in first.agents], expected)
    for agent in first.agents[:2]:
        curve = run.curves.filter(arm=agent.arm, seed=agent.seed).drop_nans("eval_return")
        highest = curve.sort("eval_return", descending=True, maintain_order=True).row(0, named=True)
        assert (agent.env_steps, agent.eval_return) == (highest["env_steps"], highest["eval_return"])
    for agent in first.agents[2:]:
        assert agent.env_steps == 0
        assert math.isnan(agent.eval_return)
        assert math.isnan(agent.fresh_return)


def test_they_are_judged_again_with_more_episodes_or_after_more_training(
    run: softstep.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    softstep.best_returns(run)
    plays = count_plays(monkeypatch)
    assert softstep.best_returns(run, 3).episodes == 3
    assert plays == [0, 1]
    stored = json.loads((run.path / BEST_RETURNS_FILE).read_text())
    stored["agents"][0]["env_steps"] += 100  # as if a later evaluation had been better
    (run.path / BEST_RETURNS_FILE).write_text(json.dumps(stored))
    softstep.best_returns(run, 3)
    assert plays == [0, 1, 0, 1]


def test_stored_results_are_current_until_an_evaluation_is_better(run: softstep.Run) -> None:
    assert current_best_returns(run.folder) is None
    stored = softstep.best_returns(run)
    np.testing.assert_equal(current_best_returns(run.folder), stored)
    curves = run.curves
    for changed, current in (
        (curves.with_columns(eval_return=pl.col("eval_return") + (pl.col("seed") == 1)), False),
        (curves.with_columns(eval_return=pl.col("eval_return") + pl.col("diverged")), True),
        (curves.with_columns(diverged=pl.lit(False)), False),  # now the arm that diverged has evaluations that count
    ):
        changed.write_parquet(run.path / "curves.parquet")
        assert (current_best_returns(run.folder) is not None) == current


def test_a_damaged_file_is_measured_again(run: softstep.Run) -> None:
    expected = softstep.best_returns(run).agents
    (run.path / BEST_RETURNS_FILE).write_text("{")
    assert read_best_returns(run_folder.open_run(run.path)) is None
    np.testing.assert_equal(softstep.best_returns(run).agents, expected)


def test_no_evaluation_in_training_and_no_usual_one_by_hand_uses_their_episodes() -> None:
    numbers = [*range(2_000), *(FIRST_HELD_OUT_EVALUATION + seed for seed in range(2_000))]
    others = {seed for number in numbers for seed in evaluation_seeds(number, 5)}
    assert not others & set(evaluation_seeds(FIRST_HELD_OUT_EVALUATION + rejudging.REJUDGING_SEED, 100))


def test_what_cannot_be_judged_is_refused(run: softstep.Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="episodes = 0 must be at least 1"):
        softstep.best_returns(run, 0)
    with pytest.raises(StoreError, match="has no checkpoint yet"):
        softstep.best_returns(run_folder.create(tmp_path / "new", CONFIG).path)


CONTEST = """
env = "gymnax:CartPole-v1"
[base]
total_steps = 200
hidden = [8]
batch_size = 8
memory_size = 64
learning_starts = 20
eval_every = 100
eval_episodes = 1
block_width = 2
[candidates]
count = 2
[contenders.soft]
learning_rate = { low = 1e-3, high = 1e-1 }
[contenders.none]
learning_rate = { low = 1e-3, high = 1e-1 }
c = 0.0
loss = "huber"
[seeds]
selection = 1
judging = 2
"""


def test_of_contenders_only_the_winners_are_played_on_the_judging_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = softstep.study(Spec.from_toml(CONTEST, source="test"), tmp_path / "study", workers=1)
    plays = count_plays(monkeypatch)
    frame = softstep.study_best_returns(study, 2)
    agents = [(winner.cell, seed) for winner in study.winners for seed in (1, 2)]
    assert frame.select("cell", "seed").rows() == agents
    assert frame["episodes"].to_list() == [2] * 4
    assert len(plays) == 2  # blocks of two judging agents each
    assert frame.equals(measured_best_returns(study))
    assert len(plays) == 2
    everything = softstep.study_best_returns(study, 2, every_agent=True)
    assert len(plays) == 4  # and the two blocks of four candidates
    assert everything.height == 8
    assert measured_best_returns(study).equals(frame)


def test_only_results_with_equally_many_episodes_are_shown_together(tmp_path: Path) -> None:
    study = softstep.study(Spec.from_toml(CONTEST, source="test"), tmp_path / "study", workers=1)
    softstep.study_best_returns(study, 1)
    judging = next(run for run in study_runs(study.path) if run.config.seed == 1)
    softstep.best_returns(judging.path, 3)
    shown = measured_best_returns(study)
    assert set(shown["episodes"]) == {3}
    assert shown.height == judging.config.num_agents


def test_every_agent_of_a_study_is_judged(tmp_path: Path) -> None:
    spec = Spec(
        small(total_steps=200, eval_every=100, eval_episodes=1, block_width=2),
        axes={"learning_rate": (1e-3, 1e-2), "c": (0.0, 0.9)}, seeds=1,
    )  # fmt: skip
    study = softstep.study(spec, tmp_path / "study", workers=1)
    frame = softstep.study_best_returns(study)
    assert frame.columns == ["cell", "seed", "env_steps", "eval_return", "fresh_return", "episodes"]
    assert frame["cell"].to_list() == study.frame["cell"].unique(maintain_order=True).to_list()
    assert frame["fresh_return"].is_finite().all()
    assert frame.equals(softstep.study_best_returns(study.path))
