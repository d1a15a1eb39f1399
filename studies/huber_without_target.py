"""Check one result of the atlas in PyTorch alone: with Huber's loss and no target network, Q grows without bound.

    python studies/huber_without_target.py

Prints the last training returns and the mean Q of a minibatch after 20 000 steps of CartPole, for both losses, without
a target network and with a soft one. Nothing of softstep is used.
"""

from __future__ import annotations

import copy
import itertools

import gymnasium
import numpy as np
import torch
from torch import nn

LOSSES = {"squared": nn.functional.mse_loss, "huber": nn.functional.smooth_l1_loss}
STEPS, STARTS, GAMMA, ALPHA, BATCH = 20_000, 1_000, 0.99, 1e-3, 64
SEEDS = 3


def train(loss: str, tau: float, seed: int) -> tuple[float, float]:
    """Return the mean return of the last 20 training episodes and the mean Q of a minibatch; τ = 1: no target."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    online = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    target = copy.deepcopy(online)
    optimizer = torch.optim.Adam(online.parameters(), ALPHA)
    env = gymnasium.make("CartPole-v1")
    observation, _ = env.reset(seed=seed)
    memory, returns, q = [], [0.0], torch.zeros(1)
    for step in range(1, STEPS + 1):
        is_random = generator.random() < max(0.04, 1 - step / 5_000)
        action = int(generator.integers(2) if is_random else online(torch.tensor(observation)).argmax())
        following, reward, terminated, truncated, _ = env.step(action)
        memory.append((observation, action, reward, following, terminated))
        returns[-1] += reward
        observation = following
        if terminated or truncated:
            returns.append(0.0)
            observation, _ = env.reset()
        if step > STARTS and step % 2 == 0:
            rows = [memory[i] for i in generator.integers(len(memory), size=BATCH)]
            states, actions, rewards, followers, ends = (
                torch.tensor(np.array(column)) for column in zip(*rows, strict=True)
            )
            with torch.no_grad():
                y = rewards.float() + GAMMA * ~ends * target(followers).max(1).values
            q = online(states).gather(1, actions[:, None])[:, 0]
            optimizer.zero_grad()
            LOSSES[loss](q, y).backward()
            optimizer.step()
            with torch.no_grad():
                for old, new in zip(target.parameters(), online.parameters(), strict=True):
                    old.lerp_(new, tau)
    return float(np.mean(returns[-21:-1])), float(q.detach().mean())


def main() -> None:
    """Train every combination and print a line for each."""
    torch.set_num_threads(1)
    for loss, tau in itertools.product(LOSSES, (1.0, 0.02)):
        outcomes = [train(loss, tau, seed) for seed in range(SEEDS)]
        target = "no target" if tau == 1 else f"soft target, τ = {tau}"
        text = "; ".join(f"return {ret:.0f}, mean Q {q:.4g}" for ret, q in outcomes)
        print(f"{loss}, {target}: {text}", flush=True)


if __name__ == "__main__":
    main()
