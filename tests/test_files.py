"""Files are written completely or not at all, and JSON is strict."""

import json
import math
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.errors import StoreError
from softstep.files import json_text, reason, write_file


def test_a_missing_folder_is_created(tmp_path):
    write_file(tmp_path / "a" / "b" / "file", b"data")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"data"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_the_previous_file_and_nothing_else(tmp_path, monkeypatch, call):
    write_file(tmp_path / "file", b"old")

    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StoreError, match="file: No space left on device; the previous file is intact"):
        write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file or directory"), (b"\xff\xfe", "it is not text in UTF-8")]
)
def test_the_reason_of_a_failed_read_is_words(tmp_path, content, says):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises((OSError, UnicodeDecodeError)) as caught:
        (tmp_path / "file").read_text(encoding="utf-8")
    assert reason(caught.value) == says


plain = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
anything = plain | st.floats() | st.floats(width=32).map(np.float32) | st.integers(-9, 9).map(np.int64)


def nested(values):
    return st.recursive(values, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(nested(anything))
def test_json_is_strict_whatever_is_in_it(value):
    json.loads(json_text(value), parse_constant=pytest.fail)


@given(nested(plain))
def test_json_reads_back_equal(value):
    assert json.loads(json_text(value, indent=2)) == value


def test_numbers_that_are_not_finite_become_null_at_any_depth():
    value = {"a": math.inf, "b": [-math.inf, (np.float64("nan"), np.float32(1.5))], "c": {"d": math.nan}}
    assert json_text(value) == '{"a": null, "b": [null, [null, 1.5]], "c": {"d": null}}'
