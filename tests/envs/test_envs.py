"""The makers: one contract, checked against Gymnasium and against an environment that records what it is asked."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from functools import partial

import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import probes  # noqa: F401 (registers them)
import pytest
from support import Tape, advance, make_driver, remembered, small

from softstep import envs
from softstep.config import Config
from softstep.errors import ConfigError, EnvironmentFailed, NotFinite
from softstep.training.replay_rows import RowLayout
from softstep.transition import Transition

O = 4  # noqa: E741 (CartPole's observation)


def transitions(config: Config, iterations: int) -> Transition:
    """Train a single agent for some iterations; return the transitions in its replay."""
    driver = make_driver(config)
    advance(driver, config, iterations)
    size = envs.describe(config).observation_size
    driver.close()
    return RowLayout(size).unpack(remembered(driver)[0], 1.0)


# ---- gymnax's CartPole against Gymnasium's, one transition at a time ----


def test_gymnax_cartpole_steps_like_gymnasium() -> None:
    ours = envs.make_compiled("CartPole-v1")
    theirs = gymnasium.make("CartPole-v1", disable_env_checker=True)
    blank, _ = ours.reset(jax.random.key(0))
    rng, step = np.random.default_rng(0), jax.jit(lambda key, *rest: ours.step(ours.draw_randomness(key), *rest))
    counts = {"terminated": 0, "truncated": 0, "neither": 0}
    for _ in range(600):
        state = (rng.uniform(-1, 1, 4) * [2.39, 2, 0.209, 2]).astype(np.float32)
        time, action = int(rng.choice([3, 499])), int(rng.integers(2))
        x, x_dot, theta, theta_dot = map(jnp.float32, state)
        injected = blank.replace(x=x, x_dot=x_dot, theta=theta, theta_dot=theta_dot, time=jnp.int32(time))
        theirs.reset(seed=0)
        theirs.unwrapped.state, theirs._elapsed_steps = state.astype(np.float64), time
        observation, reward, terminated, truncated, _ = theirs.step(action)
        out = step(jax.random.key(1), injected, jnp.int32(action))
        np.testing.assert_allclose(out.next_observation, observation, rtol=0, atol=1e-6)
        assert (float(out.reward), bool(out.terminated)) == (reward, terminated)
        assert bool(out.truncated) == (truncated and not terminated)
        counts["terminated" if terminated else "truncated" if truncated else "neither"] += 1
    assert min(counts.values()) > 30


def test_gymnax_cartpole_resets_if_and_only_if_an_episode_ended() -> None:
    env = envs.make_compiled("CartPole-v1")
    state, _ = env.reset(jax.random.key(0))
    fallen, upright = state.replace(theta=jnp.float32(0.3)), state
    randomness = env.draw_randomness(jax.random.key(1))
    ended, running = (jax.jit(env.step)(randomness, s, jnp.int32(0)) for s in (fallen, upright))
    assert bool(ended.terminated)
    assert np.abs(ended.next_observation[2]) > 0.2
    assert np.abs(ended.observation).max() <= 0.05
    np.testing.assert_array_equal(running.observation, running.next_observation)


@pytest.mark.parametrize(
    "name", ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Catch-bsuite", "SpaceInvaders-MinAtar"]
)
def test_a_compiled_step_equals_gymnax_with_the_same_key(name: str) -> None:
    ours, (theirs, params) = envs.make_compiled(name), gymnax.make(name)
    step = jax.jit(lambda key, state, action: ours.step(ours.draw_randomness(key), state, action))
    expect = jax.jit(lambda key, state, action: theirs.step(key, state, action, params))
    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)  # XLA fuses the two programs differently
    state, _ = ours.reset(jax.random.key(0))
    ended = 0
    for n in range(300):
        key, action = jax.random.key(n), jnp.int32(n % ours.spec.num_actions)
        observation, after, reward, terminated, truncated, info = expect(key, state, action)
        out = step(key, state, action)
        close(out.observation, np.ravel(observation))
        close(out.next_observation, np.ravel(info["final_observation"]))
        assert (float(out.reward), bool(out.terminated)) == (float(reward), bool(terminated))
        assert bool(out.truncated) == (bool(truncated) and not bool(terminated))
        jax.tree.map(close, out.state, after)
        state, ended = after, ended + int(terminated or truncated)
    assert ended > 0 or name in ("Acrobot-v1", "MountainCar-v0")


# ---- autoreset ----


def check_cartpole_rows(rows: Transition) -> None:
    """Assert that every row is one step of CartPole's physics: none crosses an episode or follows a reset."""
    env = gymnasium.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    for o, a, d, after in zip(rows.observation, rows.action, rows.discount, rows.next_observation, strict=True):
        env.state, env.steps_beyond_terminated = o.astype(np.float64), None
        expected, _, terminated, _, _ = env.step(int(a))
        np.testing.assert_allclose(after, expected, rtol=0, atol=1e-6)
        assert d == (not terminated)
    assert (rows.discount == 0).sum() >= 2


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnax:CartPole-v1"])
@pytest.mark.parametrize("num_envs", [1, 2])
def test_every_cartpole_row_is_one_step_of_its_physics(env: str, num_envs: int) -> None:
    config = small(env=env, num_envs=num_envs, memory_size=400, learning_starts=400)
    check_cartpole_rows(transitions(config, 150))


