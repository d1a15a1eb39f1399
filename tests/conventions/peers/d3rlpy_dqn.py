"""Update d3rlpy's DQN or SAC and print, as JSON, the networks before and after every gradient step."""

from __future__ import annotations

import json
import sys

import d3rlpy
import numpy as np
import torch


def flat(module: torch.nn.Module) -> list[float]:
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()]).tolist()


def main(algorithm: str, settings: dict[str, float], steps: int) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    is_discrete = algorithm == "DQN"
    actions = rng.integers(0, 2, (64, 1)) if is_discrete else rng.normal(size=(64, 2)).astype(np.float32)
    data = d3rlpy.dataset.MDPDataset(
        rng.normal(size=(64, 4)).astype(np.float32), actions, rng.normal(size=(64, 1)), np.arange(64) % 16 == 15
    )
    config = getattr(d3rlpy.algos, f"{algorithm}Config")(batch_size=8, **settings)
    agent = config.create(device="cpu:0")
    agent.build_with_dataset(data)
    modules = agent.impl.modules
    optimizer = getattr(modules, "optim" if is_discrete else "critic_optim").optim
    online, target = [], []
    optimizer.register_step_pre_hook(lambda *_: target.append(flat(modules.targ_q_funcs)))
    optimizer.register_step_post_hook(lambda *_: online.append(flat(modules.q_funcs)))
    for _ in range(steps):
        agent.update(data.sample_transition_batch(8))
    print(json.dumps({"online": online, "target": [*target, flat(modules.targ_q_funcs)]}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
