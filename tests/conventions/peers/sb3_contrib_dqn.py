"""Train QR-DQN or TQC and print, as JSON, the networks before and after every gradient step."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import sb3_contrib
import torch
from stable_baselines3.common.env_util import make_vec_env

ENVIRONMENTS = {"QRDQN": "CartPole-v1", "TQC": "Pendulum-v1"}
NETWORKS = {"QRDQN": "quantile_net", "TQC": "critic"}


def flat(module: Any) -> list[float]:
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()]).tolist()


def main(name: str, settings: dict[str, Any], steps: int) -> None:
    torch.set_num_threads(1)
    environment = make_vec_env(ENVIRONMENTS[name], settings.pop("n_envs", 1), seed=0)
    model = getattr(sb3_contrib, name)(
        "MlpPolicy", environment, learning_starts=20, batch_size=8, buffer_size=500, seed=0, device="cpu",
        policy_kwargs={"net_arch": [8]}, **settings,
    )  # fmt: skip
    network, copy = getattr(model, NETWORKS[name]), getattr(model, f"{NETWORKS[name]}_target")
    optimizer = network.optimizer if hasattr(network, "optimizer") else model.policy.optimizer
    online, target = [], []
    optimizer.register_step_pre_hook(lambda *_: target.append(flat(copy)))
    optimizer.register_step_post_hook(lambda *_: online.append(flat(network)))
    model.learn(steps)
    print(json.dumps({"online": online, "target": target}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
