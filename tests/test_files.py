"""Files are written completely or not at all."""

import os

import pytest

from softstep.errors import StoreError
from softstep.files import write_file


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
