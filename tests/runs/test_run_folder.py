"""Run folders: damaged files, full disks, concurrent writers, hostile configurations."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import softstep
from softstep.errors import StoreError
from softstep.records.history import History
from softstep.runs import checkpoints, run_folder, tables, versions
from softstep.runs.checkpoints import CheckpointWriter


@pytest.fixture
def run(tmp_path):
    return run_folder.create(tmp_path / "run", softstep.Config(memory_size=64))


def arrays(value: float) -> dict[str, np.ndarray]:
    return {"a": np.full(3, value), "iteration": np.array(7), "b/c": np.arange(6, dtype=np.int32).reshape(2, 3)}


def rows(start: int, count: int, agents: int = 2) -> list[np.ndarray]:
    """Return rows for each agent that contain their own number."""
    return [np.arange(start, start + count, dtype=np.float32)[:, None].repeat(5, 1) + 1000 * a for a in range(agents)]


def save(run, steps: list[int], block: int = 0, per_step: int = 10) -> None:
    """Write a checkpoint at each of the steps, with `per_step` new rows each."""
    writer = CheckpointWriter(run, block)
    try:
        for i, env_steps in enumerate(steps):
            writer.write(env_steps, arrays(env_steps), rows(i * per_step, per_step))
    finally:
        writer.close()


def test_a_checkpoint_reads_back_as_written(run):
    save(run, [100])
    checkpoint = checkpoints.read_checkpoint(run, 0)
    assert checkpoint.env_steps == 100
    for name, array in arrays(100).items():
        np.testing.assert_array_equal(checkpoint.arrays[name], array)
        assert checkpoint.arrays[name].shape == array.shape
    for ours, theirs in zip(checkpoint.rows, rows(0, 10), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_last_two_checkpoints_are_kept_with_complete_replay_rows(run):
    save(run, list(range(1, 31)))
    assert [checkpoints._number(p) for p in checkpoints._checkpoints(run.path, 0)] == [29, 30]
    newest = checkpoints.read_checkpoint(run, 0).rows[1]
    np.testing.assert_array_equal(newest, rows(300 - len(newest), len(newest))[1])
    assert len(newest) >= 64


def test_a_new_writer_keeps_the_rows_of_the_previous_one(run):
    save(run, [1, 2])
    save(run, [3], per_step=5)
    assert [len(r) for r in checkpoints.read_checkpoint(run, 0).rows] == [25, 25]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_checkpoint_falls_back_to_the_previous_one_with_a_warning(run, damage):
    save(run, [100, 200])
    path = checkpoints._checkpoints(run.path, 0)[-1]
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes({"flip": bytes(data), "cut": bytes(data[:-9]), "empty": b""}[damage])
    with pytest.warns(RuntimeWarning, match="falling back to the previous checkpoint"):
        checkpoint = checkpoints.read_checkpoint(run, 0)
    assert checkpoint.env_steps == 100


def test_damaged_replay_rows_are_detected(run):
    save(run, [100, 200])
    (segment,) = run.path.glob("replay-*.rows")
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1  # in rows that only the newest checkpoint needs
    segment.write_bytes(bytes(data))
    with pytest.warns(RuntimeWarning, match="checksum"):
        assert checkpoints.read_checkpoint(run, 0).env_steps == 100


def test_an_error_reports_that_all_checkpoints_are_damaged(run):
    save(run, [100, 200])
    for path in checkpoints._checkpoints(run.path, 0):
        path.write_bytes(b"nonsense")
    with pytest.warns(RuntimeWarning), pytest.raises(StoreError, match="every checkpoint of block 0 is damaged"):
        checkpoints.read_checkpoint(run, 0)


FULL_DISK = """
import resource, sys, numpy as np
from softstep.errors import StoreError
from softstep.runs import checkpoints, run_folder
path, limit, numbers, rows = sys.argv[1], *map(int, sys.argv[2:])
writer = checkpoints.CheckpointWriter(run_folder.open_run(path), 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # a real write fails, as on a full disk
writer.write(200, {"a": np.zeros(numbers)}, [np.zeros((rows, 5), np.float32)] * 2)
try:
    writer.close()
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("limit", "numbers", "rows"), [(4096, 100_000, 1), (64, 1, 40)], ids=["the checkpoint", "the rows of the replay"]
)
def test_a_failed_write_is_reported_once_and_leaves_the_previous_checkpoint(run, limit, numbers, rows):
    """Rows that do not fit stay in the segment's buffer, so closing it fails to write them a second time."""
    save(run, [100])
    command = [sys.executable, "-c", FULL_DISK, str(run.path), str(limit), str(numbers), str(rows)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.count("cannot write a checkpoint") == 1
    assert "the previous one is intact" in result.stdout
    assert result.stderr == ""
    assert checkpoints.read_checkpoint(run, 0).env_steps == 100
    assert not list(run.path.glob(".*"))


def test_a_second_writer_is_refused(run, monkeypatch):
    monkeypatch.setattr(run_folder, "LOCK_PATIENCE", 0.1)
    with (
        run_folder.locked(run.path),
        pytest.raises(StoreError, match="being written by another"),
        run_folder.locked(run.path),
    ):
        pass
    with run_folder.locked(run.path):
        pass


def test_an_existing_folder_is_not_overwritten(run, tmp_path):
    with pytest.raises(StoreError, match="--force"):
        run_folder.create(run.path, run.config)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match="is not a run folder"):
        run_folder.create(tmp_path / "mine", run.config, force=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_force_replaces_a_run_only_when_the_new_one_is_complete(run):
    save(run, [100])
    new = run_folder.create(run.path, softstep.Config(seed=5), force=True)
    assert checkpoints.read_checkpoint(new, 0) is None
    run_folder.undo_creation(new)
    assert checkpoints.read_checkpoint(run_folder.open_run(run.path), 0).env_steps == 100
    run_folder.finish_creation(run_folder.create(run.path, softstep.Config(seed=6), force=True))
    assert run_folder.open_run(run.path).config.seed == 6
    assert [p.name for p in run.path.parent.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": 99}', "newer"),
        ("{", "not JSON"),
        ('{"taus": 1}', "unknown setting 'taus'"),
        ("\x00", "not JSON"),
    ],
)
def test_an_unreadable_config_is_refused(run, text, message):
    (run.path / "config.json").write_text(text)
    with pytest.raises(StoreError, match=message):
        run_folder.open_run(run.path)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(StoreError, match="is not a run folder"):
        run_folder.open_run(tmp_path)


