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
from collections.abc import Callable, Sequence
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


class Recipe(NamedTuple):
    """The parts of the program, as pure functions of one agent; the caller vmaps."""

    init: Callable[[jax.Array], Agent]
    explore: Callable[[Agent, int], Agent]
    """(agent, steps) → the agent after random steps without learning."""
    learn: Callable[[Agent, int], Agent]
    """(agent, steps) → the agent after steps with an update and a soft update each."""
    evaluate: Callable[[Agent, int], jax.Array]
    """(agent, steps) → mean return of the greedy policy's episodes that end within `steps` steps."""


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


def make_recipe(request: dict[str, Any]) -> Recipe:
    """Return the recipe for `request`."""
    env, env_params = gymnax.make(request["env"])
    actions = env.action_space(env_params).n
    batch, end = request["batch_size"], request["exploration_end"]
    replay = flashbax.make_flat_buffer(
        max_length=request["memory_size"], min_length=batch, sample_batch_size=batch, add_batch_size=1
    )

    def init(key: jax.Array) -> Agent:
        key, network_key, reset_key = jax.random.split(key, 3)
        observation, env_state = env.reset(reset_key, env_params)
        params = QNetwork(request["hidden"], actions).init(network_key, observation)
        no_step = TimeStep(observation, jnp.zeros((), jnp.int32), jnp.zeros(()), jnp.zeros(()))
        learner = make_learner(request, params, actions)
        return Agent(learner, replay.init(no_step), env_state, observation, key, jnp.zeros((), jnp.int32))

    def act(agent: Agent, key: jax.Array, epsilon: jax.Array | float) -> jax.Array:
        explore_key, action_key = jax.random.split(key)
        values = agent.learner.online.apply_fn(agent.learner.online.params, agent.observation)
        random_action = jax.random.randint(action_key, (), 0, actions)
        return jnp.where(jax.random.uniform(explore_key) < epsilon, random_action, values.argmax().astype(jnp.int32))

    def interact(agent: Agent, epsilon: jax.Array | float) -> tuple[Agent, TimeStep]:
        key, action_key, step_key = jax.random.split(agent.key, 3)
        action = act(agent, action_key, epsilon)
        observation, env_state, reward, terminated, truncated, _ = env.step(
            step_key, agent.env_state, action, env_params
        )
        done = jnp.logical_or(terminated, truncated).astype(jnp.float32)
        step = TimeStep(agent.observation, action, jnp.asarray(reward, jnp.float32), done)
        moved = agent._replace(env_state=env_state, observation=observation, key=key, steps=agent.steps + 1)
        return moved, step

    def store(agent: Agent, step: TimeStep) -> Agent:
        return agent._replace(replay=replay.add(agent.replay, jax.tree.map(lambda x: x[None], step)))

    def explore_step(agent: Agent, _: None) -> tuple[Agent, None]:
        return store(*interact(agent, 1.0)), None

    def learn_step(agent: Agent, _: None) -> tuple[Agent, None]:
        epsilon = jnp.maximum(end, 1 + (end - 1) * agent.steps / request["exploration_steps"])
        agent = store(*interact(agent, epsilon))
        key, sample_key = jax.random.split(agent.key)
        pairs = replay.sample(agent.replay, sample_key).experience
        return agent._replace(learner=update(agent.learner, pairs.first, pairs.second, request), key=key), None

    def evaluation_step(carry: tuple[Agent, jax.Array], _: None) -> tuple[tuple[Agent, jax.Array], Any]:
        agent, step = interact(carry[0], 0.0)
        total = carry[1] + step.reward
        return (agent, total * (1 - step.done)), (total * step.done, step.done)

    def evaluate(agent: Agent, steps: int) -> jax.Array:
        key, reset_key = jax.random.split(agent.key)
        observation, env_state = env.reset(reset_key, env_params)
        start = agent._replace(env_state=env_state, observation=observation, key=key), jnp.zeros(())
        _, (returns, ends) = jax.lax.scan(evaluation_step, start, None, steps)
        return returns.sum() / ends.sum()

    return Recipe(
        init,
        lambda agent, steps: jax.lax.scan(explore_step, agent, None, steps)[0],
        lambda agent, steps: jax.lax.scan(learn_step, agent, None, steps)[0],
        evaluate,
    )


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
    recipe, steps, agents = make_recipe(request), request["steps"], request["agents"]
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
    recipe = make_recipe(request)
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
