"""Export a policy for PyTorch: its parameters as safetensors, and a module that loads them."""

from __future__ import annotations

from collections.abc import Mapping

from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.torch_template import TORCH_ACTOR_MODULE, TORCH_MODULE


def torch_files(exported: ExportedPolicy) -> Mapping[str, bytes]:
    """Return `policy.safetensors` (float32, tensors `0.weight`, `0.bias`, `2.weight`, …) and `policy.py`."""
    sizes = exported.sizes
    fields = {"title": exported.title, "sizes": sizes, "observations": sizes[0], "actions": sizes[-1]}
    if (bounds := exported.bounds) is None:
        module = TORCH_MODULE.format(**fields)
    else:
        module = TORCH_ACTOR_MODULE.format(**fields, low=list(bounds.low), high=list(bounds.high))
    # Layer n of the policy is layer 2n of the Sequential; the others are ReLUs.
    return {"policy.safetensors": exported.safetensors(spacing=2), "policy.py": module.encode()}
