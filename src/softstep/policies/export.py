"""Export trained agents: the greedy policy and its Q-function as files for PyTorch, ONNX and stable-baselines3.

Nothing here reads a pickle; what stable-baselines3 does when it loads its own archive is up to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from softstep import files
from softstep.errors import ConfigError
from softstep.policies.export_onnx import onnx_model
from softstep.policies.export_sb3 import sb3_archive
from softstep.policies.export_torch import torch_files
from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.policy import load
from softstep.runs import run_folder
from softstep.runs.api import Run

Format = Literal["torch", "onnx", "sb3"]

_DEFAULT_NAMES = {"torch": "policy-{}-torch", "onnx": "policy-{}.onnx", "sb3": "policy-{}-sb3.zip"}


def export_policy(
    run: Run | Path | str, to: Format, out: Path | str | None = None, agent: int = 0, *, trusted: Sequence[str] = ()
) -> Path:
    """Write the greedy policy of one agent of a run for another runtime.

    Args:
        run: the run or its folder.
        to: the format. torch: a folder with policy.py and policy.safetensors. onnx: one file, from `observation`
            (N, O) to `q_values` (N, A) and `action` (N,). sb3: an archive for `stable_baselines3.DQN.load`.
        out: path of the file or folder; by default in the run folder.
        agent: number of the agent, from 0 on.
        trusted: the modules that the run's configuration names, if any, repeated.

    Returns:
        The path of the file or folder.

    Raises:
        ConfigError: the network is not the MLP, an extra is missing, or `out` exists already.
    """
    path = Path(run.path if isinstance(run, Run) else run)
    policy = load(path, agent, trusted=trusted)
    layers = policy.layers
    if layers is None:
        raise ConfigError(f"{path} has a network of its own, which cannot be exported: train with the MLP of --hidden")
    out = Path(out) if out is not None else path / _DEFAULT_NAMES[to].format(agent)
    if out.exists():
        raise ConfigError(f"{out} exists already: choose another --out")
    exported = ExportedPolicy(policy, layers, run_folder.open_run(path).config)
    if to == "torch":
        for name, content in torch_files(exported).items():
            files.write_file(out / name, content)
    else:
        content = onnx_model(exported) if to == "onnx" else sb3_archive(exported)
        files.write_file(out, content)
    return out
