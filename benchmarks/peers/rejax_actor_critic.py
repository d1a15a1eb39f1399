"""rejax's SAC and TD3 on gymnax, run as documented by `jax.jit` over `jax.vmap` of `train`; prints one JSON line.

This program runs in an environment created from rejax.txt and does not import softstep. An empty callback replaces
the evaluations. Timing starts when the program is compiled and every agent learns; gradient steps are counted by the
optimizers' own states.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import sys
import time
from typing import Any

import jax
from rejax import SAC, TD3


def algorithm(request: dict[str, Any], steps: int) -> Any:
    """Return an SAC or TD3 that trains for `steps` environment steps and does not evaluate."""
    shared = {
        "env": request["env"],
        "num_envs": 1,
        "num_epochs": 1,
        "batch_size": request["batch_size"],
        "buffer_size": request["memory_size"],
        "fill_buffer": request["learning_starts"],
        "learning_rate": request["learning_rate"],
        "gamma": request["gamma"],
        "polyak": 1 - request["tau"],
        "target_update_freq": 1,
        "total_timesteps": steps,
        "eval_freq": steps,
        "skip_initial_evaluation": True,
    }
    if request["algorithm"] == "sac":
        networks = {"hidden_layer_sizes": request["hidden"], "agent_kwargs": {"activation": "relu"}}
        agent = SAC.create(**shared, **networks)
    else:
        assert request["hidden"] == [64, 64], "the networks of rejax's TD3 are a fixed 64-64"
        networks = {name: {"activation": "relu"} for name in ("actor_kwargs", "critic_kwargs")}
        agent = TD3.create(**shared, **networks, exploration_noise=request["action_noise"], policy_delay=2)
    return agent.replace(eval_callback=lambda algorithm, state, key: ())


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Measure the agent-steps per second of `agents` vmapped seeds over `steps` steps, all of them learning.

    The compiled `steps` steps are called until `warm` steps are done, and then once more, timed.
    """
    warm, steps, agents = request["warm"], request["steps"], request["agents"]
    agent = algorithm(request, steps)
    state = jax.jit(jax.vmap(agent.init_state))(jax.random.split(jax.random.PRNGKey(0), agents))
    train = jax.jit(jax.vmap(lambda s: agent.train(train_state=s))).lower(state).compile()
    calls = math.ceil(warm / steps)
    for _ in range(calls):
        state, _ = jax.block_until_ready(train(state))
    start = time.perf_counter()
    after, _ = jax.block_until_ready(train(state))
    seconds = time.perf_counter() - start
    assert int(after.global_step[0]) == (calls + 1) * steps, "the timed steps differ from the requested ones"
    taken = {
        "gradient_steps": int((after.critic_ts.step - state.critic_ts.step).sum()),
        "actor_steps": int((after.actor_ts.step - state.actor_ts.step).sum()),
    }
    return {"rate": agents * steps / seconds, "agent_steps": agents * steps, "seconds": seconds} | taken


def main() -> None:
    """Run the request in the first argument and print the answer."""
    names = ("rejax", "gymnax", "jax", "jaxlib")
    answer = measure(json.loads(sys.argv[1]))
    print(json.dumps(answer | {"versions": {name: importlib.metadata.version(name) for name in names}}))


if __name__ == "__main__":
    main()
