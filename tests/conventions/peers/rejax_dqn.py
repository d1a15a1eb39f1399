"""Run rejax's DQN and print, as JSON, the networks before and after every iteration that learns."""

from __future__ import annotations

import json
import sys

import jax
import numpy as np
from rejax import DQN


def flat(params: object) -> list[float]:
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(params)]).tolist()


def main(settings: dict[str, float], iterations: int) -> None:
    algorithm = DQN.create(
        env="CartPole-v1", batch_size=8, buffer_size=256, fill_buffer=64, learning_rate=1e-2, total_timesteps=10_000,
        eval_freq=10_000, skip_initial_evaluation=True, **settings,
    )  # fmt: skip
    state = algorithm.init_state(jax.random.PRNGKey(0))
    step = jax.jit(algorithm.train_iteration)
    online, target = [], []
    for _ in range(iterations):
        learns = int(state.global_step) > 64
        before = flat(state.q_target_params)
        state = step(state)
        if learns:
            target.append(before)
            online.append(flat(state.q_ts.params))
    print(json.dumps({"online": online, "target": [*target, flat(state.q_target_params)]}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
