"""Agents taken elsewhere: the greedy policy and its Q-function as files for PyTorch, ONNX and stable-baselines3.

Nothing here reads a pickle. What stable-baselines3 reads when it loads its own archive is its own affair.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors.numpy

from softstep import files
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.policies.policy import Policy, load
from softstep.runs import run_folder
from softstep.runs.api import Run

Format = Literal["torch", "onnx", "sb3"]
Layers = Sequence[tuple[np.ndarray, np.ndarray]]
"""Weights (out, in) and biases (out,) of the MLP."""

TORCH = '''"""{title}

    import torch
    from policy import load
    q_function = load()      # observations (N, {observations}) -> action values (N, {actions})
    action = int(q_function(torch.as_tensor(observation)[None]).argmax())
"""

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

SIZES = {sizes}


def load(path=Path(__file__).with_name("policy.safetensors")):
    """The Q-function, as a module without gradients."""
    layers = [module for a, b in zip(SIZES, SIZES[1:]) for module in (nn.Linear(a, b), nn.ReLU())]
    network = nn.Sequential(*layers[:-1])
    network.load_state_dict(load_file(path))
    return network.requires_grad_(False)
'''


def export_policy(
    run: Run | Path | str, to: Format, out: Path | str | None = None, agent: int = 0, *, trusted: Sequence[str] = ()
) -> Path:
    """Write agent number `agent` of a run for another runtime; where it lies.

    torch: a folder with policy.py and policy.safetensors. onnx: one file, from `observation` (N, O) to `q_values`
    (N, A) and `action` (N,). sb3: an archive for `stable_baselines3.DQN.load`. By default it goes into the run folder.
    Errors: ConfigError for a network other than the MLP, a missing extra, and where `out` exists already.
    """
    path = Path(run.path if isinstance(run, Run) else run)
    policy = load(path, agent, trusted=trusted)
    layers = policy.layers
    if layers is None:
        raise ConfigError("a network of your own cannot be exported: only the MLP of --hidden can")
    place = Path(out) if out is not None else path / _DEFAULTS[to].format(agent)
    if place.exists():
        raise ConfigError(f"{place} exists already: choose another --out")
    for name, content in _WRITERS[to](policy, layers, run_folder.open_run(path).config).items():
        file = place / name if name else place
        files.write_file(file.parent, file.name, content)
    return place


def _torch(policy: Policy, layers: Layers, config: Config) -> Mapping[str, bytes]:
    tensors: dict[str, np.ndarray] = {}
    for number, (weight, bias) in enumerate(layers):
        tensors |= {f"{2 * number}.weight": np.ascontiguousarray(weight), f"{2 * number}.bias": bias}
    sizes = _sizes(layers)
    told = TORCH.format(title=_title(policy, config), sizes=sizes, observations=sizes[0], actions=sizes[-1])
    return {"policy.safetensors": safetensors.numpy.save(tensors), "policy.py": told.encode()}


def _onnx(policy: Policy, layers: Layers, config: Config) -> Mapping[str, bytes]:
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise ConfigError("export --to onnx needs onnx: pip install 'softstep[onnx]'") from None
    nodes, weights, at = [], [], "observation"
    for number, (weight, bias) in enumerate(layers):
        last = number == len(layers) - 1
        weights += [numpy_helper.from_array(np.ascontiguousarray(weight), f"weight{number}")]
        weights += [numpy_helper.from_array(np.ascontiguousarray(bias), f"bias{number}")]
        to = "q_values" if last else f"linear{number}"
        nodes.append(helper.make_node("Gemm", [at, f"weight{number}", f"bias{number}"], [to], transB=1))
        at = to
        if not last:
            nodes.append(helper.make_node("Relu", [to], [f"relu{number}"]))
            at = f"relu{number}"
    nodes.append(helper.make_node("ArgMax", ["q_values"], ["action"], axis=1, keepdims=0))
    sizes = _sizes(layers)
    graph = helper.make_graph(
        nodes, "policy",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["N", sizes[0]])],
        [helper.make_tensor_value_info("q_values", TensorProto.FLOAT, ["N", sizes[-1]]),
         helper.make_tensor_value_info("action", TensorProto.INT64, ["N"])],
        weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    model.doc_string = _title(policy, config)
    onnx.checker.check_model(model, full_check=True)
    return {"": model.SerializeToString()}


def _sb3(policy: Policy, layers: Layers, config: Config) -> Mapping[str, bytes]:
    try:
        import gymnasium
        import torch
        from stable_baselines3 import DQN
    except ImportError:
        raise ConfigError("export --to sb3 needs stable-baselines3: pip install 'softstep[sb3]'") from None
    try:
        env = gymnasium.make(policy.spec.name)
    except gymnasium.error.Error as error:
        raise ConfigError(f"export --to sb3 needs the environment in Gymnasium: {error}") from None
    model = DQN(
        "MlpPolicy", env, learning_rate=policy.agent.learning_rate, gamma=policy.agent.gamma,
        batch_size=config.batch_size, buffer_size=1, device="cpu",
        policy_kwargs={"net_arch": list(config.hidden), "activation_fn": torch.nn.ReLU},
    )  # fmt: skip
    for network in (model.q_net, model.q_net_target):
        linear = [module for module in network.q_net if isinstance(module, torch.nn.Linear)]
        with torch.no_grad():
            for module, (weight, bias) in zip(linear, layers, strict=True):
                module.weight.copy_(torch.tensor(weight))
                module.bias.copy_(torch.tensor(bias))
    model.buffer_size = config.memory_size
    archive = io.BytesIO()
    model.save(archive)
    return {"": archive.getvalue()}


def _sizes(layers: Layers) -> list[int]:
    return [layers[0][0].shape[1], *[len(bias) for _, bias in layers]]


def _title(policy: Policy, config: Config) -> str:
    return f"A deep Q-network for {config.env}, trained by softstep: {policy.agent.arm}, seed {policy.agent.seed}."


_WRITERS: Mapping[Format, Callable[[Policy, Layers, Config], Mapping[str, bytes]]] = {
    "torch": _torch,
    "onnx": _onnx,
    "sb3": _sb3,
}
_DEFAULTS: Mapping[Format, str] = {"torch": "policy-{}-torch", "onnx": "policy-{}.onnx", "sb3": "policy-{}-sb3.zip"}
