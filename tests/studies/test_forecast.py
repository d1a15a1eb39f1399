"""The forecast of a study, from trials whose measurements are given."""

from __future__ import annotations

import pytest

from softstep.studies import forecast
from softstep.studies.spec import Spec

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


def test_both_stages_count_with_their_own_blocks_and_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = []

    def trial(config, workers):
        trials.append(config.n_step)
        return forecast._Trial(step_seconds=config.n_step * 1e-3, evaluation_seconds=2.0, megabytes=100.0)

    monkeypatch.setattr(forecast, "_run_trial", trial)
    result = forecast.forecast_study(Spec.from_toml(TEXT, source="s"), workers=2)
    assert sorted(trials) == [1, 3]  # one for each shape, though both stages have both
    assert result.agents == 2 * (4 * 3 + 5)
    assert result.agent_steps == result.agents * 10_000
    assert result.populations == 4
    blocks = [10.0 + 5 * 2, 30.0 + 5 * 2]  # time of a block: steps and five evaluations
    candidates = sum(forecast.START_SECONDS + 2 * block for block in blocks)  # four blocks take two turns of two
    winners = sum(forecast.START_SECONDS + block for block in blocks)  # five agents are two blocks
    assert result.stages == pytest.approx((candidates, winners))
    assert result.seconds == pytest.approx(candidates + winners)
    rows = dict(result.table_rows())
    assert {"  candidates", "  winners"} <= rows.keys()


def test_a_grid_has_one_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "_run_trial", lambda config, workers: forecast._Trial(1e-3, 0.0, 100.0))
    grid = Spec.from_toml('env = "CartPole-v1"\n[axes]\nc = [0.0, 0.9]\nn_step = [1, 3]\n', source="s")
    result = forecast.forecast_study(grid, workers=2)
    assert result.stages == (result.seconds,)
    assert (result.agents, result.populations) == (4, 2)
    assert "  winners" not in dict(result.table_rows())
