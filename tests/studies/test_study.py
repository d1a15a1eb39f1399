"""Tests of studies under interruptions, kills, damage, changed specs and failing cells."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from softstep.cli.main import main
from softstep.comparison.scores import scores_by_seed
from softstep.errors import ConfigError, StoreError
from softstep.runs import checkpoints, run_folder
from softstep.studies import ray_engine, study_folder
from softstep.studies.judge import judge_study
from softstep.studies.run_study import Study, study
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents, summarize_cells

TEXT = """
env = "CartPole-v1"
[base]
total_steps = 1_500
learning_starts = 100
checkpoint_every = 300
record_every = 300
eval_every = 500
eval_episodes = 1
hidden = [8]
block_width = 2
[axes]
learning_rate = [1e-3, 1e-2]
c = [0.0, 0.9]
[seeds]
count = 2
selection = 1
[[claims]]
name = "a-target-helps"
first = { c = 0.9 }
second = { c = 0.0 }
"""
SPEC = Spec.from_toml(TEXT, source="test")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(SPEC, tmp_path_factory.mktemp("studies") / "whole", workers=2)


def test_the_table_has_every_cell_and_seed_in_order(whole: Study) -> None:
    frame = whole.frame
    assert whole.finished
    assert frame["cell"].unique(maintain_order=True).to_list() == [
        f"learning_rate={rate} c={c}" for rate in ("0.001", "0.01") for c in ("0", "0.9")
    ]
    assert frame.group_by("cell", "seed").len()["len"].to_list() == [7] * 8  # every 300 steps, and at evaluations
    assert set(frame.filter(pl.col("cell").str.ends_with("c=0.9"))["c"].round(12)) == {0.9}


def test_added_seeds_and_values_are_trained_alone_and_change_nothing_else(whole: Study, tmp_path: Path) -> None:
    out = tmp_path / "grown"
    first = dataclasses.replace(SPEC, seeds=1, selection=0, claims=(), axes=SPEC.axes | {"c": (0.9,)})
    study(first, out, workers=1)
    before = {path.name for path in (out / "parts").iterdir()}
    grown = study(dataclasses.replace(SPEC, selection=0, claims=()), out, resume=True, workers=2)
    executed = [
        run_folder.read_summary(run)["blocks"] for run in study_folder.study_runs(out) if run.path.name not in before
    ]  # fmt: skip
    assert sum(len(block) for block in executed) >= 3
    assert sum(run.config.num_agents for run in study_folder.study_runs(out)) == 8
    assert grown.frame.equals(whole.frame)


def test_a_changed_spec_is_rejected_with_the_difference(whole: Study) -> None:
    changed = dataclasses.replace(SPEC, base=dataclasses.replace(SPEC.base, batch_size=32))
    with pytest.raises(StoreError, match=r"base.batch_size: 64 → 32.*another --out"):
        study(changed, whole.path, resume=True)
    fewer = dataclasses.replace(SPEC, axes=SPEC.axes | {"learning_rate": (1e-3,)})
    with pytest.raises(StoreError, match=r"no longer asks for .learning_rate=0\.01 c=0., seed 0, and 3 more"):
        study(fewer, whole.path, resume=True)
    assert Study(whole.path).spec == SPEC


def test_a_study_has_one_writer_and_its_folder_is_never_replaced(whole: Study, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(run_folder, "LOCK_PATIENCE", 0.1)
    with run_folder.locked(whole.path), pytest.raises(StoreError, match="being written by another"):
        study(SPEC, whole.path, resume=True)
    with pytest.raises(StoreError, match="exists already"):
        study(SPEC, whole.path)
    with pytest.raises(StoreError, match="is not a study"):
        study(SPEC, tmp_path / "nothing", resume=True)
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_result_is_computed_again_with_a_warning(whole: Study, tmp_path: Path) -> None:
    out = shutil.copytree(whole.path, tmp_path / "damaged")
    for path in out.glob("parts/*/checkpoint-0001-*.safetensors"):
        data = bytearray(path.read_bytes())
        data[-3] ^= 0xFF
        path.write_bytes(bytes(data))
    with pytest.warns(RuntimeWarning, match="was damaged: its block is computed again"):
        again = study(SPEC, out, resume=True, workers=1)
    assert again.finished
    assert again.frame.equals(whole.frame)


@pytest.mark.parametrize("stale", [True, False])
def test_a_kill_between_the_last_checkpoint_and_the_tables_loses_nothing(
    whole: Study, tmp_path: Path, stale: bool
) -> None:
    out = shutil.copytree(whole.path, tmp_path / "killed")
    for part in out.glob("parts/*"):
        (part / "summary.json").unlink()
        if stale:  # the summary of an earlier stop
            run = run_folder.open_run(part)
            blocks = [None, *({"env_steps": 600} for _ in run.config.blocks()[1:])]
            run_folder.write_results(run, {"summary.json": json.dumps({"finished": False, "blocks": blocks}).encode()})
            pl.read_parquet(part / "curves.parquet").head(1).write_parquet(part / "curves.parquet")
        else:
            (part / "curves.parquet").unlink()
    again = study(SPEC, out, resume=True, workers=1)
    assert again.finished
    assert again.frame.equals(whole.frame)


FAILING = """
import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from softstep.envs.contract import episode_seed

