"""Weights & Biases offline, with its own library: its files are read back with the library's protocol buffers."""

import json
import struct
import time
import zlib
from collections import defaultdict

import pytest
import wandb
from trackers.runs import logged_agent, logged_run, record
from wandb.proto import wandb_internal_pb2

from softstep.trackers.wandb import WeightsAndBiases

AGENTS = [logged_agent("soft", 0), logged_agent("soft", 1), logged_agent("small", 0)]


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "home"))
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)


def log(path, batches, agents=AGENTS, ending="finished"):
    sink = WeightsAndBiases()
    sink.start(logged_run(path, agents=agents))
    for batch in batches:
        sink.write(batch)
    sink.finish(ending)


def blocks(content):
    """Yield type and data of every fragment of a log: 32 KiB blocks of fragments with CRC, length and type."""
    position = 7  # the file's own header
    while position + 7 <= len(content):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        crc, length, kind = struct.unpack("<IHB", content[position : position + 7])
        data = content[position + 7 : position + 7 + length]
        if len(data) < length or crc != zlib.crc32(data, zlib.crc32(bytes([kind]))):
            return  # it is still being written
        yield kind, data
        position += 7 + length


def entries(file):
    """Return every entry of a `.wandb` file."""
    found, parts = [], b""
    for kind, data in blocks(file.read_bytes()):  # 1 is a whole entry; 2, 3, 4 are its first, middle and last part
        parts = data if kind in (1, 2) else parts + data
        if kind in (1, 4):
            found.append(wandb_internal_pb2.Record.FromString(parts))
    return found


def complete(path):
    """Return the entries of every run's file, when the library's own process has written the last one of each."""
    deadline = time.monotonic() + 60
    while True:
        found = {file: entries(file) for file in sorted(path.glob("wandb/offline-run-*/*.wandb"))}
        runs = len(list(path.glob("wandb/offline-run-*")))
        ended = [any(entry.WhichOneof("record_type") == "exit" for entry in entries) for entries in found.values()]
        if all(ended) and len(ended) == runs > 0:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


def read(path):
    """Return by id the last start of each run, its rows by step, and its exit codes."""
    starts, rows, codes = {}, defaultdict(list), defaultdict(list)
    for file, written in complete(path).items():
        identity = file.stem.removeprefix("run-")
        for entry in written:
            match entry.WhichOneof("record_type"):
                case "run":
                    starts[identity] = entry.run
                case "history":
                    items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in entry.history.item}
                    rows[identity].append((entry.history.step.num, items))
                case "exit":
                    codes[identity].append(entry.exit.exit_code)
    return starts, rows, codes


def plain(items):
    return {key: value for key, value in items.items() if not key.startswith("_")}


def test_every_agent_is_a_run_of_one_group_over_environment_steps(tmp_path):
    batches = [[record(100, seed=1, loss=0.25), record(100)], [record(300, seed=1), record(200, arm="small")]]
    log(tmp_path, batches)
    starts, rows, codes = read(tmp_path)
    assert set(starts) == {"0123abcd-0", "0123abcd-1", "0123abcd-2"}
    assert {start.project for start in starts.values()} == {"softstep"}
    assert {start.run_group for start in starts.values()} == {f"{tmp_path.name}-0123abcd"}
    assert starts["0123abcd-1"].display_name == f"{tmp_path.name}-0123abcd/soft/seed-1"
    assert [start.job_type for _, start in sorted(starts.items())] == ["soft", "soft", "small"]
    assert [(step, plain(items)) for step, items in rows["0123abcd-1"]] == [
        (100, {"return/train": 150.0, "loss": 0.25, "episodes": 3.0, "diverged": 0.0}),
        (300, {"return/train": 450.0, "episodes": 3.0, "diverged": 0.0}),
    ]
    assert [step for step, _ in rows["0123abcd-2"]] == [200]
    assert list(codes.values()) == [[0], [0], [0]]


def test_the_settings_of_the_run_and_of_the_agent_are_its_config(tmp_path):
    log(tmp_path, [[record(100)]], agents=[logged_agent()])
    start = read(tmp_path)[0]["0123abcd-0"]
    config = {item.key: json.loads(item.value_json) for item in start.config.update if item.key}
    assert config["env"] == "CartPole-v1"
    assert config["target"] == {"tau": 0.1, "period": 1}
    assert (config["arm"], config["seed"], config["alpha"], config["tau"], config["c"]) == ("soft", 0, 1e-3, 0.1, 0.9)


def test_a_resumed_run_keeps_its_ids(tmp_path):
    log(tmp_path, [[record(100)]], agents=[logged_agent()], ending="stopped")
    log(tmp_path, [[record(200)]], agents=[logged_agent(env_steps=100)])
    _, rows, _ = read(tmp_path)
    assert [step for step, _ in rows["0123abcd-0"]] == [100, 200]


def test_a_failed_run_has_an_exit_code(tmp_path):
    log(tmp_path, [], agents=[logged_agent()], ending="failed")
    assert read(tmp_path)[2] == {"0123abcd-0": [1]}


def test_nobody_is_asked_on_the_terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(RuntimeError, match="nobody is logged in: run `wandb login`, or set WANDB_MODE=offline"):
        log(tmp_path, [])


def test_a_disabled_library_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    log(tmp_path, [[record(100)]])
    assert not list(tmp_path.glob("wandb/*"))


def test_nothing_is_printed(tmp_path, capfd):
    log(tmp_path, [[record(100)]], agents=[logged_agent()])
    log(tmp_path, [[record(200)]], agents=[logged_agent(env_steps=100)])
    assert capfd.readouterr() == ("", "")


def test_the_users_own_run_goes_on(tmp_path):
    with wandb.init(project="own", dir=tmp_path / "home") as own:
        log(tmp_path, [[record(100)]], agents=[logged_agent()])
        assert wandb.run is own
