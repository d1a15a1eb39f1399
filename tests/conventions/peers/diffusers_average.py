"""Average a network that moves randomly with diffusers and print, as JSON, both after every call."""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from torch import nn


def flat(parameters: list[torch.Tensor]) -> list[float]:
    return np.concatenate([p.detach().numpy().ravel() for p in parameters]).tolist()


def main(settings: dict[str, float], steps: int) -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    average = EMAModel(network.parameters(), **settings)
    online, target = [], [flat(average.shadow_params)]
    for _ in range(steps):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.step(network.parameters())
        online.append(flat(list(network.parameters())))
        target.append(flat(average.shadow_params))
    print(json.dumps({"online": online, "target": target}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
