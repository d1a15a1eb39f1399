"""stable-baselines3's DQN on Gymnasium; prints one JSON line.

This program runs in an environment created from sb3.txt and does not import softstep. `speed` measures environment
steps per second during learning; `solve` trains until greedy evaluations reach a return or a time limit passes.
"""

from __future__ import annotations

import copy
import importlib.metadata
import json
import sys
import time
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.utils import LinearSchedule


class DoubleDQN(DQN):
    """DQN with double Q-learning: the online network chooses the next action, the target network values it."""

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Take gradient steps as DQN does, with the chosen actions' values in the place of all values."""
        target = self.q_net_target
        self.q_net_target = lambda observations: target(observations).gather(
            1, self.q_net(observations).argmax(1, keepdim=True)
        )
        try:
            super().train(gradient_steps, batch_size)
        finally:
            self.q_net_target = target


def make_agent(request: dict[str, Any], env: Any) -> DQN:
    """Return a DQN with the requested settings: a gradient step and soft update per `train_every` environment steps."""
    rate, final = request["learning_rate"], request.get("learning_rate_decay", 1.0)
    share = min(1.0, request.get("learning_rate_decay_steps", 1) / request["total_steps"])
    return (DoubleDQN if request.get("double_q") else DQN)(
        "MlpPolicy",
        env,
        learning_rate=LinearSchedule(rate, rate * final, share),
        buffer_size=request["memory_size"],
        learning_starts=request["learning_starts"],
        batch_size=request["batch_size"],
        tau=request["tau"],
        gamma=request["gamma"],
        train_freq=request["train_every"],
        gradient_steps=1,
        target_update_interval=request["train_every"],
        exploration_fraction=min(1.0, request["exploration_steps"] / request["total_steps"]),
        exploration_final_eps=request["exploration_end"],
        max_grad_norm=request.get("max_grad_norm") or 10,  # stable-baselines3 always clips, at 10 by default
        policy_kwargs={"net_arch": request["hidden"]},
        seed=request["seed"],
        device="cpu",
    )


def speed(request: dict[str, Any]) -> dict[str, Any]:
    """Measure the environment steps per second after `warm` steps, all of them learning."""
    warm, steps = request["warm"], request["steps"]
    agent = make_agent(request, request["env"])
    agent.learn(warm)
    before = agent._n_updates
    start = time.perf_counter()
    agent.learn(steps, reset_num_timesteps=False)
    seconds, updates = time.perf_counter() - start, agent._n_updates - before
    assert abs(updates - steps / request["train_every"]) <= 2, f"{updates} updates in {steps} steps"
    return {"rate": steps / seconds, "agent_steps": steps, "seconds": seconds}


class UntilSolved(BaseCallback):
    """A callback that stops training when the task is solved or the time limit has passed.

    It evaluates greedily every `eval_every` steps once the last `gate_window` training returns pass the gate. The task
    is solved when two evaluations in a row of one policy reach `solve_at`, the second one on further episodes.
    """

    def __init__(self, request: dict[str, Any], start: float) -> None:
        super().__init__()
        self._request, self._start = request, start
        self._eval_env = Monitor(gymnasium.make(request["env"]))
        self._eval_env.reset(seed=request["seed"] + 1_000_000)
        self.best, self.solved = -np.inf, False

    def _on_step(self) -> bool:
        if time.perf_counter() - self._start > self._request["limit_seconds"]:
            return False
        if self.num_timesteps % self._request["eval_every"] or not self._gate_is_open():
            return True
        first = self._evaluate()
        self.best = max(self.best, first)
        self.solved = first >= self._request["solve_at"] and self._evaluate() >= self._request["solve_at"]
        return not self.solved

    def _evaluate(self) -> float:
        policy = copy.deepcopy(self.model.policy)
        if self._request["eval_network"] == "target":
            policy.q_net.load_state_dict(self.model.q_net_target.state_dict())
        mean, _ = evaluate_policy(policy, self._eval_env, n_eval_episodes=self._request["eval_episodes"])
        return float(mean)

    def _gate_is_open(self) -> bool:
        recent = [episode["r"] for episode in list(self.model.ep_info_buffer)[-self._request["gate_window"] :]]
        return bool(recent) and float(np.mean(recent)) >= self._request["eval_gate"]


def solve(request: dict[str, Any]) -> dict[str, Any]:
    """Measure the wall time until greedy evaluations reach `solve_at`; returns are reported unscaled."""
    start, scale = time.perf_counter(), request["reward_scale"]
    monitored = Monitor(gymnasium.make(request["env"]))
    agent = make_agent(request, gymnasium.wrappers.TransformReward(monitored, lambda reward: reward * scale))
    callback = UntilSolved(request, start)
    agent.learn(request["total_steps"], callback=callback)
    return {
        "seconds": time.perf_counter() - start,
        "solved": bool(callback.solved),
        "env_steps": agent.num_timesteps,
        "best_evaluation": callback.best if np.isfinite(callback.best) else None,
    }


def main() -> None:
    """Run the request in the first argument and print the answer."""
    request = json.loads(sys.argv[1])
    if request["threads"] is not None:
        torch.set_num_threads(request["threads"])
    answer = {"speed": speed, "solve": solve}[request["do"]](request)
    names = ("stable-baselines3", "torch", "gymnasium")
    versions = {name: importlib.metadata.version(name) for name in names}
    print(json.dumps(answer | {"threads": torch.get_num_threads(), "versions": versions}))


if __name__ == "__main__":
    main()