def test_gymnax_time_limit_bootstraps_unless_it_is_terminal() -> None:
    """Under random actions, MountainCar always reaches its limit of 200 steps."""
    for terminal in (False, True):
        config = small(
            env="gymnax:MountainCar-v0", memory_size=500, learning_starts=500, time_limit_is_terminal=terminal
        )
        rows = transitions(config, 250)
        ends = np.arange(1, 501) % 200 == 0
        np.testing.assert_array_equal(rows.discount, np.where(ends & terminal, 0, 1))
        same = (rows.next_observation[:-1] == rows.observation[1:]).all(-1)
        np.testing.assert_array_equal(same, ~ends[:-1])


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("num_envs", [1, 2])
def test_gymnasium_rows_never_cross_an_episode(num_envs: int, terminal: bool) -> None:
    config = small(
        env="RecorderProbe-v0", num_envs=num_envs, memory_size=600, learning_starts=600, time_limit_is_terminal=terminal
    )
    rows = transitions(config, 300)
    episode, time = rows.observation.T
    np.testing.assert_array_equal(rows.next_observation, np.stack([episode, time + 1], -1))
    terminated, truncated = rows.action == 3, (rows.action != 3) & (time == 4)
    assert min(terminated.sum(), truncated.sum()) > 20
    np.testing.assert_array_equal(rows.discount == 0, terminated | (truncated & terminal))
    np.testing.assert_array_equal(rows.reward, time + 1)
    for env in range(num_envs):  # an environment's rows in order: the next time step, or the next episode's first
        e, t, end = (a[env::num_envs] for a in (episode, time, terminated | truncated))
        np.testing.assert_array_equal(e[1:], e[:-1] + end[:-1])
        np.testing.assert_array_equal(t[1:], np.where(end[:-1], 0, t[:-1] + 1))


def assert_whole_episodes(finished: np.ndarray) -> None:
    """Assert that each return is that of all steps of an episode whose rewards are 1, 2, 3, …."""
    assert len(finished)
    np.testing.assert_array_equal(finished["episode_return"], finished["length"] * (finished["length"] + 1) / 2)


def test_returns_and_lengths_cover_whole_episodes() -> None:
    config = small(env="RecorderProbe-v0", learning_starts=600)
    driver = make_driver(config)
    finished = advance(driver, config, 100)
    assert_whole_episodes(finished)
    np.testing.assert_array_equal(finished["env_steps"], np.cumsum(finished["length"]))
    assert driver.statistics.episodes[0] == len(finished)


needs_envpool = pytest.mark.skipif(
    importlib.util.find_spec("envpool") is None, reason="EnvPool is an optional extra: pip install 'softstep[envpool]'"
)


@needs_envpool
@pytest.mark.parametrize("num_envs", [1, 2])
def test_every_envpool_cartpole_row_is_one_step_of_its_physics(num_envs: int) -> None:
    config = small(env="envpool:CartPole-v1", num_envs=num_envs, memory_size=400, learning_starts=400)
    check_cartpole_rows(transitions(config, 150))


@needs_envpool
def test_envpool_time_limit_bootstraps() -> None:
    config = small(env="envpool:MountainCar-v0", memory_size=450, learning_starts=450)
    assert (transitions(config, 225).discount == 1).all()


class FakePool:
    """Behaves as EnvPool: an ended environment resets at the next step, which ignores its action."""

    def __init__(self, num_envs: int) -> None:
        self.episode, self.t = np.ones(num_envs), np.zeros(num_envs)
        self.ended = np.zeros(num_envs, bool)

    def reset(self) -> tuple[np.ndarray, dict[str, object]]:
        return np.stack([self.episode, self.t], -1), {}

    def step(self, actions: np.ndarray) -> tuple[object, ...]:
        resetting = self.ended
        self.episode, self.t = self.episode + resetting, np.where(resetting, 0, self.t + 1)
        terminated, truncated = (actions == 3) & ~resetting, (self.t == 5)
        self.ended = terminated | truncated
        return self.reset()[0], self.t, terminated, truncated, {}

    def close(self) -> None:
        pass


