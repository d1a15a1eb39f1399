"""rejax's DQN on gymnax, run as documented by `jax.jit` over `jax.vmap` of `train`; prints one JSON line.

This program runs in an environment created from rejax.txt and does not import softstep. An empty callback replaces
the evaluations. Timing starts when the program is compiled and every agent learns.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from typing import Any

import jax
from rejax import DQN


def algorithm(request: dict[str, Any], steps: int, fill: int) -> Any:
    """Return a DQN that trains for `steps` environment steps and does not evaluate."""
    dqn = DQN.create(
        env=request["env"],
        agent_kwargs={"activation": "relu"},  # its network is a fixed 64-64
        num_envs=1,
        num_epochs=1,
        ddqn=False,
        batch_size=request["batch_size"],
        buffer_size=request["memory_size"],
        fill_buffer=fill,
        learning_rate=request["learning_rate"],
        gamma=request["gamma"],
        polyak=1 - request["tau"],
        target_update_freq=1,
        total_timesteps=steps,
        eval_freq=steps,
        skip_initial_evaluation=True,
    )
    return dqn.replace(eval_callback=lambda algorithm, state, key: ())


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Measure the agent-steps per second of `agents` vmapped seeds, all of them learning."""
    warm, steps, agents = request["warm"], request["steps"], request["agents"]
    keys = jax.random.split(jax.random.PRNGKey(0), agents)
    state, _ = jax.jit(jax.vmap(algorithm(request, warm, fill=warm // 2).train))(keys)
    timed = algorithm(request, steps, fill=warm // 2)
    train = jax.jit(jax.vmap(lambda s: timed.train(train_state=s))).lower(state).compile()
    jax.block_until_ready(state)
    start = time.perf_counter()
    state, _ = jax.block_until_ready(train(state))
    seconds = time.perf_counter() - start
    assert int(state.global_step[0]) == warm + steps, "the timed steps differ from the requested ones"
    return {"rate": agents * steps / seconds, "agent_steps": agents * steps, "seconds": seconds}


def main() -> None:
    """Run the request in the first argument and print the answer."""
    names = ("rejax", "gymnax", "jax", "jaxlib")
    answer = measure(json.loads(sys.argv[1]))
    print(json.dumps(answer | {"versions": {name: importlib.metadata.version(name) for name in names}}))


if __name__ == "__main__":
    main()
