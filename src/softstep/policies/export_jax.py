"""Export a policy for JAX: its parameters as safetensors, and a module with a pure function of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import safetensors.numpy

from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.jax_template import JAX_MODULE


def jax_files(exported: ExportedPolicy) -> Mapping[str, bytes]:
    """Return `policy.safetensors` (float32, tensors `0.weight`, `0.bias`, `1.weight`, …) and `policy.py`."""
    tensors: dict[str, np.ndarray] = {}
    for number, (weight, bias) in enumerate(exported.layers):
        tensors[f"{number}.weight"] = np.ascontiguousarray(weight)
        tensors[f"{number}.bias"] = bias
    sizes = exported.sizes
    module = JAX_MODULE.format(
        title=exported.title, observations=sizes[0], actions=sizes[-1], layers=len(exported.layers)
    )
    return {"policy.safetensors": safetensors.numpy.save(tensors), "policy.py": module.encode()}
