"""The Python module that is exported beside a policy's PyTorch parameters."""

TORCH_MODULE = '''"""{title}

    import torch
    from policy import load
    q_function = load()      # float32 observations (N, {observations}) -> float32 action values (N, {actions})
    action = int(q_function(torch.as_tensor(observation, dtype=torch.float32)[None]).argmax())

Observations must be float32 (NumPy's default is float64); the batch axis N may be left out.
"""

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

SIZES = {sizes}


def load(path=Path(__file__).with_name("policy.safetensors")):
    """Return the Q-function as a module without gradients."""
    layers = [module for a, b in zip(SIZES, SIZES[1:]) for module in (nn.Linear(a, b), nn.ReLU())]
    network = nn.Sequential(*layers[:-1])
    network.load_state_dict(load_file(path))
    return network.requires_grad_(False)
'''
"""A template with the fields title, observations, actions (numbers of both) and sizes (a list)."""
