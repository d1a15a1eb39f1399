"""The fastest known recipe for DQN in JAX: flax, optax, flashbax and gymnax in one jitted scan; prints one JSON line.

This program runs in an environment created from recipe.txt and does not import softstep. It follows the shape of
PureJaxRL (luchris429/purejaxrl, purejaxrl/dqn.py), and does less than that: random actions before learning are a scan
of their own, so that the learning loop has no branch (under vmap both sides of a branch are computed), and nothing is
logged. As in PureJaxRL, an episode that ends at its time limit counts as terminated.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import flashbax
import flax.linen as nn
import gymnax
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState


class QNetwork(nn.Module):
    """Fully connected layers with ReLU between them."""

    hidden: Sequence[int]
    actions: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.hidden:
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(self.actions)(x)


class TimeStep(NamedTuple):
    """What the replay buffer stores of a step; the next observation is that of the next step."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    done: jax.Array


class Learner(NamedTuple):
    """The online network with its optimizer, and the target network."""

    online: TrainState
    target: Any


class Agent(NamedTuple):
    """Everything that a step carries to the next."""

    learner: Learner
    replay: Any
    env_state: Any
    observation: jax.Array
    key: jax.Array
    steps: jax.Array


def make_learner(request: dict[str, Any], params: Any, actions: int) -> Learner:
    """Return a learner at these parameters."""
    network = QNetwork(request["hidden"], actions)
    online = TrainState.create(apply_fn=network.apply, params=params, tx=optax.adam(request["learning_rate"]))
    return Learner(online, jax.tree.map(jnp.copy, params))


def update(learner: Learner, first: TimeStep, second: TimeStep, request: dict[str, Any]) -> Learner:
    """Return the learner after one gradient step on pairs of successive steps, and one soft update."""
    online = learner.online
    next_values = online.apply_fn(learner.target, second.observation).max(-1)
    y = first.reward + request["gamma"] * (1 - first.done) * next_values

    def loss(params: Any) -> jax.Array:
        values = online.apply_fn(params, first.observation)
        chosen = jnp.take_along_axis(values, first.action[:, None], axis=-1).squeeze(-1)
        return jnp.mean((chosen - y) ** 2)

    online = online.apply_gradients(grads=jax.grad(loss)(online.params))
    return Learner(online, optax.incremental_update(online.params, learner.target, request["tau"]))


class Recipe:
    """Pure functions of one agent; the caller vmaps."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request, batch = request, request["batch_size"]
        self.env, self.env_params = gymnax.make(request["env"])
        self.actions = self.env.action_space(self.env_params).n
        self.replay = flashbax.make_flat_buffer(
            max_length=request["memory_size"], min_length=batch, sample_batch_size=batch, add_batch_size=1
        )

    def init(self, key: jax.Array) -> Agent:
        """Return a new agent."""
        key, network_key, reset_key = jax.random.split(key, 3)
        observation, env_state = self.env.reset(reset_key, self.env_params)
        params = QNetwork(self.request["hidden"], self.actions).init(network_key, observation)
        no_step = TimeStep(observation, jnp.zeros((), jnp.int32), jnp.zeros(()), jnp.zeros(()))
        learner = make_learner(self.request, params, self.actions)
        return Agent(learner, self.replay.init(no_step), env_state, observation, key, jnp.zeros((), jnp.int32))

    def explore(self, agent: Agent, steps: int) -> Agent:
        """Return the agent after random steps without learning."""
        return jax.lax.scan(lambda agent, _: (self._store(*self._interact(agent, 1.0)), None), agent, None, steps)[0]

    def learn(self, agent: Agent, steps: int) -> Agent:
        """Return the agent after steps with an update and a soft update each."""
        return jax.lax.scan(self._learn_step, agent, None, steps)[0]

    def evaluate(self, agent: Agent, steps: int) -> jax.Array:
        """Return the mean return of the greedy policy's episodes that end within `steps` steps."""
        key, reset_key = jax.random.split(agent.key)
        observation, env_state = self.env.reset(reset_key, self.env_params)
        start = agent._replace(env_state=env_state, observation=observation, key=key), jnp.zeros(())

        def one_step(carry: tuple[Agent, jax.Array], _: None) -> tuple[tuple[Agent, jax.Array], Any]:
            agent, step = self._interact(carry[0], 0.0)
            total = carry[1] + step.reward
            return (agent, total * (1 - step.done)), (total * step.done, step.done)

        _, (returns, ends) = jax.lax.scan(one_step, start, None, steps)
        return returns.sum() / ends.sum()

    def _interact(self, agent: Agent, epsilon: jax.Array | float) -> tuple[Agent, TimeStep]:
        key, explore_key, action_key, step_key = jax.random.split(agent.key, 4)
        values = agent.learner.online.apply_fn(agent.learner.online.params, agent.observation)
        random_action = jax.random.randint(action_key, (), 0, self.actions)
        explores = jax.random.uniform(explore_key) < epsilon
        action = jnp.where(explores, random_action, values.argmax().astype(jnp.int32))
        observation, env_state, reward, terminated, truncated, _ = self.env.step(
            step_key, agent.env_state, action, self.env_params
        )
        done = jnp.logical_or(terminated, truncated).astype(jnp.float32)
        step = TimeStep(agent.observation, action, jnp.asarray(reward, jnp.float32), done)
        moved = agent._replace(env_state=env_state, observation=observation, key=key, steps=agent.steps + 1)
        return moved, step

    def _store(self, agent: Agent, step: TimeStep) -> Agent:
        return agent._replace(replay=self.replay.add(agent.replay, jax.tree.map(lambda x: x[None], step)))

    def _learn_step(self, agent: Agent, _: None) -> tuple[Agent, None]:
        end = self.request["exploration_end"]
        epsilon = jnp.maximum(end, 1 + (end - 1) * agent.steps / self.request["exploration_steps"])
        agent = self._store(*self._interact(agent, epsilon))
        key, sample_key = jax.random.split(agent.key)
        pairs = self.replay.sample(agent.replay, sample_key).experience
        learner = update(agent.learner, pairs.first, pairs.second, self.request)
        return agent._replace(learner=learner, key=key), None


