"""The one-page DQN, examples/dqn.py: its update against softstep's learner, its replay buffer, its loop, its page."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import jax
import numpy as np
import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

import softstep

SCRIPT = Path(__file__).parents[2] / "examples" / "dqn.py"


def load_script() -> ModuleType:
    """Import the script as a module, which leaves its `__main__` part out."""
    spec = importlib.util.spec_from_file_location("example_dqn", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # tyro resolves the annotations of `Settings` there
    spec.loader.exec_module(module)
    return module


dqn = load_script()


# ---- the update, against softstep's learner ----

OBSERVATION_SIZE, NUM_ACTIONS, UPDATES = 4, 3, 50

TOLERANCE = {np.float32: 3e-6, np.float64: 1e-12}
"""softstep's kernels and XLA sum in different orders, so that parameters differ in their last bits. Two roundings
per update (Q's and T's), each of half a unit in the last place of a parameter below 1 (float32: 3e-8), add up to
3e-6 in 50 updates at worst. Measured: 6e-8. In float64, where both sides run on XLA, no difference between the
algorithms can hide: blending with the old Q would change T by about τα, at least 1e-6, at every update."""


def random_batches(size: int, dtype: Any) -> Iterator[softstep.Transition]:
    """Yield minibatches of random transitions, of which about a third terminate their episode."""
    rng = np.random.default_rng(0)
    for _ in range(UPDATES):
        observation, next_observation = rng.standard_normal((2, size, OBSERVATION_SIZE)).astype(dtype)
        action = rng.integers(NUM_ACTIONS, size=size, dtype=np.int32)
        reward = rng.standard_normal(size).astype(dtype)
        discount = rng.choice([0, 1, 1], size).astype(dtype)
        yield softstep.Transition(observation, action, reward, discount, next_observation)


def layers(params: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """Convert softstep's parameters, weights (out, in) and biases in turn, to the script's layers."""
    return [(weight.T, bias) for weight, bias in zip(params[::2], params[1::2], strict=True)]


def assert_close(actual: Any, expected: Any, tolerance: float) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), actual, expected)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("tau", [1.0, dqn.Settings().tau, 1e-3])
def test_every_update_equals_the_learners(tau: float, dtype: Any) -> None:
    with jax.enable_x64(dtype is np.float64):
        options = dqn.Settings(tau=tau)
        learner = softstep.make_learner(softstep.Config(hidden=options.hidden), OBSERVATION_SIZE, NUM_ACTIONS)
        theirs = learner.init(jax.random.key(0))
        theirs = theirs._replace(target=learner.init(jax.random.key(1)).online)  # far from Q: the two maxima differ
        ours = dqn.State(layers(theirs.online), layers(theirs.target), dqn.ADAM.init(layers(theirs.online)))
        hyper = softstep.Hyper(options.learning_rate, options.tau, period=1, gamma=options.gamma)
        their_update = jax.jit(learner.update)
        for batch in random_batches(options.batch_size, dtype):
            theirs, their_loss = their_update(theirs, batch, hyper)
            ours, our_loss = dqn.update(ours, dqn.Transition(*batch), options)
            assert our_loss.dtype == dtype
            assert_close(our_loss, their_loss, TOLERANCE[dtype])
            assert_close(ours.online, layers(theirs.online), TOLERANCE[dtype])
            assert_close(ours.target, layers(theirs.target), TOLERANCE[dtype])


def test_the_target_starts_equal_to_q_and_weights_and_biases_fill_their_range() -> None:
    state = dqn.init(jax.random.key(0), (OBSERVATION_SIZE, 64, 32, NUM_ACTIONS))
    jax.tree.map(np.testing.assert_array_equal, state.target, state.online)
    assert [weight.shape for weight, _ in state.online] == [(OBSERVATION_SIZE, 64), (64, 32), (32, NUM_ACTIONS)]
    for weight, bias in state.online:
        assert bias.shape == weight.shape[1:]
        drawn = np.vstack([weight, bias]) * np.sqrt(len(weight))
        assert 0.9 < np.abs(drawn).max() <= 1
        assert drawn.mean() == pytest.approx(0, abs=4 / np.sqrt(3 * drawn.size))  # four standard errors
        assert np.abs(drawn).mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * drawn.size))
    other = dqn.init(jax.random.key(1), (OBSERVATION_SIZE, 64, 32, NUM_ACTIONS))
    assert not np.array_equal(other.online[0][0], state.online[0][0])


# ---- the replay buffer ----


def numbered(number: int) -> Any:
    """Return a transition that carries `number` in every field."""
    return dqn.Transition(np.full(2, number), number, number, number, np.full(2, number))


@given(capacity=st.integers(1, 20), writes=st.integers(1, 60), seed=st.integers(0, 99))
def test_a_sample_holds_the_newest_transitions_whole_and_no_others(capacity: int, writes: int, seed: int) -> None:
    replay, queue = dqn.Replay(capacity, observation_size=2), deque[int](maxlen=capacity)
    for number in range(1, writes + 1):  # a row that was never written would show as 0
        replay.add(numbered(number))
        queue.append(number)
    sample = replay.sample(np.random.default_rng(seed), size=50 * capacity)
    assert set(sample.action.tolist()) == set(queue)
    for column in sample:
        np.testing.assert_array_equal(column.reshape(len(sample.action), -1)[:, -1], sample.action)
        np.testing.assert_array_equal(column.reshape(len(sample.action), -1)[:, 0], sample.action)


@settings(max_examples=10)
@given(size=st.integers(1, 40), seed=st.integers(0, 99))
def test_a_sample_has_the_networks_types_and_does_not_change_with_the_buffer(size: int, seed: int) -> None:
    replay = dqn.Replay(3, observation_size=2)
    replay.add(numbered(7))
    sample = replay.sample(np.random.default_rng(seed), size)
    assert [column.shape for column in sample] == [(size, 2), (size,), (size,), (size,), (size, 2)]
    assert [column.dtype for column in sample] == [np.float32, np.int32, np.float32, np.float32, np.float32]
    for _ in range(3):
        replay.add(numbered(8))
    assert all((column == 7).all() for column in sample)


# ---- the loop ----

SHORT = dqn.Settings(
    total_steps=600, learning_starts=100, batch_size=16, memory_size=200, hidden=(8,), epsilon_steps=300, eval_every=200
)


def bits(state: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def with_changes(**changes: Any) -> Any:
    return dqn.Settings(**(vars(SHORT) | changes))


def test_a_short_run_repeats_for_a_seed_and_differs_for_another(capsys: pytest.CaptureFixture[str]) -> None:
    (state, returns), (again, returns_again), (other, other_returns) = (
        dqn.train(with_changes(seed=seed)) for seed in (0, 0, 1)
    )
    assert bits(state) == bits(again)
    assert returns == returns_again
    assert bits(state) != bits(other)
    assert returns != other_returns
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in lines] == [200, 400, 600] * 3
    assert lines[:3] == lines[3:6]


def test_it_makes_one_gradient_step_per_environment_step_once_learning_has_started() -> None:
    state, _ = dqn.train(SHORT)
    assert state.adam.count == 500


def test_it_stops_at_the_first_evaluation_that_is_good_enough() -> None:
    state, _ = dqn.train(with_changes(stop_at=0.0))
    assert state.adam.count == 100


class ThreeStepEpisodes(gym.Env):
    """Episodes of three steps that end by termination, by truncation and by both in turn; no two steps look alike."""

    observation_space = gym.spaces.Box(0, np.inf, (2,))
    action_space = gym.spaces.Discrete(3)

    def __init__(self) -> None:
        self.episode, self.seeds, self.actions = -1, list[int | None](), list[int]()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.episode, self.tick = self.episode + 1, 0
        self.seeds.append(seed)
        return self.observation(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert self.tick < 3, "a step after the end of an episode"
        self.tick += 1
        self.actions.append(action)
        ended, way = self.tick == 3, self.episode % 3
        return self.observation(), 10.0 * self.episode + self.tick, ended and way != 1, ended and way != 0, {}

    def observation(self) -> np.ndarray:
        return np.array([self.episode, self.tick], np.float32)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> ThreeStepEpisodes:
    """Return the environment that the script gets, whatever name it asks for."""
    episodes = ThreeStepEpisodes()
    monkeypatch.setattr(dqn.gym, "make", lambda name: episodes)
    return episodes


def test_it_stores_zero_discounts_at_terminations_alone_and_observations_from_before_the_reset(
    env: ThreeStepEpisodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[Any] = []
    monkeypatch.setattr(dqn.Replay, "add", lambda self, transition: stored.append(transition))
    _, returns = dqn.train(with_changes(total_steps=28, learning_starts=28))
    assert len(stored) == 28
    for number, transition in enumerate(stored):
        episode, tick = divmod(number, 3)
        np.testing.assert_array_equal(transition.observation, [episode, tick])
        np.testing.assert_array_equal(transition.next_observation, [episode, tick + 1])
        assert transition.reward == 10 * episode + tick + 1
        assert transition.discount == (0 if tick == 2 and episode % 3 != 1 else 1)
        assert transition.action == env.actions[number]
    assert returns == [30 * episode + 6 for episode in range(9)]
    assert env.seeds == [SHORT.seed] + [None] * 9  # seeded once: seeding every reset would repeat one episode


def test_it_acts_and_is_evaluated_with_the_newest_online_network(
    env: ThreeStepEpisodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []  # the networks, which are numbers here: gradient steps made, and −1 for the target
    monkeypatch.setattr(dqn, "init", lambda key, sizes: dqn.State(0, -1, None))
    monkeypatch.setattr(dqn, "update", lambda state, batch, settings: (dqn.State(state.online + 1, -1, None), 0.0))
    monkeypatch.setattr(dqn, "greedy_action", lambda network, observation: asked.append(network) or 0)
    dqn.train(with_changes(total_steps=10, learning_starts=5, epsilon_end=0.0, epsilon_steps=1, eval_every=10))
    assert asked == [0, 0, 0, 0, 0, 1, 2, 3, 4] + [5] * 30  # the very first action is random; 10 episodes of 3 steps


def test_random_actions_become_rarer_linearly(env: ThreeStepEpisodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dqn, "greedy_action", lambda network, observation: 2)
    steps = 16_000
    dqn.train(with_changes(total_steps=steps, learning_starts=steps, eval_every=steps + 1, epsilon_steps=steps // 2))
    deviating = (np.array(env.actions).reshape(4, -1) != 2).mean(axis=1)
    expected = np.array([0.775, 0.325, 0.1, 0.1]) * 2 / 3  # ε in the middle of each quarter; a third of it is greedy
    error = np.sqrt(expected * (1 - expected) / (steps // 4))
    assert (np.abs(deviating - expected) < 4 * error).all()
    assert set(env.actions) == {0, 1, 2}


def test_an_evaluation_is_greedy_and_has_its_own_seeds(env: ThreeStepEpisodes) -> None:
    layer = (np.zeros((2, 3), np.float32), np.array([0.0, 1.0, 0.5], np.float32))
    assert dqn.evaluate([layer], "any", first_seed=7, episodes=3) == np.mean([6, 36, 66])
    assert set(env.actions) == {1}
    assert env.seeds == [7, 8, 9]


# ---- the page ----


def test_it_is_one_page_that_needs_no_softstep() -> None:
    source = SCRIPT.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 150
    imported = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    assert imported - sys.stdlib_module_names == {"gymnasium", "jax", "numpy", "optax", "tyro"}


def test_the_commands_that_it_shows_can_be_parsed() -> None:
    commands = re.findall(r"python examples/dqn\.py(.*)", dqn.__doc__)
    parsed = [tyro.cli(dqn.Settings, args=shlex.split(command, comments=True)) for command in commands]
    assert parsed == [dqn.Settings(), dqn.Settings(tau=1.0, seed=7)]


@pytest.mark.heavy
def test_the_script_balances_the_pole() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (greedy,) = re.findall(r"^mean greedy return of 100 new episodes: ([\d.]+)$", done.stdout, re.MULTILINE)
    assert float(greedy) >= 400
