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

TORCH_ACTOR_MODULE = '''"""{title}

    import torch
    from policy import load
    policy = load()          # float32 observations (N, {observations}) -> float32 actions (N, {actions})
    action = policy(torch.as_tensor(observation, dtype=torch.float32)).numpy()

Actions are deterministic and lie within LOW and HIGH, the environment's bounds. Observations must be float32 (NumPy's
default is float64); the batch axis N may be left out.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

SIZES = {sizes}
LOW, HIGH = {low}, {high}


class Policy(nn.Module):
    """The tanh of a network's outputs, scaled from [-1, 1] to the environment's bounds."""

    def __init__(self):
        super().__init__()
        layers = [module for a, b in zip(SIZES, SIZES[1:]) for module in (nn.Linear(a, b), nn.ReLU())]
        self.network = nn.Sequential(*layers[:-1])
        self.register_buffer("low", torch.tensor(LOW))
        self.register_buffer("high", torch.tensor(HIGH))

    def forward(self, observations):
        """Return the actions of observations, along the last axis."""
        return self.low + 0.5 * (torch.tanh(self.network(observations)) + 1) * (self.high - self.low)


def load(path=Path(__file__).with_name("policy.safetensors")):
    """Return the policy as a module without gradients."""
    policy = Policy()
    policy.network.load_state_dict(load_file(path))
    return policy.requires_grad_(False)
'''
"""The same for an actor, with the further fields low and high (lists)."""
