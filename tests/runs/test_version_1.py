"""Run folders with numbered arrays in their checkpoints (version 1) can still be resumed and loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import softstep
from softstep.config import Config
from softstep.learner.networks import make_network
from softstep.records.history import History
from softstep.runs import checkpoints, run_folder
from softstep.runs.run_folder import RunFolder
from softstep.training.evaluation import evaluated_parameters

RUN_FOLDERS = Path(__file__).parent / "version_1"
"""Interrupted runs of two agents, stopped after 100 of 400 steps: CartPole-v1 (host) and gymnax:CartPole-v1."""


@pytest.fixture(params=["host", "compiled"])
def old_run(request: pytest.FixtureRequest, tmp_path: Path) -> RunFolder:
    shutil.copytree(RUN_FOLDERS / request.param, tmp_path / "run")
    return run_folder.open_run(tmp_path / "run")


def arrays_of(folder: RunFolder) -> dict[str, np.ndarray]:
    checkpoint = checkpoints.read_checkpoint(folder, 0, with_replay=False)
    assert checkpoint is not None
    return checkpoint.arrays


@pytest.mark.filterwarnings("ignore:.*the run continues, but its bits may differ")
def test_a_version_1_run_resumes_and_ends_with_named_arrays(old_run: RunFolder) -> None:
    before = History.from_arrays(arrays_of(old_run))
    run = softstep.resume(old_run.path, workers=1)
    assert run.summary["finished"]
    assert run.curves.filter(seed=1)["env_steps"].to_list() == [100, 200, 300, 400]
    first = run.curves.filter(env_steps=100)
    for record, row in zip(before.records, first.iter_rows(named=True), strict=True):
        np.testing.assert_equal(record._asdict(), row)
    arrays = arrays_of(old_run)
    assert arrays["learner/online/0/weight"].shape == (2, 8, 4)
    assert arrays["learner/opt_state/0/mu/1/bias"].shape == (2, 2)
    assert arrays["learner/gradient_steps"].tolist() == [190, 190]
    assert not [name for name in arrays if name.endswith("/000")]


@pytest.mark.parametrize(("network", "first"), [("online", 0), ("target", 4)])
def test_the_numbered_parameters_are_read_in_order(old_run: RunFolder, network: str, first: int) -> None:
    config = Config.from_mapping({"eval_network": network}, old_run.config, source="test")
    arrays = arrays_of(old_run)
    parameters = evaluated_parameters(config, make_network(config, 4, 2), arrays)
    prefix = "block" if "block/000" in arrays else "carry"
    assert [leaf.shape for leaf in parameters] == [(2, 8, 4), (2, 8), (2, 2, 8), (2, 2)]
    for number, leaf in enumerate(parameters):
        np.testing.assert_array_equal(leaf, arrays[f"{prefix}/{first + number:03}"])


def test_a_policy_of_a_version_1_run_can_be_loaded(old_run: RunFolder) -> None:
    assert softstep.load(old_run.path, agent=1).q_values(np.zeros(4)).shape == (2,)


def test_a_checkpoint_that_lacks_an_array_is_refused_with_its_name(old_run: RunFolder) -> None:
    (path,) = old_run.path.glob("checkpoint-*")
    with safetensors.safe_open(path, "numpy") as handle:
        metadata = dict(handle.metadata())
    arrays = safetensors.numpy.load_file(path)
    removed = next(name for name in sorted(arrays) if name.endswith("/001"))
    del arrays[removed]
    metadata["crc"] = str(checkpoints._checksum(arrays))
    path.write_bytes(safetensors.numpy.save(arrays, metadata))
    with pytest.raises(softstep.StoreError, match=f"the checkpoint has no array '{removed}'"):
        softstep.resume(old_run.path, workers=1)