class Moody(CartPoleEnv):
    first, steps = None, 0

    def reset(self, seed=None, options=None):
        self.first = self.first or seed
        return super().reset(seed=seed, options=options)

    def step(self, action):
        self.steps += 1
        if self.first == episode_seed(1, 0, 0) and self.steps > 400:
            raise ValueError("out of sorts")
        return super().step(action)

gymnasium.register("Moody-v0", Moody, max_episode_steps=500)
"""


def test_an_agent_whose_environment_raises_is_recorded_and_the_others_finish(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "moody.py").write_text(FAILING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    base = dataclasses.replace(SPEC.base, env="Moody-v0", env_modules=("moody",))
    axes = {"learning_rate": (1e-3,), "c": (0.9,)}
    spec = dataclasses.replace(SPEC, base=base, axes=axes, margin=10.0, floor=0.0, claims=(), selection=0)
    result = study(spec, tmp_path / "out", workers=2, trusted=("moody",))
    progress = result.progress
    assert result.finished
    assert {agent.seed for agent in progress.failed} == {1}
    assert [agent.seed for agent in progress.finished] == [0]  # it shared a block with the failing agent
    assert all("out of sorts" in error for error in progress.failed.values())
    assert result.frame.select("cell", "seed").unique().height == len(progress.finished)


def test_a_study_whose_environment_cannot_be_used_leaves_its_folder_free(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    broken = dataclasses.replace(SPEC, base=dataclasses.replace(SPEC.base, env="Nope-v0"), margin=1.0, floor=0.0)
    with pytest.raises(ConfigError, match="not registered"):
        study(broken, tmp_path / "out", workers=1)
    assert not list(tmp_path.rglob("*.json"))
    study_folder.check_can_run(tmp_path / "out", resume=False)


def test_a_diverging_cell_scores_the_floor(tmp_path: Path) -> None:
    base = dataclasses.replace(SPEC.base, block_width=4)
    axes = {"learning_rate": (1e-3, 1e30), "c": (0.0,)}
    wild = dataclasses.replace(SPEC, base=base, axes=axes, claims=(), selection=0)
    agents = summarize_agents(study(wild, tmp_path / "wild", workers=2).frame, wild, 475.0)
    assert agents["diverged"].to_list() == [False, False, True, True]
    assert agents["final_return"].to_list()[2:] == [0.0, 0.0]
    cells = summarize_cells(agents)
    assert cells["diverged"].to_list() == [0, 2]
    assert cells["diverged_low"][1] == pytest.approx(0.025**0.5)


def test_final_returns_equal_the_scores_of_a_comparison(whole: Study) -> None:
    agents = summarize_agents(whole.frame, SPEC)
    returns = {(row["cell"], row["seed"]): row["final_return"] for row in agents.iter_rows(named=True)}
    scores = scores_by_seed(whole.frame.rename({"cell": "arm"}), 0.0)
    assert returns == {(arm, seed): score for arm, by_seed in scores.items() for seed, score in by_seed.items()}


def test_claims_are_selected_on_selection_seeds_and_judged_on_the_others() -> None:
    rows = [
        {"cell": f"learning_rate={rate} c={c}", "seed": seed, "final_return": value}
        for rate, c, values in (
            ("0.001", "0", (0, 9, 9, 9, 9, 9, 9, 9, 9)), ("0.01", "0", (1, 0, 1, 0, 1, 0, 1, 0, 1)),
            ("0.001", "0.9", (100, 200, 201, 202, 203, 204, 205, 206, 207)), ("0.01", "0.9", (50, *[900] * 8)),
        )
        for seed, value in enumerate(values)
    ]  # fmt: skip
    agents = pl.DataFrame(rows).cast({"final_return": pl.Float64})
    (verdict,) = judge_study(agents, dataclasses.replace(SPEC, seeds=9))
    assert (verdict.first, verdict.second) == ("learning_rate=0.001 c=0.9", "learning_rate=0.01 c=0")  # best on seed 0
    assert (verdict.n, verdict.verdict, verdict.improvement) == (8, "supported", 1.0)
    assert verdict.p == 2 / 2**8
    few = judge_study(agents.filter(pl.col("seed") < 4), dataclasses.replace(SPEC, seeds=4))
    assert few[0].verdict == "exploratory"


def test_the_commands_run_export_and_report_a_study(whole: Study, tmp_path: Path, capsys) -> None:
    file = tmp_path / "spec.toml"
    file.write_text(TEXT)
    assert main(["study", "run", str(file), "--out", str(whole.path), "--resume", "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["agents"], last["finished"], last["failed"]) == (8, 8, 0)
    assert main(["study", "export", str(whole.path), "--csv", str(tmp_path / "t.csv")]) == 0
    assert pl.read_csv(tmp_path / "t.csv").height == whole.frame.height
    assert main(["study", "report", str(whole.path), "--out", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "map-return" in page
    assert "a-target-helps" in page
    for wrong in (["run", str(file), "--out", str(whole.path)], ["run", "no.toml"], ["status", str(tmp_path)],
                  ["export", str(whole.path)], ["run", str(file), "--workers", "many"]):  # fmt: skip
        assert main(["study", *wrong]) == 2, wrong
        assert "Traceback" not in capsys.readouterr().err


def command(spec: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "softstep", "study", "run", str(spec), "--out", str(out), *more]


SMALL_FILES = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))  # real writes fail, as on a full disk
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_full_disk_is_reported_and_loses_nothing(whole: Study, tmp_path: Path) -> None:
    file, out = tmp_path / "map.toml", tmp_path / "out"
    file.write_text(TEXT)
    full = subprocess.run([sys.executable, "-c", SMALL_FILES, *command(file, out)], capture_output=True, text=True)
    assert full.returncode == 2
    assert full.stderr.count("cannot write a checkpoint") == 1
    assert "Traceback" not in full.stderr
    subprocess.run(command(file, out, "--resume"), capture_output=True, check=True)
    assert Study(out).frame.equals(whole.frame)


@pytest.mark.heavy
def test_ctrl_c_twice_ends_a_study_at_once_and_loses_nothing(tmp_path: Path) -> None:
    longer = dataclasses.replace(SPEC, base=dataclasses.replace(SPEC.base, total_steps=20_000))
    reference = study(longer, tmp_path / "undisturbed", workers=2)
    file, out = tmp_path / "map.toml", tmp_path / "out"
    file.write_text(TEXT.replace("1_500", "20_000"))
    process = subprocess.Popen(command(file, out), start_new_session=True, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("parts/*/checkpoint-*")):
        assert process.poll() is None
        time.sleep(0.02)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: parent and workers together
        time.sleep(0.02)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in errors
    assert "Traceback" not in errors
    assert not Study(out).finished
    subprocess.run(command(file, out, "--resume"), capture_output=True, check=True)
    assert Study(out).frame.equals(reference.frame)


def child_processes(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(child) for child in listed.split()]


@pytest.mark.heavy
def test_killed_twenty_times_the_table_is_that_of_an_undisturbed_study(tmp_path: Path) -> None:
    """Kill the parent or a worker at random moments; most of the kills hit a running study."""
    longer = dataclasses.replace(SPEC, base=dataclasses.replace(SPEC.base, total_steps=100_000, checkpoint_every=500))
    reference = study(longer, tmp_path / "undisturbed", workers=2)
    (tmp_path / "spec.json").write_text(longer.to_json())
    script = (
        "import sys; from pathlib import Path; from softstep.studies.run_study import study;"
        " from softstep.studies.spec import Spec; spec = Spec.from_json(Path(sys.argv[1]).read_text(), source='s');"
        " out = Path(sys.argv[2]); study(spec, out, resume=(out / 'study.json').exists(), workers=2)"
    )
    out, moments, hits = tmp_path / "killed", random.Random(1), 0
    command = [sys.executable, "-c", script, str(tmp_path / "spec.json"), str(out)]
    for number in range(20):
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(1.0, 5.0))
        workers = child_processes(process.pid)
        if number % 2 and workers and process.poll() is None:
            os.kill(moments.choice(workers), signal.SIGKILL)  # the killed worker is replaced
            time.sleep(moments.uniform(0.5, 2.0))
        hits += process.poll() is None
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert hits >= 15
    last = study(longer, out, resume=(out / "study.json").exists(), workers=2)
    assert last.finished
    assert last.frame.equals(reference.frame)


@pytest.mark.heavy
def test_a_ray_cluster_gives_the_same_table_even_if_a_worker_is_killed(whole: Study, tmp_path: Path) -> None:
    import ray

    longer = dataclasses.replace(SPEC, base=dataclasses.replace(SPEC.base, total_steps=12_000, checkpoint_every=500))
    reference = study(longer, tmp_path / "local", workers=2)
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    killed: list[int] = []

    def kill_one_at_work() -> None:
        out = tmp_path / "ray"
        while not list(out.glob("parts/*/checkpoint-*")):
            time.sleep(0.05)
        at_work = subprocess.run(["pgrep", "-f", "ray::train_block"], capture_output=True, text=True).stdout.split()
        os.kill(int(at_work[0]), signal.SIGKILL)
        killed.append(int(at_work[0]))

    killer = threading.Thread(target=kill_one_at_work)
    killer.start()
    try:
        result = study(longer, tmp_path / "ray", engine=ray_engine.run_blocks)
    finally:
        killer.join(60)
        ray.shutdown()
    assert killed
    assert result.finished
    assert result.frame.equals(reference.frame)


@pytest.mark.heavy
def test_tasks_of_a_stopped_ray_study_save_the_moment_of_the_stop(tmp_path: Path) -> None:
    import ray

    longer = dataclasses.replace(SPEC, base=dataclasses.replace(SPEC.base, total_steps=200_000, checkpoint_every=2_000))
    out = tmp_path / "ray"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        stopped = study(
            longer,
            out,
            engine=ray_engine.run_blocks,
            should_stop=lambda: any(out.glob("parts/*/checkpoint-*")),
        )
    finally:
        ray.shutdown()
    assert not stopped.finished
    reached = [steps for run in study_folder.study_runs(out) for steps in checkpoints.steps_reached(run)]
    assert any(steps % 2_000 for steps in reached)
