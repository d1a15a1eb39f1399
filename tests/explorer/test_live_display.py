"""What the live room shows: scenes, values and pace, against the environments themselves and NumPy."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from gymnasium.envs.box2d.lunar_lander import LunarLander
from hypothesis import given, settings
from hypothesis import strategies as st

from softstep import envs
from softstep.config import Config
from softstep.explorer.live.live_config import BASES, live_config
from softstep.explorer.live.policy_display import EpisodePlayer, PolicyDisplay
from softstep.explorer.live.scenes import SCENES
from softstep.training.trainer import Trainer, make_trainer

CONTINUOUS = [env for env, base in BASES.items() if base.continuous]
ARM = {"name": "soft", "alpha": 0.02, "c": 0.9, "target": True}
NO_TARGET = {"name": "none", "alpha": 0.003, "c": 0.9, "target": False}


@functools.cache
def described(env: str) -> envs.EnvSpec:
    """Return the description of an environment; to find it out, episodes are played."""
    return envs.describe(BASES[env])


def player(env: str) -> EpisodePlayer:
    """Return a player at the start of its first episode."""
    player = EpisodePlayer(described(env))
    player.step(acting(0))
    return player


def acting(action: Any) -> Callable[[Any], Any]:
    """Return a policy that always takes one action."""
    return lambda observation: action


# ---- configurations ----


def test_continuous_environments_are_learned_by_sac_and_the_others_by_dqn() -> None:
    assert {env: base.algorithm for env, base in BASES.items()} == {
        "CartPole-v1": "dqn", "LunarLander-v3": "dqn", "Pendulum-v1": "sac", "LunarLanderContinuous-v3": "sac",
    }  # fmt: skip


@pytest.mark.parametrize("env", CONTINUOUS)
def test_alpha_and_c_are_the_critics_and_nothing_else_moves(env: str) -> None:
    config = live_config(env, 7, [ARM, NO_TARGET])
    with_target, without = config.agents()
    assert (with_target.learning_rate, with_target.target.c, with_target.seed) == (0.02, pytest.approx(0.9), 7)
    assert (without.learning_rate, without.target.tau) == (0.003, 1.0)
    for agent in config.agents():
        assert agent.actor_learning_rate == agent.temperature_learning_rate == 1e-3
    assert Config.from_json(config.to_json()) == config


# ---- scenes ----


@given(torque=st.floats(-3, 3), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_pendulums_angle_and_torque_are_counterclockwise(torque: float, seed: int) -> None:
    shown = player("Pendulum-v1")
    assert shown.scene()["torque"] == 0
    env: Any = shown._env.unwrapped
    for chosen in (0.0, torque):  # from the same state, without the torque and with it
        shown._env.reset(seed=seed)
        shown.step(acting(np.array([chosen], np.float32)))
        cos, sin, speed = shown.observation
        angle = shown.scene()["angle"]
        assert (np.cos(angle), np.sin(angle)) == pytest.approx((cos, sin), abs=1e-4)
        if chosen == 0:
            free = speed
    clipped = float(np.clip(torque, -env.max_torque, env.max_torque))
    assert speed - free == pytest.approx(3 * clipped * env.dt, abs=1e-5) or abs(speed) == env.max_speed
    assert shown.scene()["torque"] == pytest.approx(torque, abs=1e-4)


ACTIONS = {
    "LunarLander-v3": [0, 1, 2, 3],
    "LunarLanderContinuous-v3": [
        np.array(pair, np.float32)
        for pair in ((0, 0), (-1, 0.5), (1, 0), (0.1, 0), (0, 0.6), (0, -0.6), (-0.3, -1), (0.5, 1))
    ],
}


@pytest.mark.parametrize(("env", "action"), [(env, action) for env, actions in ACTIONS.items() for action in actions])
def test_flames_are_drawn_where_the_engines_push(env: str, action: Any) -> None:
    """Compare the craft's velocity after a step with that after a step in which no engine runs."""
    velocities = []
    for chosen in (0 if env == "LunarLander-v3" else np.zeros(2, np.float32), action):
        shown = player(env)
        assert shown.scene()["engines"] == [0, 0]  # no flame after a reset
        shown.step(acting(chosen))
        lander = cast("LunarLander", shown._env.unwrapped).lander
        assert lander is not None
        velocities.append((lander.linearVelocity.x, lander.linearVelocity.y))
    main, side = shown.scene()["engines"]
    push_right, push_up = np.subtract(velocities[1], velocities[0])
    assert 0 <= main <= 1 >= abs(side)
    assert (push_up > 0.05) == (main > 0)
    if side and not main:
        assert np.sign(push_right) == np.sign(side)
    if not side and not main:
        assert (push_right, push_up) == (0, 0)
    if main:
        assert push_up / main == pytest.approx(push_of_full_power(), rel=0.1)