def test_the_step_on_which_envpool_only_resets_is_not_a_transition(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def make(self, name: str, num_envs: int, **options: object) -> FakePool:
            return FakePool(num_envs)

    monkeypatch.setattr("softstep.envs.envpool_maker._import_envpool", Fake)
    spec = envs.EnvSpec("Fake", "envpool", 2, 4, exactly_resumable=False)
    monkeypatch.setattr(envs, "describe", lambda config: spec)
    driver = make_driver(small(env="envpool:Fake", num_envs=2, memory_size=600, learning_starts=600))
    finished = advance(driver, small(num_envs=2, learning_starts=600), 300)
    rows = RowLayout(2).unpack(remembered(driver)[0], 1.0)
    assert 200 < len(rows.reward) < 600
    np.testing.assert_array_equal(rows.next_observation, rows.observation + np.array([0, 1]))
    np.testing.assert_array_equal(rows.discount == 0, rows.action == 3)
    assert_whole_episodes(finished)


@pytest.mark.parametrize("quantity", ["reward", "observation"])
def test_a_number_of_envpool_that_is_none_ends_the_run(quantity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(FakePool):
        def step(self, actions: np.ndarray) -> tuple[object, ...]:
            observations, rewards, *rest = super().step(actions)
            bad = np.where(self.t == 2, np.nan, 0)
            if quantity == "reward":
                return observations, rewards + bad, *rest
            return observations + bad[:, None], rewards, *rest

    class Fake:
        def make(self, name: str, num_envs: int, **options: object) -> FakePool:
            return Faulty(num_envs)

    monkeypatch.setattr("softstep.envs.envpool_maker._import_envpool", Fake)
    spec = envs.EnvSpec("Fake", "envpool", 2, 4, exactly_resumable=False)
    host = envs.make_host(spec, [0], 2)
    host.step(np.zeros((1, 2), int))
    with pytest.raises(NotFinite, match=f"its {quantity} holds nan"):
        host.step(np.zeros((1, 2), int))
    evaluation = envs.make_evaluation(spec, 1, [0, 1])
    evaluation.step(np.zeros((1, 2), int))
    with pytest.raises(NotFinite, match=f"its {quantity} holds nan"):
        evaluation.step(np.zeros((1, 2), int))


# ---- environments that cannot be used ----


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("LunarLander-v9", "LunarLander-v3"),
        ("LunarLander-v2", "v3"),
        ("CartPol-v1", "CartPole-v1"),
        ("Pendulum-v1", "continuous|Box actions"),
        ("gymnax:CartPol-v1", "CartPole-v1"),
        ("gymnax:Pendulum-v1", "continuous ones"),
        ("evil:CartPole-v1", "--env-module"),
        ("gymnax:", "does not name an environment"),
        ("", "does not name an environment"),
    ],
)
def test_an_environment_that_cannot_be_used_is_refused_in_one_line(env: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        envs.describe(Config(env=env))
    assert "\n" not in str(error.value)


def test_an_environment_that_fails_in_its_first_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"BrokenProbe-v0.*ArithmeticError: the probe breaks"):
        envs.describe(Config(env="BrokenProbe-v0"))


def test_a_missing_envpool_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "envpool", None)
    with pytest.raises(ConfigError, match=r"pip install 'softstep\[envpool\]'"):
        envs.describe(Config(env="envpool:CartPole-v1"))


def test_exact_resumability_is_detected() -> None:
    assert envs.describe(Config(env="CartPole-v1")).exactly_resumable
    assert not envs.describe(Config(env="RecorderProbe-v0")).exactly_resumable  # it counts its resets


def test_an_environment_that_cannot_replay_starts_new_episodes() -> None:
    config = small(env="RecorderProbe-v0", learning_starts=600)
    first, second = make_driver(config), make_driver(config)
    advance(first, config, 54)
    assert first.statistics.lengths.any()
    second.restore(first.snapshot(), remembered(first), first.iteration)
    assert not second.statistics.lengths.any()
    assert_whole_episodes(advance(second, config, 50))


def test_an_environment_may_observe_a_list() -> None:
    config = small(env="ListedProbe-v0")
    assert envs.describe(config).exactly_resumable
    first = make_driver(config)
    advance(first, config, 13)
    second = make_driver(config)
    second.restore(first.snapshot(), remembered(first), first.iteration)
    np.testing.assert_array_equal(remembered(second)[0], remembered(first)[0])


def test_an_environments_exception_is_reported_with_its_step() -> None:
    tape = Tape(small(env="FaultyProbe-v0"))
    with pytest.raises(
        EnvironmentFailed, match=r"FaultyProbe-v0 failed at environment step 90: .*the probe breaks"
    ) as error:
        tape.run()
    assert isinstance(error.value.__cause__, ArithmeticError)


def test_gymnax_imports_its_plotting_libraries_when_it_draws() -> None:
    code = """
import sys
from functools import partial
from softstep.envs.gymnax_maker import make_compiled
make_compiled("CartPole-v1")
assert not {"seaborn", "matplotlib.pyplot"} & set(sys.modules), "imported, or a stand-in is left in sys.modules"
from gymnax.environments.misc import pong
assert callable(pong.sns.color_palette) and callable(pong.plt.figure)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
