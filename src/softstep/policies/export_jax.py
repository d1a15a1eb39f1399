"""Export a policy for JAX: its parameters as safetensors, and a module with a pure function of them."""

from __future__ import annotations

from collections.abc import Mapping

from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.jax_template import JAX_ACTOR_MODULE, JAX_MODULE


def jax_files(exported: ExportedPolicy) -> Mapping[str, bytes]:
    """Return `policy.safetensors` (float32, tensors `0.weight`, `0.bias`, `1.weight`, …) and `policy.py`."""
    sizes, layers = exported.sizes, len(exported.layers)
    fields = {"title": exported.title, "observations": sizes[0], "actions": sizes[-1], "layers": layers}
    if (bounds := exported.bounds) is None:
        module = JAX_MODULE.format(**fields)
    else:
        module = JAX_ACTOR_MODULE.format(**fields, low=list(bounds.low), high=list(bounds.high))
    return {"policy.safetensors": exported.safetensors(spacing=1), "policy.py": module.encode()}
