"""Update Tianshou's DQN on a fixed buffer and print, as JSON, the networks before and after every gradient step."""

from __future__ import annotations

import json
import sys

import gymnasium
import numpy as np
import torch
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Batch, ReplayBuffer
from tianshou.utils.net.common import Net
from tianshou.utils.torch_utils import policy_within_training_step


def flat(module: torch.nn.Module) -> list[float]:
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()]).tolist()


def main(frequency: int, steps: int) -> None:
    torch.manual_seed(0)
    env = gymnasium.make("CartPole-v1")
    model = Net(state_shape=4, action_shape=2, hidden_sizes=[8])
    policy = DiscreteQLearningPolicy(model=model, action_space=env.action_space)
    algorithm = DQN(policy=policy, optim=AdamOptimizerFactory(lr=1e-2), target_update_freq=frequency)
    buffer, rng = ReplayBuffer(64), np.random.default_rng(0)
    for _ in range(64):
        observation = rng.normal(size=4)
        buffer.add(
            Batch(
                obs=observation, act=0, rew=1.0, terminated=False, truncated=False, obs_next=observation + 0.1, info={}
            )
        )
    online, target, used = [], [], []
    compute = algorithm._target_q

    def target_q(*arguments: object) -> object:
        used.append(flat(algorithm.model_old))  # the TD targets of this gradient step are computed with it
        return compute(*arguments)

    algorithm._target_q = target_q
    for _ in range(steps):
        target.append(flat(algorithm.model_old))
        with policy_within_training_step(algorithm.policy):
            algorithm.update(buffer=buffer, sample_size=8)
        online.append(flat(model))
    print(json.dumps({"online": online, "target": target, "used": used}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