@pytest.mark.parametrize("hostile", [{"env_modules": ["evil"]}, {"network": "evil:net"}, {"env": "evil:Env-v0"}])
def test_modules_named_in_a_run_folder_are_not_imported(run, tmp_path, monkeypatch, hostile):
    (tmp_path / "evil.py").write_text("import pathlib; pathlib.Path('imported').touch()")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (run.path / "config.json").write_text(json.dumps(hostile))
    for function in (softstep.load, softstep.evaluate, softstep.resume):
        with pytest.raises(softstep.ConfigError, match="evil"):
            function(run.path)
    assert not (tmp_path / "imported").exists()
    assert "evil" not in sys.modules


def test_tables_have_the_documented_columns(run):
    run_tables = tables.make_tables(run, [History.empty(1)])
    assert run_tables.curves.columns == [
        "arm", "seed", "learning_rate", "tau", "period", "env_steps", "gradient_steps", "episodes", "train_return",
        "eval_return", "loss", "q_mean", "y_drift", "target_gap", "diverged",
        "y_rms", "y_p99", "y_sd",
    ]  # fmt: skip
    tables.write_tables(run, run_tables, {"finished": True})
    assert tables.read_curves(run).equals(run_tables.curves)
    assert isinstance(pl.read_parquet(run.path / "curves.parquet"), pl.DataFrame)


def test_a_change_of_the_processor_is_reported(run):
    assert versions.version_changes(run.path, run.config) == []
    path = run.path / "versions.json"
    path.write_text(path.read_text().replace(versions.cpu_model(), "another processor"))
    (change,) = versions.version_changes(run.path, run.config)
    assert change.startswith("CPU was another processor")
