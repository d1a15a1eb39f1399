"""The forecast of a study, from trials whose measurements are given, and what a trial measures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support import small

from softstep import envs
from softstep.records.events import Progress
from softstep.runs import worker_env
from softstep.runs.api import train
from softstep.studies import forecast, trial
from softstep.studies.spec import Spec
from softstep.studies.trial import LearningLog, Span, Trial
from softstep.training.evaluation import GreedyEpisodes

TEXT = """
env = "CartPole-v1"
[base]
total_steps = 10_000
eval_every = 2_000
block_width = 3
[candidates]
count = 4
[contenders.soft]
learning_rate = { low = 1e-4, high = 1e-2 }
[contenders.three-step]
learning_rate = { low = 1e-4, high = 1e-2 }
n_step = 3
[seeds]
selection = 3
judging = 5
"""
START = 7.0


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The n_step of every trial; a step takes n_step ms, and an evaluation 1 to 3 s."""
    run: list[int] = []

    def run_trial(config, workers, evaluation=None):
        run.append(config.n_step)
        return Trial(step_seconds=config.n_step * 1e-3, evaluation=evaluation or Span(1.0, 3.0), megabytes=100.0)

    monkeypatch.setattr(forecast, "run_trial", run_trial)
    monkeypatch.setattr(forecast, "measure_start", lambda config: START)
    return run


def test_both_stages_count_with_their_own_blocks_and_shapes(trials: list[int]) -> None:
    result = forecast.forecast_study(Spec.from_toml(TEXT, source="s"), workers=2)
    assert sorted(trials) == [1, 3]  # one for each shape, though both stages have both
    assert result.agents == 2 * (4 * 3 + 5)
    assert result.agent_steps == result.agents * 10_000
    assert result.populations == 4
    for seconds, expected in ((1, result.shortest), (2, result.seconds), (3, result.longest)):
        blocks = [10.0 + 5 * seconds, 30.0 + 5 * seconds]  # time of a block: steps and five evaluations
        candidates = sum(START + 2 * block for block in blocks)  # four blocks take two turns of two
        winners = sum(START + block for block in blocks)  # five agents are two blocks
        assert expected == pytest.approx(candidates + winners)
        if seconds == 2:
            assert result.stages == pytest.approx((candidates, winners))
    rows = dict(result.table_rows())
    assert {"  candidates", "  winners"} <= rows.keys()
    assert rows["time"] == "3 min (3 min to 4 min, as evaluations are short or long)"


@pytest.mark.parametrize(("knob", "trials_run", "evaluations"), [
    ("n_step = [1, 3]", 2, 1),
    ("loss = ['mse', 'huber']", 2, 1),
    ("hidden = [[8], [16]]", 2, 2),
    ("normalization = ['none', 'layer']", 2, 2),
    ("learning_rate_decay = [1.0, 0.1]", 1, 1),
])  # fmt: skip
def test_every_program_has_one_trial_and_every_acting_network_one_evaluation(
    knob: str, trials_run: int, evaluations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[Span | None] = []

    def run_trial(config, workers, evaluation=None):
        known.append(evaluation)
        return Trial(1e-3, evaluation or Span(len(known), len(known)), 100.0)

    monkeypatch.setattr(forecast, "run_trial", run_trial)
    monkeypatch.setattr(forecast, "measure_start", lambda config: START)
    text = f'env = "CartPole-v1"\n[base]\neval_every = 1_000\n[axes]\n{knob}\n'
    assert forecast.forecast_study(Spec.from_toml(text, source="s"), workers=1).populations == 2
    assert len(known) == trials_run
    assert known.count(None) == evaluations


def test_a_decay_of_alpha_compiles_no_program_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(worker_env, "cache_dir", lambda: tmp_path / "cache")
    config = small(total_steps=300, learning_starts=100, eval_every=100, eval_episodes=1)

    def programs(name: str, **changes: object) -> set[str]:
        train(dataclasses.replace(config, **changes), tmp_path / name, workers=1)
        return {path.name for path in (tmp_path / "cache").rglob("*-cache")}

    first = programs("first")
    assert first
    assert programs("decayed", learning_rate_decay=0.1, learning_rate_decay_steps=200) == first
    assert programs("huber", loss="huber") > first


def test_a_grid_has_one_stage_and_may_have_no_evaluations(trials: list[int]) -> None:
    text = 'env = "CartPole-v1"\n[base]\neval_every = 0\n[axes]\nc = [0.0, 0.9]\nn_step = [1, 3]\n'
    result = forecast.forecast_study(Spec.from_toml(text, source="s"), workers=2)
    assert result.stages == (result.seconds,)
    assert result.shortest == result.seconds == result.longest
    assert (result.agents, result.populations) == (4, 2)
    assert "  winners" not in dict(result.table_rows())


def test_a_step_costs_what_it_does_while_learning_after_compilation() -> None:
    log = LearningLog(learning_starts=100, blocks=2)
    assert not log.learned_for(0.0)
    for seconds, steps in ((1.0, 50), (2.0, 100)):
        log.update(0, Progress(steps, 0, seconds, 0.0))
    for seconds, steps in ((9.0, 120), (10.0, 220), (14.0, 320), (15.0, 420)):  # programs compile before 120 and 320
        log.update(0, Progress(steps, 0, seconds, 0.0))
    assert log.seconds_per_step == pytest.approx(0.01)
    assert not log.learned_for(6.0)  # the other block has not begun
    log.update(1, Progress(500, 0, 0.5, 0.0))
    log.finished(1)
    assert log.learned_for(6.0)
    assert not log.learned_for(6.1)
    assert log.steps == 500


@pytest.mark.parametrize(("compiled", "high"), [(True, 2.0 * 500 / 40), (False, 2.0 * 2_000 / 100)])
def test_the_longest_evaluation_has_only_episodes_at_the_limit(compiled: bool, high: float) -> None:
    lengths = np.array([[10, 40], [20, 30]])
    played = GreedyEpisodes(lengths.astype(float), np.zeros((2, 2), bool), lengths)
    assert trial.evaluation_span(2.0, played, 500, compiled=compiled) == pytest.approx((2.0, high))
    assert trial.evaluation_span(2.0, played, 10, compiled=compiled) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("env", "limit"),
    [("gymnax:CartPole-v1", 500), ("CartPole-v1", 500), ("LunarLander-v3", 1_000), ("gymnax:Pendulum-v1", 200)],
)
def test_the_limit_of_episodes_is_known(env: str, limit: int) -> None:
    continuous = {"algorithm": "sac"} if "Pendulum" in env else {}
    assert envs.longest_episode(envs.describe(small(env=env, **continuous))) == limit


def test_a_trial_measures_steps_and_evaluations_of_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(total_steps=2_000, eval_every=500, eval_episodes=2, seeds=8, block_width=2)
    monkeypatch.setattr(trial, "TRIAL_SECONDS", 0.01)
    found = trial.run_trial(config, workers=1)
    assert found.step_seconds > 0
    assert 0 < found.evaluation.low < found.evaluation.high  # hardly trained, CartPole falls before step 500
    assert found.megabytes > 10
    assert 0 < trial.measure_start(dataclasses.replace(config, eval_every=0)) < 600
