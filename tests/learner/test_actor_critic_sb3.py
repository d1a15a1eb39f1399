"""DDPG, TD3 and SAC against stable-baselines3: the same batch, weights and noise give the same networks to 1e-5."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import numpy as np
import pytest
import torch
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from softstep.config import Config
from softstep.learner.algorithms import make_learner
from softstep.learner.contract import Hyper, LearnerState, UpdateNoise
from softstep.transition import Transition

O, A, B, H = 3, 2, 16, (8, 8)  # noqa: E741
CRITIC_RATE = 1e-3


class Spaces(gymnasium.Env[np.ndarray, np.ndarray]):
    """Nothing but the spaces; stable-baselines3 makes its networks from them."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (O,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (A,), np.float32)


def batch(seed: int) -> Transition:
    rng = np.random.default_rng(seed)
    return Transition(
        rng.standard_normal((B, O)).astype(np.float32),
        rng.uniform(-1, 1, (B, A)).astype(np.float32),
        rng.standard_normal(B).astype(np.float32),
        rng.choice([0, 1], B).astype(np.float32),
        rng.standard_normal((B, O)).astype(np.float32),
    )


def noise(seed: int) -> UpdateNoise:
    return UpdateNoise(*np.random.default_rng(100 + seed).standard_normal((2, B, A)).astype(np.float32))


def make_theirs(algorithm: str) -> Any:
    """Make stable-baselines3's learner with networks of our shape."""
    kind = {"sac": SAC, "td3": TD3, "ddpg": DDPG}[algorithm]
    settings = {"tau": 0.05, "gamma": 0.9, "learning_rate": CRITIC_RATE, "policy_kwargs": {"net_arch": list(H)}}
    model: Any = kind("MlpPolicy", Spaces(), device="cpu", buffer_size=10, seed=0, **settings)
    model.set_logger(Logger(None, []))
    return model


def linear_layers(module: torch.nn.Module) -> list[torch.nn.Linear]:
    return [m for m in module.modules() if isinstance(m, torch.nn.Linear)]


def parameters_of(module: torch.nn.Module) -> list[np.ndarray]:
    """Return weights and biases layer by layer; μ and log σ of a Gaussian actor are one layer."""
    layers = [(m.weight.detach().numpy().copy(), m.bias.detach().numpy().copy()) for m in linear_layers(module)]
    if len(layers) > len(H) + 1:
        *layers, mean, log_sd = layers
        layers.append(tuple(np.concatenate(pair) for pair in zip(mean, log_sd, strict=True)))
    return [array for layer in layers for array in layer]


def critics_of(critic: Any) -> list[np.ndarray]:
    """Return the parameters of all critics, stacked."""
    return [np.stack(leaves) for leaves in zip(*map(parameters_of, critic.q_networks), strict=True)]


def our_state(algorithm: str, model: Any, start: LearnerState) -> LearnerState:
    """Return `start` with stable-baselines3's weights."""
    online = start.online._replace(actor=tuple(parameters_of(model.actor)), critics=tuple(critics_of(model.critic)))
    target = start.target._replace(critics=tuple(critics_of(model.critic_target)))
    if algorithm != "sac":
        target = target._replace(actor=tuple(parameters_of(model.actor_target)))
    return start._replace(online=online, target=target)


@pytest.fixture
def injected(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Return a list whose arrays torch takes as its standard normal numbers, one after another."""
    queue: list[np.ndarray] = []

    def rsample(self: Any, shape: Any = ()) -> torch.Tensor:
        return self.loc + self.scale * torch.from_numpy(queue.pop(0))

    def normal_(self: torch.Tensor, mean: float = 0.0, std: float = 1.0) -> torch.Tensor:
        return self.copy_(mean + std * torch.from_numpy(queue.pop(0)))

    monkeypatch.setattr(torch.distributions.Normal, "rsample", rsample)
    monkeypatch.setattr(torch.Tensor, "normal_", normal_)
    return queue


@pytest.mark.parametrize("algorithm", ["sac", "td3", "ddpg"])
def test_updates_equal_stable_baselines3s(algorithm: Any, injected: list[np.ndarray]) -> None:
    injected.clear()
    model = make_theirs(algorithm)
    ours = make_learner(Config(env="Pendulum-v1", algorithm=algorithm, hidden=H), O, A)
    state = our_state(algorithm, model, ours.init(jax.random.key(0)))
    hyper = Hyper(CRITIC_RATE, 0.05, 2 if algorithm == "td3" else 1, 0.9)
    hyper = hyper._replace(actor_learning_rate=CRITIC_RATE, temperature_learning_rate=CRITIC_RATE, actor_tau=0.05)
    update = jax.jit(ours.update)
    for step in range(4):
        data, normal = batch(step), noise(step)
        state, _ = update(state, data, hyper, normal)
        tensors = [torch.from_numpy(np.asarray(part)) for part in data]
        observation, action, reward, discount, next_observation = tensors
        theirs = ReplayBufferSamples(observation, action, next_observation, 1 - discount[:, None], reward[:, None])
        model.replay_buffer.sample = lambda *_, data=theirs, **__: data
        injected[:] = [normal.action, normal.next_action] if algorithm == "sac" else [normal.next_action]
        model.train(gradient_steps=1, batch_size=B)
        assert not injected
        expected = our_state(algorithm, model, state)
        for mine, their in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(mine, their, rtol=0, atol=1e-5)
        if algorithm == "sac":
            np.testing.assert_allclose(state.online.log_temperature[0], model.log_ent_coef.item(), atol=1e-5)
