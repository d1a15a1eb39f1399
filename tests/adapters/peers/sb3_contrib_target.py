"""Train QR-DQN or TQC with the callback, save and load midway, and print the networks and the settings as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import sb3_contrib
from stable_baselines3.common.callbacks import CheckpointCallback

from softstep.adapters.sb3 import TargetCallback
from softstep.target import TargetUpdate

ENVIRONMENTS = {"QRDQN": "CartPole-v1", "TQC": "Pendulum-v1"}
NETWORKS = {"QRDQN": "quantile_net", "TQC": "critic"}


def flat(module: Any) -> list[float]:
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()]).tolist()


def main(name: str, tau: float, period: int) -> None:
    algorithm: Any = getattr(sb3_contrib, name)
    online: list[list[float]] = []

    def train(model: Any, steps: int) -> TargetCallback:
        network = getattr(model, NETWORKS[name])
        optimizer = network.optimizer if hasattr(network, "optimizer") else model.policy.optimizer
        hook = optimizer.register_step_post_hook(lambda *_: online.append(flat(network)))
        callback = TargetCallback(TargetUpdate(tau, period))
        model.learn(steps, callback=[callback, CheckpointCallback(steps, folder)])
        hook.remove()
        return callback

    with tempfile.TemporaryDirectory() as folder:
        model = algorithm(
            "MlpPolicy", ENVIRONMENTS[name], learning_starts=20, batch_size=8, train_freq=1, buffer_size=500, tau=0.3,
            policy_kwargs={"net_arch": [8]}, seed=0, device="cpu",
        )  # fmt: skip
        target = flat(getattr(model, f"{NETWORKS[name]}_target"))
        train(model, 30)
        saved = algorithm.load(Path(folder, "rl_model_30_steps"), device="cpu")
        model.save(Path(folder, "model"))
        model = algorithm.load(Path(folder, "model"), env=gymnasium.make(ENVIRONMENTS[name]), device="cpu")
        callback = train(model, 40)
    print(json.dumps({
        "first": target, "online": online, "last": flat(getattr(model, f"{NETWORKS[name]}_target")),
        "tau": [saved.tau, model.tau], "gradient_steps": callback.gradient_steps,
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
