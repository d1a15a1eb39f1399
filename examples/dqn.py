"""Deep Q-learning (DQN) on one page: a network Q that learns, and a slow copy T that says what it should learn.

    y = r + γ · max T(s′, ·)            the value that Q(s, a) should have; just r where the episode terminated
    Q ← Q − α · Adam(∇ mean (y − Q)²)   one gradient step of the online network Q
    T ← T + τ · (Q − T)                 one soft update of the target network T, towards the new Q

    python examples/dqn.py                     # balance CartPole's pole: less than a minute on one core
    python examples/dqn.py --tau 1 --seed 7    # the same without a target network: T = Q, but for rounding

Sources: Mnih et al. 2015, Nature 518 (replay, target network); Lillicrap et al. 2015, arXiv 1509.02971 (soft update).
"""

from collections import namedtuple
from dataclasses import dataclass

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro


@dataclass(frozen=True)
class Settings:
    env: str = "CartPole-v1"  # a Gymnasium environment with a vector of observations and a few actions
    seed: int = 0  # of the initial parameters, the environment, the exploration and the minibatches
    total_steps: int = 100_000  # environment steps, at most
    learning_starts: int = 1_000  # environment steps before the first gradient step
    learning_rate: float = 1e-3  # α
    tau: float = 0.005  # τ, the weight of the new parameters in T
    gamma: float = 0.99  # γ, the discount per environment step
    batch_size: int = 64  # transitions per gradient step
    memory_size: int = 100_000  # transitions that the replay buffer holds
    hidden: tuple[int, ...] = (64, 64)  # units of each hidden layer
    epsilon_end: float = 0.1  # probability of a random action; it falls linearly from 1 to this value
    epsilon_steps: int = 10_000  # environment steps from 1 to `epsilon_end`
    eval_every: int = 2_500  # environment steps from one greedy evaluation to the next
    stop_at: float = 475.0  # greedy return that ends training: Gymnasium's threshold for CartPole-v1


# One environment step, or a batch of them. `discount` is 0 where the episode terminated, else 1.
Transition = namedtuple("Transition", "observation action reward discount next_observation")
# Everything that learning changes: Q, T, and Adam's running means. A network is a list of layers (weight, bias).
State = namedtuple("State", "online target adam")
ADAM = optax.scale_by_adam()  # rescales the gradient, so that each parameter moves by at most about α per step


class Replay:
    """The newest `capacity` transitions. Consecutive steps are much alike; steps drawn at random are not."""

    def __init__(self, capacity: int, observation_size: int) -> None:
        observations = np.zeros((2, capacity, observation_size), np.float32)
        actions, numbers = np.zeros(capacity, np.int32), np.zeros((2, capacity), np.float32)
        self.columns = Transition(observations[0], actions, *numbers, observations[1])
        self.capacity, self.written = capacity, 0

    def add(self, transition: Transition) -> None:
        for column, value in zip(self.columns, transition, strict=True):
            column[self.written % self.capacity] = value  # a full buffer overwrites its oldest transition
        self.written += 1

    def sample(self, rng: np.random.Generator, size: int) -> Transition:
        rows = rng.integers(min(self.written, self.capacity), size=size)
        return Transition(*(column[rows] for column in self.columns))


def init(key: jax.Array, sizes: tuple[int, ...]) -> State:
    """Draw weights and biases from U(±1/√inputs), PyTorch's default. T starts equal to Q."""
    online = []
    for layer_key, inputs, outputs in zip(jax.random.split(key, len(sizes) - 1), sizes[:-1], sizes[1:], strict=True):
        layer = jax.random.uniform(layer_key, (inputs + 1, outputs), minval=-1, maxval=1) / inputs**0.5
        online.append((layer[:-1], layer[-1]))
    return State(online, online, ADAM.init(online))


