"""An output file is written completely or not at all."""

import os

import pytest

from softstep.errors import ConfigError
from softstep.report.shared.output_file import write_output


def test_an_existing_file_is_replaced(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    write_output(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_output(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_rejected(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        write_output(tmp_path, b"new")


def test_a_missing_folder_is_rejected(tmp_path):
    with pytest.raises(ConfigError, match="does not exist: create it"):
        write_output(tmp_path / "missing" / "a", b"new")
