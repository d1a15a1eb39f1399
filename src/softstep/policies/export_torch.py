"""Export a policy for PyTorch: its parameters as safetensors, and a module that loads them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import safetensors.numpy

from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.torch_template import TORCH_MODULE


def torch_files(exported: ExportedPolicy) -> Mapping[str, bytes]:
    """Return `policy.safetensors` and `policy.py`."""
    tensors: dict[str, np.ndarray] = {}
    for number, (weight, bias) in enumerate(exported.layers):  # layer 2n of the Sequential; the others are ReLUs
        tensors[f"{2 * number}.weight"] = np.ascontiguousarray(weight)
        tensors[f"{2 * number}.bias"] = bias
    sizes = exported.sizes
    module = TORCH_MODULE.format(title=exported.title, sizes=sizes, observations=sizes[0], actions=sizes[-1])
    return {"policy.safetensors": safetensors.numpy.save(tensors), "policy.py": module.encode()}
