"""The history of a block: its checkpoint arrays and the windows of returns."""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from softstep.records.events import FINISHED_EPISODE, Record
from softstep.records.history import RETURN_WINDOW, History
from softstep.training.measures import Measures

returns = st.floats(-1e3, 1e3, width=32)
finished = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**40), returns, st.integers(1, 9999)))
Episode = tuple[int, int, float, int]


def episodes(*rows: Episode) -> np.ndarray:
    return np.array(list(rows), FINISHED_EPISODE)


def record(env_steps: int) -> Record:
    nan = math.nan
    return Record("soft", 3, 1e-3, 0.01, 1, env_steps, 5, 2, nan, nan, 0.25, 1.5, 0.1, 0.2, False, 0.3, 0.4, nan)


@given(st.lists(finished, max_size=4))
def test_a_history_survives_its_arrays(batches: list[list[Episode]]) -> None:
    history = History.empty(3)
    for batch in batches:
        history.episodes.add(episodes(*batch))
    history.records, history.solved, history.evaluations = [record(10), record(20)], [True, False, True], 7
    history.cut_episodes = 5
    restored = History.from_arrays(history.to_arrays())
    assert restored.episodes.rows.tolist() == [episode for batch in batches for episode in batch]
    np.testing.assert_array_equal(restored.episodes.train_returns(), history.episodes.train_returns())
    assert (restored.solved, restored.evaluations, restored.cut_episodes) == ([True, False, True], 7, 5)
    np.testing.assert_equal([tuple(r) for r in restored.records], [tuple(r) for r in history.records])


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 2), returns), max_size=400), max_size=4), st.integers(1, RETURN_WINDOW)
)
def test_training_returns_are_the_means_of_the_last_returns(
    batches: list[list[tuple[int, float]]], window: int
) -> None:
    """Agent 3 finishes nothing."""
    history = History.empty(4)
    for batch in batches:
        history.episodes.add(episodes(*((agent, 1, value, 1) for agent, value in batch)))
    means = history.episodes.train_returns(window)
    for agent in range(4):
        values = [value for batch in batches for a, value in batch if a == agent][-window:]
        assert float(means[agent]).hex() == (float(np.mean(values)) if values else math.nan).hex()


def test_a_snapshot_does_not_change_with_later_episodes() -> None:
    history = History.empty(1)
    history.episodes.add(episodes((0, 1, 1.0, 1)))
    before = history.to_arrays()["episodes"].tobytes()
    snapshot = history.to_arrays()
    history.episodes.add(episodes(*[(0, 2, 5.0, 1)] * 3000))
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