def q_values(network: list, observation: jax.Array) -> jax.Array:
    """Return one value per action: the discounted return expected from taking it and acting greedily afterwards."""
    *hidden, (last_weight, last_bias) = network
    for weight, bias in hidden:
        observation = jax.nn.relu(observation @ weight + bias)
    return observation @ last_weight + last_bias


@jax.jit
def greedy_action(network: list, observation: jax.Array) -> jax.Array:
    return q_values(network, observation).argmax()


@jax.jit(static_argnames="settings")
def update(state: State, batch: Transition, settings: Settings) -> tuple[State, jax.Array]:
    """Take a gradient step of Q, then a soft update of T. Return the new state and the loss before the step."""
    # With Q itself in place of T, each step would also move the values that it aims at. T keeps them nearly still.
    y = batch.reward + settings.gamma * batch.discount * q_values(state.target, batch.next_observation).max(axis=1)

    def mean_squared_error(online: list) -> jax.Array:
        chosen = q_values(online, batch.observation)[jnp.arange(len(y)), batch.action]
        return jnp.mean((y - chosen) ** 2)  # y is a constant here: the gradient flows through `chosen` alone

    loss, gradient = jax.value_and_grad(mean_squared_error)(state.online)
    step, adam = ADAM.update(gradient, state.adam)
    online = jax.tree.map(lambda q, s: q - settings.learning_rate * s, state.online, step)
    target = jax.tree.map(lambda t, q: t + settings.tau * (q - t), state.target, online)  # the new Q, not the old
    return State(online, target, adam), loss


def evaluate(network: list, env_name: str, first_seed: int, episodes: int = 10) -> float:
    """Return the mean return of the greedy policy over episodes of their own seeds, apart from training."""
    env, total = gym.make(env_name), 0.0
    for seed in range(first_seed, first_seed + episodes):
        (observation, _), ended = env.reset(seed=seed), False
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(int(greedy_action(network, observation)))
            total, ended = total + float(reward), terminated or truncated
    return total / episodes


def train(settings: Settings) -> tuple[State, list[float]]:
    """Return the final state and the return of every finished training episode."""
    env = gym.make(settings.env)
    (observation_size,), num_actions = env.observation_space.shape, int(env.action_space.n)
    state = init(jax.random.key(settings.seed), (observation_size, *settings.hidden, num_actions))
    replay, returns = Replay(settings.memory_size, observation_size), [0.0]
    exploring, sampling = np.random.default_rng(settings.seed).spawn(2)  # one random generator per purpose
    observation, _ = env.reset(seed=settings.seed)
    for step in range(settings.total_steps):
        explores = exploring.random() < np.interp(step, [0, settings.epsilon_steps], [1, settings.epsilon_end])
        action = int(exploring.integers(num_actions) if explores else greedy_action(state.online, observation))
        next_observation, reward, terminated, truncated, _ = env.step(action)
        # When time runs out (truncated) the pole still stands: y includes what could follow. Not so when it fell.
        replay.add(Transition(observation, action, reward, float(not terminated), next_observation))
        returns[-1] += float(reward)
        observation = next_observation
        if terminated or truncated:
            returns.append(0.0)
            observation, _ = env.reset()  # only after `add`: the last next observation belongs to the old episode
        if step >= settings.learning_starts:
            state, _ = update(state, replay.sample(sampling, settings.batch_size), settings)
        if (step + 1) % settings.eval_every == 0:
            greedy = evaluate(state.online, settings.env, first_seed=1_000_000)
            print(f"{step + 1:7,} steps: mean return {np.mean(returns[-21:-1]):5.1f} exploring, {greedy:5.1f} greedy")
            if greedy >= settings.stop_at:
                break  # learning on could lose this policy again: DQN does not improve steadily
    return state, returns[:-1]


if __name__ == "__main__":
    settings = tyro.cli(Settings)
    state, _ = train(settings)
    print(f"mean greedy return of 100 new episodes: {evaluate(state.online, settings.env, 2_000_000, 100):.1f}")
