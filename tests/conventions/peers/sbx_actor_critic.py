"""Train SAC, TD3 or DDPG of sbx and print, as JSON, its networks at every gradient step."""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import numpy as np
import sbx
from stable_baselines3.common.env_util import make_vec_env


def flat(params: Any) -> list[float]:
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(params)]).tolist()


def main(name: str, settings: dict[str, Any], steps: int) -> None:
    algorithm, environment = getattr(sbx, name), make_vec_env("Pendulum-v1", settings.pop("n_envs", 1), seed=0)
    observed: dict[str, list[list[float]]] = {"online": [], "target": [], "actor": [], "actor_target": []}
    update_critic = algorithm.update_critic

    def watched(actor_state: Any, qf_state: Any, *arguments: Any) -> Any:
        observed["target"].append(flat(qf_state.target_params))
        observed["actor"].append(flat(actor_state.params))
        if hasattr(actor_state, "target_params"):
            observed["actor_target"].append(flat(actor_state.target_params))
        results = update_critic(actor_state, qf_state, *arguments)
        observed["online"].append(flat(results[0].params))
        return results

    algorithm.update_critic = staticmethod(watched)
    model = algorithm(
        "MlpPolicy", environment, learning_starts=20, batch_size=8, buffer_size=500, learning_rate=1e-2, seed=0,
        policy_kwargs={"net_arch": [8]}, **settings,
    )  # fmt: skip
    with jax.disable_jit():  # its loop over gradient steps is then Python's, whose networks are numbers
        model.learn(steps)
    print(json.dumps(observed))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
