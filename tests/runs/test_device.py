"""Training on a GPU: what can be shown without one. JAX's name of the GPU is replaced by that of the CPU, so that the
same code trains there."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from support import small

import softstep.runs.api
from softstep.cli.main import main
from softstep.comparison.run_comparison import compare, resume_comparison
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.jax_settings import pinned
from softstep.runs import checkpoints, device, worker_env
from softstep.runs.api import Run
from softstep.runs.versions import recorded_device, versions
from softstep.settings import Arm
from softstep.worker import in_process

AGENTS = 5
ARMS = tuple(Arm(f"arm{n}", learning_rate=10.0**-n) for n in range(1, AGENTS + 1))


@pytest.fixture
def cpu_as_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(device.PLATFORMS, "gpu", "cpu")


def recorded(run: Run) -> dict[str, object]:
    versions: dict[str, object] = json.loads((run.path / "versions.json").read_text())
    return versions


def assert_same(run: Run, reference: Run) -> None:
    """Assert that all networks of the last checkpoints, and what their optimizers remember, have the same bits."""
    for block in range(len(reference.config.blocks())):
        ours, theirs = (checkpoints.read_checkpoint(one.folder, block) for one in (run, reference))
        assert ours is not None
        assert theirs is not None
        names = [name for name in theirs.arrays if name.startswith(("learner/", "best/"))]
        assert len(names) > 10
        for name in names:
            np.testing.assert_array_equal(ours.arrays[name], theirs.arrays[name], err_msg=name)


def without_kernels(config: Config, out: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Train in worker processes with the kernels off, as they are on a GPU."""
    with monkeypatch.context() as patch:
        patch.setenv("SOFTSTEP_KERNELS", "0")
        return softstep.runs.api.train(config, out)


@pytest.mark.usefixtures("cpu_as_gpu")
def test_all_agents_form_one_block_and_learn_what_xla_learns_on_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = softstep.runs.api.train(small(arms=ARMS), tmp_path / "gpu", device="gpu")
    assert run.config.width == AGENTS
    assert recorded(run)["device"] == "gpu"
    assert_same(run, without_kernels(small(arms=ARMS, block_width=AGENTS), tmp_path / "cpu", monkeypatch))


@pytest.mark.usefixtures("cpu_as_gpu")
def test_a_stopped_run_goes_on_where_it_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workers compute without kernels, as the undisturbed run does, so that the bits are the same."""
    config = small(total_steps=6_000, arms=ARMS[:2], block_width=1)
    asked = iter([False] * 30)
    stopped = softstep.runs.api.train(config, tmp_path / "run", device="gpu", should_stop=lambda: next(asked, True))
    assert not stopped.summary["finished"]
    run = softstep.runs.api.resume(stopped.path)
    assert run.summary["finished"]
    assert_same(run, without_kernels(config, tmp_path / "whole", monkeypatch))


@pytest.mark.usefixtures("cpu_as_gpu")
def test_a_resumed_comparison_begins_its_second_part_on_the_same_device(tmp_path: Path) -> None:
    asked = iter([False] * 5)
    config = small(total_steps=2_000, eval_every=500, eval_episodes=1, seeds=2)
    compare(config, tmp_path / "c", arms=("soft", "best-soft"), device="gpu", should_stop=lambda: next(asked, True))
    run = resume_comparison(tmp_path / "c")
    assert run.path == tmp_path / "c"
    assert recorded(run)["device"] == "gpu"


@pytest.mark.usefixtures("cpu_as_gpu")
def test_a_study_trains_on_it(tmp_path: Path) -> None:
    spec = tmp_path / "study.toml"
    spec.write_text(
        'env = "gymnax:CartPole-v1"\n[base]\ntotal_steps = 300\nhidden = [8]\nlearning_starts = 50\nblock_width = 4\n'
        "[axes]\nlearning_rate = [1e-3, 1e-2]\n[seeds]\ncount = 2\n",
        encoding="utf-8",
    )
    assert main(["study", "run", str(spec), "--out", str(tmp_path / "out"), "--device", "gpu", "--json"]) == 0
    (part,) = (tmp_path / "out" / "parts").iterdir()
    assert recorded_device(part) == "gpu"
    assert pl.read_parquet(tmp_path / "out" / "study.parquet")["cell"].n_unique() == 2
    assert main(["study", "report", str(tmp_path / "out")]) == 0
    assert "device: gpu" in (tmp_path / "out" / "report.html").read_text()


def test_without_a_card_there_is_one_line_and_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    arguments = ["train", "gymnax:CartPole-v1", "--total-steps", "300", "--device", "gpu", "--out", str(out), "--json"]
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("softstep: JAX finds no GPU here")
    assert not out.exists()


@pytest.mark.parametrize(("asked", "here"), [("gpu", "cpu"), ("cpu", "gpu")])
def test_a_process_whose_jax_computes_elsewhere_trains_nothing(
    asked: device.Device, here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinned, "platform", lambda: here)
    with pytest.raises(ConfigError, match=f"device = '{asked}': in this process JAX is already running, on the {here}"):
        in_process.train(small(), tmp_path / "run", device=asked)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "CartPole-v1"], "CartPole-v1 is stepped by the CPU"),
        (["compare", "LunarLander-v3"], "LunarLander-v3 is stepped by the CPU"),
        (["train", "gymnax:CartPole-v1", "--workers", "2"], "workers = 2"),
    ],
    ids=" ".join,
)
def test_what_a_gpu_cannot_do_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--device", "gpu", "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_on_a_gpu_products_are_computed_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned, "platform", lambda: "gpu")
    with pinned.pinned():
        assert jax.config.jax_default_matmul_precision == "highest"
    recorded = {
        name: versions(small(), name)["jax_settings"]["jax_default_matmul_precision"] for name in ("cpu", "gpu")
    }
    assert recorded == {"cpu": None, "gpu": "highest"}


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"device = 'tpu' must be cpu or gpu"):
        device.check(small(), "tpu", None)


@pytest.mark.parametrize(("agents", "width"), [(3, 3), (4_096, 4_096), (5_000, 4_096)])
def test_blocks_are_as_wide_as_they_may_be(agents: int, width: int) -> None:
    assert device.with_wide_blocks(small(seeds=agents), "gpu").width == width
    assert device.with_wide_blocks(small(seeds=agents, block_width=7), "gpu").width == 7
    assert device.with_wide_blocks(small(seeds=agents), "cpu") == small(seeds=agents)


def test_a_worker_for_a_gpu_asks_jax_for_one_and_leaves_the_kernels_off() -> None:
    settings = worker_env.settings("gpu")
    assert (settings["JAX_PLATFORMS"], settings["SOFTSTEP_KERNELS"]) == ("cuda", "0")
    assert not worker_env.ONE_THREAD.keys() & settings.keys()
    assert worker_env.settings()["JAX_PLATFORMS"] == "cpu"
