"""The history of a block: its checkpoint arrays and the windows of returns."""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from softstep.records.events import FinishedEpisode, Record
from softstep.records.history import RETURN_WINDOW, History
from softstep.training.measures import Measures

returns = st.floats(-1e3, 1e3, width=32)
finished = st.lists(st.builds(FinishedEpisode, st.integers(0, 2), st.integers(0, 2**40), returns, st.integers(1, 9999)))


def record(env_steps: int) -> Record:
    nan = math.nan
    return Record("soft", 3, 1e-3, 0.01, 1, env_steps, 5, 2, nan, nan, 0.25, 1.5, 0.1, 0.2, False, 0.3, 0.4, nan)


@given(st.lists(finished, max_size=4))
def test_a_history_survives_its_arrays(batches: list[list[FinishedEpisode]]) -> None:
    history = History.empty(3)
    for batch in batches:
        history.episodes.add(batch)
    history.records, history.solved, history.evaluations = [record(10), record(20)], [True, False, True], 7
    history.cut_episodes = 5
    restored = History.from_arrays(history.to_arrays())
    assert [FinishedEpisode(*row) for row in restored.episodes.rows.tolist()] == [e for batch in batches for e in batch]
    assert restored.episodes.recent == history.episodes.recent
    assert (restored.solved, restored.evaluations, restored.cut_episodes) == ([True, False, True], 7, 5)
    np.testing.assert_equal([tuple(r) for r in restored.records], [tuple(r) for r in history.records])


@given(st.lists(returns, min_size=1, max_size=300), st.integers(1, RETURN_WINDOW))
def test_the_training_return_is_the_mean_of_the_last_returns(values: list[float], window: int) -> None:
    history = History.empty(2)
    history.episodes.add(FinishedEpisode(1, 1, value, 1) for value in values)
    np.testing.assert_allclose(history.episodes.train_return(1, window), np.mean(values[-window:]), atol=1e-9)
    assert math.isnan(history.episodes.train_return(0))


def test_a_snapshot_does_not_change_with_later_episodes() -> None:
    history = History.empty(1)
    history.episodes.add([FinishedEpisode(0, 1, 1.0, 1)])
    before = history.to_arrays()["episodes"].tobytes()
    snapshot = history.to_arrays()
    history.episodes.add([FinishedEpisode(0, 2, 5.0, 1)] * 3000)
    assert snapshot["episodes"].tobytes() == before
    assert len(history.episodes.rows) == 3001


def test_every_measure_is_a_field_of_a_record() -> None:
    assert set(Measures._fields) < set(Record._fields)


def test_records_of_version_1_are_read_by_position() -> None:
    rows = [list(record(10)), list(record(20))]
    content = json.dumps({"records": rows, "solved": [False], "evaluations": 3}).encode()
    arrays = {"log": np.frombuffer(content, np.uint8), "episodes": History.empty(1).to_arrays()["episodes"]}
    np.testing.assert_equal([tuple(r) for r in History.from_arrays(arrays).records], [tuple(row) for row in rows])


def test_records_are_read_by_name_in_any_order() -> None:
    history = History.empty(1)
    history.records = [record(10)]
    content = json.loads(history.to_arrays()["history"].tobytes())
    content["record_fields"].reverse()
    content["records"] = [row[::-1] for row in content["records"]]
    arrays = history.to_arrays() | {"history": np.frombuffer(json.dumps(content).encode(), np.uint8)}
    np.testing.assert_equal(tuple(History.from_arrays(arrays).records[0]), tuple(record(10)))
