"""Export trained agents as files for PyTorch, JAX, ONNX and stable-baselines3: the Q-function of a deep Q-network with
its greedy policy, or the deterministic policy of an actor.

Nothing here reads a pickle; what stable-baselines3 does when it loads its own archive is up to it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from softstep import files
from softstep.errors import ConfigError
from softstep.learner.algorithms import make_acting_network
from softstep.learner.networks import Network
from softstep.policies.actor_critic_networks import ActorCriticNetworks, read_networks
from softstep.policies.export_jax import jax_files
from softstep.policies.export_onnx import onnx_model
from softstep.policies.export_sb3 import sb3_archive
from softstep.policies.export_torch import torch_files
from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.policy import Policy, load, read_arrays, read_best
from softstep.runs import checkpoints, run_folder
from softstep.runs.api import Run
from softstep.runs.run_folder import RunFolder

Format = Literal["torch", "jax", "onnx", "sb3"]

_DEFAULT_NAMES = {
    "torch": "policy-{}-torch",
    "jax": "policy-{}-jax",
    "onnx": "policy-{}.onnx",
    "sb3": "policy-{}-sb3.zip",
}


def export_policy(
    run: Run | Path | str,
    to: Format,
    out: Path | str | None = None,
    agent: int = 0,
    *,
    best: bool = False,
    trusted: Sequence[str] = (),
) -> Path:
    """Write the greedy policy of one agent of a run for another runtime.

    Args:
        run: the run or its folder.
        to: the format. torch, jax: a folder with policy.py and policy.safetensors, for float32 observations
            (N, O). onnx: one file, from `observation` float32 (N, O) to `q_values` float32 (N, A) and `action`
            int64 (N,), or, of an actor, to `action` float32 (N, A); the batch axis N is required. sb3: an archive for
            `stable_baselines3.DQN.load`, or SAC, TD3 or DDPG, with the run's settings; a warning names those that
            stable-baselines3 cannot express.
        out: path of the file or folder; by default in the run folder.
        agent: number of the agent, from 0 on.
        best: take the weights of the agent's best greedy evaluation instead of its newest ones; not for an archive of
            an actor, whose critics are not kept with them.
        trusted: the modules that the run's configuration names, if any, repeated.

    Returns:
        The path of the file or folder.

    Raises:
        ConfigError: the network is not the MLP, an extra is missing, or `out` exists already.
        StoreError: the run has no checkpoint, or no best one.
    """
    path = Path(run.path if isinstance(run, Run) else run).absolute()
    folder = run_folder.open_run(path)
    if best and to == "sb3" and folder.config.continuous:
        raise ConfigError(
            "export --to sb3 --best: an archive of an actor needs its critics, which are not kept with the best"
            " weights; use torch, onnx or jax, or leave out --best"
        )
    out = Path(out).absolute() if out is not None else path / _DEFAULT_NAMES[to].format(agent)
    policy = load(path, agent, best=best, trusted=trusted)
    layers = policy.greedy_layers
    if layers is None:
        raise ConfigError(f"{path} has a network of its own, which cannot be exported: train with the MLP of --hidden")
    if out.exists():
        raise ConfigError(f"{out} exists already: choose another --out")
    env_steps, networks = _env_steps(policy, folder, agent, best=best), None
    if folder.config.continuous and not best:
        networks = _networks(policy, folder, agent)
    exported = ExportedPolicy(policy, layers, folder.config, env_steps, networks)
    for file, content in _contents(exported, to, out).items():
        files.write_file(file, content)
    return out


def _env_steps(policy: Policy, folder: RunFolder, agent: int, *, best: bool) -> int:
    """Return the environment steps after which the agent had the weights that `load` takes."""
    block, slot = divmod(agent, folder.config.width)
    if best:
        return int(read_best(folder, _acting_network(policy, folder), block).env_steps[slot])
    checkpoint = checkpoints.read_checkpoint(folder, block, with_replay=False)
    return checkpoint.env_steps if checkpoint is not None else 0


def _networks(policy: Policy, folder: RunFolder, agent: int) -> ActorCriticNetworks:
    """Return all networks of an agent with an actor."""
    block, slot = divmod(agent, folder.config.width)
    return read_networks(read_arrays(folder, block), _acting_network(policy, folder), slot)


def _acting_network(policy: Policy, folder: RunFolder) -> Network:
    return make_acting_network(folder.config, policy.spec.observation_size, policy.spec.num_actions)


def _contents(exported: ExportedPolicy, to: Format, out: Path) -> Mapping[Path, bytes]:
    """Return the content of each file of an export."""
    if to == "onnx":
        return {out: onnx_model(exported)}
    if to == "sb3":
        archive = sb3_archive(exported)
        if archive.differences:
            warnings.warn(archive.differences, UserWarning, stacklevel=3)
        return {out: archive.content}
    written = jax_files(exported) if to == "jax" else torch_files(exported)
    return {out / name: content for name, content in written.items()}
