"""Event files, read back with the protocol buffers and checksums of another package."""

import math
import struct
from pathlib import Path

import pytest
from trackers.runs import logged_agent, logged_run, record

from softstep.trackers.tensorboard import TensorBoard

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
crc32c = pytest.importorskip("tensorboardX.crc32c")


def masked(content: bytes) -> int:
    crc = crc32c.crc32c(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read(path):
    """Return every event of a file, after comparing both checksums of each frame."""
    content, events = path.read_bytes(), []
    while content:
        (length,), (length_crc,) = struct.unpack("<Q", content[:8]), struct.unpack("<I", content[8:12])
        body, (crc,) = content[12 : 12 + length], struct.unpack("<I", content[12 + length : 16 + length])
        assert length_crc == masked(content[:8])
        assert crc == masked(body)
        events.append(event_pb2.Event.FromString(body))
        content = content[16 + length :]
    return events


def files(folder):
    return sorted(path for path in folder.rglob("events.out.tfevents.*") if path.is_file())


def scalars(event):
    return {value.tag: value.simple_value for value in event.summary.value}


def write(path, *batches, agents=None):
    sink = TensorBoard()
    sink.start(logged_run(path, agents=agents))
    for batch in batches:
        sink.write(batch)
    sink.finish("finished")


def test_records_are_read_back(tmp_path):
    write(tmp_path, [record(5_000, q_mean=-3.25, target_gap=0.5), record(300_000, loss=2.0)])
    (file,) = files(tmp_path)
    version, first, second = read(file)
    assert version.file_version == "brain.Event:2"
    assert (first.step, second.step) == (5_000, 300_000)
    assert scalars(first) == {"return/train": 7_500, "q/mean": -3.25, "target/gap": 0.5, "episodes": 3, "diverged": 0}
    assert scalars(second)["loss"] == 2.0
    assert first.wall_time > 1.6e9


def test_values_that_are_not_finite_are_left_out(tmp_path):
    write(tmp_path, [record(1, eval_return=math.nan, loss=math.inf, y_drift=1e50)])
    values = scalars(read(files(tmp_path)[0])[1])
    assert "return/eval" not in values
    assert "loss" not in values
    assert values["target/y_drift"] == math.inf  # finite, but not in float32


def test_every_agent_has_its_own_sub_run_inside_the_folder(tmp_path):
    write(tmp_path, [record(1, seed=3), record(1, arm="../../etc/α b")])
    folders = {file.parent.relative_to(tmp_path).as_posix() for file in files(tmp_path)}
    assert folders == {"tensorboard/soft/seed-3", "tensorboard/.._.._etc_α_b/seed-0"}


def test_a_resumed_run_discards_events_beyond_the_checkpoint(tmp_path):
    for reached in (0, 50):
        write(tmp_path, [record(100)], agents=[logged_agent(env_steps=reached)])
    first, second = files(tmp_path)
    assert not any(event.HasField("session_log") for event in read(first))
    purge = read(second)[1]
    assert purge.session_log.status == event_pb2.SessionLog.START
    assert purge.step == 51


def test_records_are_on_disk_before_the_end(tmp_path):
    sink = TensorBoard()
    sink.start(logged_run(tmp_path))
    sink.write([record(1)])
    assert len(read(files(tmp_path)[0])) == 2


def test_a_thousand_agents_keep_no_file_open(tmp_path):
    before = set(Path("/proc/self/fd").iterdir())
    sink = TensorBoard()
    agents = [logged_agent(seed=seed) for seed in range(1000)]
    sink.start(logged_run(tmp_path, agents=agents))
    for step in (1, 2):
        sink.write([record(step, seed=seed) for seed in range(1000)])
    assert len(set(Path("/proc/self/fd").iterdir()) - before) <= 1  # the folder being listed
    assert all(len(read(file)) == 3 for file in files(tmp_path)[::100])
