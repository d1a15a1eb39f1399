"""Update skrl's DQN on a fixed memory and print, as JSON, the networks before and after every gradient step."""

from __future__ import annotations

import json
import sys

import gymnasium
import numpy as np
import torch
from skrl.agents.torch.dqn import DQN
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, Model
from torch import nn


class Network(DeterministicMixin, Model):
    def __init__(self, observations: gymnasium.Space, actions: gymnasium.Space) -> None:
        Model.__init__(self, observation_space=observations, action_space=actions, device="cpu")
        DeterministicMixin.__init__(self)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    def compute(self, inputs: dict, role: str = "") -> tuple[torch.Tensor, dict]:
        return self.net(inputs["observations"]), {}


def flat(module: nn.Module) -> list[float]:
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()]).tolist()


def main(settings: dict[str, float], steps: int) -> None:
    torch.manual_seed(0)
    observations, actions = gymnasium.spaces.Box(-1, 1, (4,)), gymnasium.spaces.Discrete(2)
    models = {name: Network(observations, actions) for name in ("q_network", "target_q_network")}
    memory = RandomMemory(memory_size=64, num_envs=1, device="cpu")
    cfg = settings | {"batch_size": 8, "learning_rate": 1e-2}
    agent = DQN(
        models=models, memory=memory, observation_space=observations, action_space=actions, device="cpu", cfg=cfg
    )
    agent.init()
    agent.enable_training_mode(True)
    for _ in range(64):
        memory.add_samples(
            observations=torch.randn(1, 4), next_observations=torch.randn(1, 4), actions=torch.randint(2, (1, 1)),
            rewards=torch.randn(1, 1), terminated=torch.zeros(1, 1, dtype=torch.bool),
        )  # fmt: skip
    online, target = [], []
    agent.optimizer.register_step_pre_hook(lambda *_: target.append(flat(models["target_q_network"])))
    agent.optimizer.register_step_post_hook(lambda *_: online.append(flat(models["q_network"])))
    for timestep in range(steps):
        agent.post_interaction(timestep=timestep, timesteps=steps)
    print(json.dumps({"online": online, "target": [*target, flat(models["target_q_network"])]}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