def push_of_full_power() -> float:
    """Return by how much a step of the discrete lander's main engine raises its upward velocity."""
    ups = []
    for action in (0, 2):
        shown = player("LunarLander-v3")
        shown.step(acting(action))
        ups.append(cast("Any", shown._env.unwrapped).lander.linearVelocity.y)
    return float(ups[1] - ups[0])


@pytest.mark.parametrize(("action", "push"), [(0, -1), (1, 1)])
def test_the_arrow_shows_where_the_cart_is_pushed(action: int, push: int) -> None:
    shown = player("CartPole-v1")
    assert shown.scene()["push"] == 0
    before = shown.observation[1]
    shown.step(acting(action))
    assert shown.scene()["push"] == push == np.sign(shown.observation[1] - before)
    assert shown.scene()["cart"] == pytest.approx(shown.observation[0], abs=1e-4)
    assert shown.scene()["pole"] == pytest.approx(shown.observation[2], abs=1e-4)


def test_every_environment_is_played_at_its_own_pace() -> None:
    for name in BASES:
        spec = described(name)
        env: Any = envs.make_gymnasium(spec).unwrapped
        seconds = getattr(env, "dt", None) or getattr(env, "tau", None) or 1 / 50  # FPS of the lander
        assert SCENES[spec.name].steps_per_second == pytest.approx(1 / seconds)


# ---- values ----


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    config = dataclasses.replace(live_config("Pendulum-v1", 3, [ARM, NO_TARGET]), hidden=(8, 8), batch_size=4)
    return make_trainer(config, config.blocks()[0], described("Pendulum-v1"))


def forward(layers: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return an MLP's outputs in float64; `layers` holds weights (out, in) and biases in turn."""
    for i in range(0, len(layers), 2):
        x = layers[i].astype(float) @ x + layers[i + 1]
        if i + 2 < len(layers):
            x = np.maximum(x, 0)
    return x


def test_the_value_shown_is_the_smaller_critics_of_the_greedy_action(trainer: Trainer) -> None:
    display = PolicyDisplay(trainer)
    networks, bounds = trainer.driver.state.learner.online, trainer.spec.action_bounds
    assert bounds is not None
    for _ in range(3):
        frame = display.frame(0.2)
        for w, arm in enumerate(frame["arms"]):
            observation = display._players[w].observation.astype(float)
            outputs = forward([np.asarray(leaf)[w] for leaf in networks.actor], observation)
            action = np.tanh(outputs[: len(bounds.low)])
            inputs = np.concatenate([observation, action])
            values = [forward([np.asarray(leaf)[w, i] for leaf in networks.critics], inputs)[0] for i in range(2)]
            assert arm["q_values"] == [pytest.approx(min(values), rel=1e-4, abs=1e-4)]
            assert arm["action"] == pytest.approx(bounds.scale(np, action.astype(np.float32)), rel=1e-4, abs=1e-5)
            assert not arm["diverged"]


def test_frames_play_as_many_steps_as_their_time_holds(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    display, steps = PolicyDisplay(trainer), list[Any]()
    monkeypatch.setattr(EpisodePlayer, "step", lambda _, act: steps.append(act))
    for _ in range(50):
        display.frame(1 / 25)
    assert len(steps) == 2 * 2 * SCENES[trainer.spec.name].steps_per_second  # two arms for two seconds


def test_an_actor_that_diverged_is_shown_as_such_and_plays_on(trainer: Trainer) -> None:
    before = trainer.driver.state
    learner = before.learner
    broken = learner.online._replace(actor=tuple(leaf.at[0].set(np.nan) for leaf in learner.online.actor))
    trainer.driver.state = before._replace(learner=learner._replace(online=broken))
    try:
        first, second = PolicyDisplay(trainer).frame(0.2)["arms"]
    finally:
        trainer.driver.state = before
    assert (first["q_values"], first["diverged"], second["diverged"]) == ([None], True, False)
    assert all(np.isfinite(first["action"]))
