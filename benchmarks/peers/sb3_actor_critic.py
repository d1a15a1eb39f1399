"""SAC, TD3 and DDPG of stable-baselines3 or of sbx on Gymnasium; prints one JSON line.

This program runs in the environments created from sb3.txt and sbx.txt and does not import softstep. The two libraries
take the same arguments; sbx keeps the loop, the environment and the replay buffer of stable-baselines3 and computes
its updates in JAX. Timing starts once the agent learns and, in sbx, its update is compiled.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.noise import NormalActionNoise


class Steps(NamedTuple):
    """Gradient steps that the optimizers have taken so far."""

    critics: int
    actor: int


def make_agent(request: dict[str, Any]) -> Any:
    """Return an agent with the requested settings, one gradient step of the critics per environment step."""
    library = request["library"]
    activation = torch.nn.ReLU if library == "stable_baselines3" else importlib.import_module("flax.linen").relu
    if request["algorithm"] == "sac":
        settings = {"ent_coef": "auto"}
    else:
        settings = {"action_noise": NormalActionNoise(np.zeros(1), np.full(1, request["action_noise"]))}
    if library == "sbx":
        settings["qf_learning_rate"] = request["learning_rate"]  # else 1e-3 in DDPG
    return getattr(importlib.import_module(library), request["algorithm"].upper())(
        "MlpPolicy",
        request["env"],
        learning_rate=request["learning_rate"],
        buffer_size=request["memory_size"],
        learning_starts=request["learning_starts"],
        batch_size=request["batch_size"],
        tau=request["tau"],
        gamma=request["gamma"],
        train_freq=1,
        gradient_steps=1,
        policy_kwargs={"net_arch": request["hidden"], "activation_fn": activation},
        seed=request["seed"],
        device="cpu",
        **settings,
    )


def steps_taken(agent: Any, library: str) -> Steps:
    """Return the gradient steps by the optimizers' own counts."""
    if library == "sbx":
        return Steps(int(agent.policy.qf_state.step), int(agent.policy.actor_state.step))
    counts = [next(iter(network.optimizer.state.values()))["step"] for network in (agent.critic, agent.actor)]
    return Steps(*map(int, counts))


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Measure the environment steps per second after `warm` steps, all of them learning."""
    warm, steps, library = request["warm"], request["steps"], request["library"]
    agent = make_agent(request)
    agent.learn(warm)
    before, start = steps_taken(agent, library), time.perf_counter()
    agent.learn(steps, reset_num_timesteps=False)
    after = steps_taken(agent, library)  # in JAX this waits for the last step
    seconds = time.perf_counter() - start
    taken = {"gradient_steps": after.critics - before.critics, "actor_steps": after.actor - before.actor}
    return {"rate": steps / seconds, "agent_steps": steps, "seconds": seconds} | taken


def main() -> None:
    """Run the request in the first argument and print the answer."""
    request = json.loads(sys.argv[1])
    if request["threads"] is not None:
        torch.set_num_threads(request["threads"])
    names = ["stable-baselines3", "torch", "gymnasium"]
    names += ["sbx-rl", "jax", "jaxlib", "flax"] if request["library"] == "sbx" else []
    answer = measure(request) | {"threads": torch.get_num_threads()}
    print(json.dumps(answer | {"versions": {name: importlib.metadata.version(name) for name in names}}))


if __name__ == "__main__":
    main()
