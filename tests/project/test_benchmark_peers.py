"""The peers of the benchmarks learn as they should: double Q-learning, the stop rule, counts, the recipe's update."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from benchmarks import actor_critic, cartpole, fast, peers, recipe
from benchmarks.peers import sb3_actor_critic, sb3_dqn
from softstep.learner.algorithms import make_learner
from softstep.learner.contract import Hyper
from softstep.transition import Transition


def peer_settings(**changes: Any) -> dict[str, Any]:
    """Return settings of stable-baselines3 for a short time on CartPole."""
    return fast.peer_request(0, 60.0) | {"env": "CartPole-v1", "hidden": [16], "batch_size": 32} | changes


@pytest.mark.parametrize("double_q", [False, True])
def test_the_target_network_values_the_action_that_double_q_learning_chooses(
    double_q: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = sb3_dqn.make_agent(peer_settings(double_q=double_q), "CartPole-v1")
    for parameter in agent.q_net_target.parameters():
        torch.nn.init.normal_(parameter)
    agent.learn(1)  # sets up the logger
    observations, next_observations = torch.randn(2, 32, 4)
    actions, dones, rewards = torch.randint(2, (32, 1)), torch.randint(2, (32, 1)).float(), torch.randn(32, 1)
    batch = ReplayBufferSamples(observations, actions, next_observations, dones, rewards, None)
    monkeypatch.setattr(agent.replay_buffer, "sample", lambda *_, **__: batch)
    online, target = (net(next_observations).detach() for net in (agent.q_net, agent.q_net_target))
    chosen = (online if double_q else target).argmax(1, keepdim=True)
    assert (online.argmax(1) != target.argmax(1)).any()
    expected, used = rewards + (1 - dones) * agent.gamma * target.gather(1, chosen), []
    loss = torch.nn.functional.smooth_l1_loss
    monkeypatch.setattr(torch.nn.functional, "smooth_l1_loss", lambda q, y: used.append(y) or loss(q, y))
    agent.train(1, 32)
    torch.testing.assert_close(used[0], expected)
    assert agent.q_net_target is agent.policy.q_net_target


@pytest.mark.parametrize(("solve_at", "solved"), [(1.0, True), (1e9, False)])
def test_the_peer_stops_when_two_evaluations_reach_the_return(solve_at: float, solved: bool) -> None:
    rule = {"eval_every": 100, "eval_episodes": 2, "eval_gate": 1.0, "solve_at": solve_at, "total_steps": 300}
    answer = sb3_dqn.solve(peer_settings(exploration_steps=100, **rule))
    assert answer["solved"] is solved
    assert answer["env_steps"] == (100 if solved else 300)


@pytest.mark.parametrize(("algorithm", "critics", "actor_steps"), [("sac", 2, 10), ("td3", 2, 5), ("ddpg", 1, 10)])
def test_the_actor_critic_peer_counts_the_steps_of_its_optimizers(
    algorithm: actor_critic.Algorithm, critics: int, actor_steps: int
) -> None:
    work = actor_critic.config(algorithm, 64, actor_critic.QUICK, one_core=True)
    small = {"library": "stable_baselines3", "hidden": [8, 4], "batch_size": 4, "learning_starts": 4, "steps": 10}
    request = actor_critic.peer_settings(work) | small
    answer = sb3_actor_critic.measure(request | {"warm": 8})
    assert (answer["agent_steps"], answer["gradient_steps"], answer["actor_steps"]) == (10, 10, actor_steps)
    agent = sb3_actor_critic.make_agent(request)
    assert (agent.critic.n_critics, agent.replay_buffer.buffer_size, agent.tau) == (critics, 10_000, 0.005)
    kinds = [type(layer) for layer in agent.critic.q_networks[0]]
    assert kinds == [torch.nn.Linear, torch.nn.ReLU, torch.nn.Linear, torch.nn.ReLU, torch.nn.Linear]


def run_recipe(request: dict[str, Any]) -> dict[str, Any]:
    """Run the recipe in its environment and return its answer."""
    command = [str(peers.python("recipe")), str(peers.HERE / "recipe_dqn.py"), json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.heavy
def test_an_update_of_the_recipe_equals_ours() -> None:
    work = cartpole.population(8, 1_000)
    learner, random = make_learner(work, 4, 2), np.random.default_rng(0)
    batch = Transition(
        observation=jnp.asarray(random.normal(size=(64, 4)), jnp.float32),
        action=jnp.asarray(random.integers(2, size=64)),
        reward=jnp.asarray(random.normal(size=64), jnp.float32),
        discount=jnp.asarray(random.integers(2, size=64), jnp.float32),
        next_observation=jnp.asarray(random.normal(size=(64, 4)), jnp.float32),
    )
    state = learner.init(jax.random.key(0))
    after, _ = learner.update(state, batch, Hyper(work.learning_rate, work.target.tau, 1, work.gamma))
    layers = [
        [weight.tolist(), bias.tolist()] for weight, bias in zip(state.online[::2], state.online[1::2], strict=True)
    ]
    fields = {name: np.asarray(value).tolist() for name, value in batch._asdict().items() if name != "discount"}
    request = cartpole.peer_settings(work) | {"do": "update", "layers": layers}
    answer = run_recipe(request | {"batch": fields | {"done": (1 - batch.discount).tolist()}})
    for ours, theirs in ((after.online, answer["online"]), (after.target, answer["target"])):
        flat = [np.array(array) for layer in theirs for array in layer]
        for expected, actual in zip(ours, flat, strict=True):
            np.testing.assert_allclose(actual, expected, atol=2e-6)


@pytest.mark.heavy
def test_the_recipe_learns_cartpole() -> None:
    request = recipe.peer_request(4, recipe.FULL) | {"do": "solve", "steps": 40_000}
    assert np.median(run_recipe(request)["returns"]) >= 475
