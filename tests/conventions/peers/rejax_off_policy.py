"""Run rejax's DQN, SAC or TD3 and print, as JSON, its networks before and after every iteration that learns."""

from __future__ import annotations

import json
import sys

import jax
import numpy as np
import rejax

ENVIRONMENTS = {"DQN": "CartPole-v1", "SAC": "Pendulum-v1", "TD3": "Pendulum-v1"}
NETWORKS = {
    "DQN": {"online": "q_ts", "target": "q_target_params"},
    "SAC": {"online": "critic_ts", "target": "critic_target_params"},
    "TD3": {
        "online": "critic_ts", "target": "critic_target_params", "actor": "actor_ts",
        "actor_target": "actor_target_params",
    },
}  # fmt: skip
FILL = 64


def flat(network: object) -> list[float]:
    params = getattr(network, "params", network)
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(params)]).tolist()


def main(name: str, settings: dict[str, float], iterations: int) -> None:
    algorithm = getattr(rejax, name).create(
        env=ENVIRONMENTS[name], batch_size=8, buffer_size=256, fill_buffer=FILL, learning_rate=1e-2,
        total_timesteps=10_000, eval_freq=10_000, skip_initial_evaluation=True, **settings,
    )  # fmt: skip
    state = algorithm.init_state(jax.random.PRNGKey(0))
    step = jax.jit(algorithm.train_iteration)
    observed: dict[str, list[list[float]]] = {kind: [] for kind in NETWORKS[name]}
    for _ in range(iterations):
        learns = int(state.global_step) > FILL
        before, state = state, step(state)
        for kind, attribute in NETWORKS[name].items():
            if learns:
                observed[kind].append(flat(getattr(before if "target" in kind else state, attribute)))
    for kind, attribute in NETWORKS[name].items():
        if "target" in kind:
            observed[kind].append(flat(getattr(state, attribute)))
    print(json.dumps(observed))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