def trained(recipe: Recipe, request: dict[str, Any], steps: int) -> Agent:
    """Return the agents after their random steps and `steps` steps of learning; one agent is not vmapped."""
    key = jax.random.PRNGKey(request["seed"])
    if request["agents"] == 1:
        return jax.jit(lambda k: recipe.learn(recipe.explore(recipe.init(k), request["learning_starts"]), steps))(key)
    keys = jax.random.split(key, request["agents"])
    agents = jax.jit(jax.vmap(lambda k: recipe.explore(recipe.init(k), request["learning_starts"])))(keys)
    return jax.jit(jax.vmap(functools.partial(recipe.learn, steps=steps)))(agents)


def speed(request: dict[str, Any]) -> dict[str, Any]:
    """Measure the agent-steps per second of `agents` agents, all of them learning, in a compiled program."""
    recipe, steps, agents = Recipe(request), request["steps"], request["agents"]
    state = jax.block_until_ready(trained(recipe, request, request["warm"]))
    learn = functools.partial(recipe.learn, steps=steps)
    compiled = jax.jit(learn if agents == 1 else jax.vmap(learn)).lower(state).compile()
    start = time.perf_counter()
    after = jax.block_until_ready(compiled(state))
    seconds = time.perf_counter() - start
    updates = after.learner.online.step - state.learner.online.step
    assert (updates == steps).all(), f"{updates} updates in {steps} steps"
    return {"rate": agents * steps / seconds, "agent_steps": agents * steps, "seconds": seconds}


def solve(request: dict[str, Any]) -> dict[str, Any]:
    """Return the greedy policies' mean returns after `steps` steps of learning."""
    recipe = Recipe(request)
    agents = trained(recipe, request, request["steps"])
    returns = jax.jit(jax.vmap(functools.partial(recipe.evaluate, steps=10_000)))(agents)
    return {"returns": returns.tolist()}


def one_update(request: dict[str, Any]) -> dict[str, Any]:
    """Return the layers of both networks, as [weight (J, I), bias (J,)], after one update on the given batch."""
    layers = [(jnp.array(weight).T, jnp.array(bias)) for weight, bias in request["layers"]]
    params = {"params": {f"Dense_{i}": {"kernel": w, "bias": b} for i, (w, b) in enumerate(layers)}}
    batch = {name: jnp.array(values) for name, values in request["batch"].items()}
    first = TimeStep(batch["observation"], batch["action"], batch["reward"], batch["done"])
    second = first._replace(observation=batch["next_observation"])
    after = update(make_learner(request, params, len(layers[-1][1])), first, second, request)

    def listed(params: Any) -> list[Any]:
        dense = [params["params"][f"Dense_{i}"] for i in range(len(layers))]
        return [[layer["kernel"].T.tolist(), layer["bias"].tolist()] for layer in dense]

    return {"online": listed(after.online.params), "target": listed(after.target)}


def main() -> None:
    """Run the request in the first argument and print the answer."""
    request = json.loads(sys.argv[1])
    answer = {"speed": speed, "solve": solve, "update": one_update}[request["do"]](request)
    names = ("flax", "optax", "flashbax", "gymnax", "jax", "jaxlib")
    print(json.dumps(answer | {"versions": {name: importlib.metadata.version(name) for name in names}}))


if __name__ == "__main__":
    main()
