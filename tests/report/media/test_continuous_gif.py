"""The animation of an episode with continuous actions: the action and its value."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import jax
import numpy as np
import pytest
from PIL import Image

from softstep.config import Config
from softstep.envs.contract import ActionBounds, EnvSpec
from softstep.errors import ConfigError
from softstep.learner.heads import ARGMAX, Head
from softstep.learner.networks import mlp_network
from softstep.policies.policy import Policy
from softstep.report.media import episode_gif
from softstep.report.media.episode_frame import HEIGHT, PANEL, EpisodeStep, FrameRenderer
from softstep.report.media.episode_gif import component_names, landing_gif

LOW, HIGH = (-1.0, -2.0), (3.0, 6.0)
TAKEN: list[np.ndarray] = []


class Sliders(gymnasium.Env[np.ndarray, np.ndarray]):
    """Observations count the steps; the actions taken are kept."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Box(np.array([LOW]), np.array([HIGH]), dtype=np.float64)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self._at = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        TAKEN.append(action)
        self._at += 1
        return np.full(1, self._at / 10, np.float32), 1.0, self._at == 8, False, {}

    def render(self) -> Any:
        return np.zeros((90, 90, 3), np.uint8)


if "Sliders-v0" not in gymnasium.registry:
    gymnasium.register("Sliders-v0", Sliders)


def policy(scale: float = 1.0, env: str = "Sliders-v0") -> Policy:
    """Return a linear actor, u = (s, −2s), with the critics s − 1 + a₁ and 5 + a₂ of actions in [−1, 1]."""
    spec = EnvSpec(env, "gymnasium", 1, 2, exactly_resumable=True, action_bounds=ActionBounds(LOW, HIGH))
    actor = (np.array([[scale], [-2 * scale]], np.float32), np.zeros(2, np.float32))
    critics = (np.array([[[1, 1, 0]], [[0, 0, 1]]], np.float32), np.array([[-1], [5]], np.float32))
    config = Config(env="Pendulum-v1", algorithm="td3", hidden=())
    return Policy(config.agents()[0], spec, mlp_network((1, 2), "fan_in"), actor, (), Head("tanh"), critics)


def test_the_environment_is_given_the_actions_that_are_shown() -> None:
    TAKEN.clear()
    episode = episode_gif.play(policy(), policy().spec)
    s = np.arange(8) / 10
    unit = np.stack([np.tanh(s), np.tanh(-2 * s)], axis=1)
    expected = np.array(LOW) + (unit + 1) / 2 * (np.array(HIGH) - LOW)
    np.testing.assert_allclose(np.concatenate(TAKEN), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate(TAKEN), [step.action for step in episode.steps[:-1]])
    values = [step.q_values.item() for step in episode.steps[:-1]]
    np.testing.assert_allclose(values, np.minimum(s - 1 + unit[:, 0], 5 + unit[:, 1]), rtol=1e-6)
    assert episode.terminated
    assert episode.bounds == (LOW, HIGH)


def test_the_gif_is_written(tmp_path: Path) -> None:
    facts = landing_gif(policy(), policy().spec, tmp_path / "out.gif")
    assert (facts["return"], facts["steps"], facts["terminated"]) == (8.0, 8, True)
    with Image.open(tmp_path / "out.gif") as image:
        assert image.size == (360 + PANEL, HEIGHT)
        assert image.n_frames == facts["frames"] == 9


@pytest.mark.parametrize("action", [(3.0, -2.0), (-1.0, 2.0), (1.0, 6.0), (0.0, 0.0)])
def test_bars_begin_at_0_and_end_at_the_action(action: tuple[float, float]) -> None:
    steps = [EpisodeStep(np.array([1.0]), np.array(action, np.float32), number=1, total=0.0)]
    renderer = FrameRenderer("Mine-v0", ["a", "b"], steps, ActionBounds(LOW, HIGH))
    panel = np.asarray(renderer.frame(0, np.zeros((360, 360, 3), np.uint8))).astype(int)[:, 360:]
    bright = (panel[..., 2] > 200) & (panel[..., 0] < 140)  # the accent; its texts are brighter, the mark is darker
    left, right = 20, PANEL - 20
    for number, row in enumerate((128, 170)):
        columns = np.flatnonzero(bright[row])
        zero, end = (
            left + (x - LOW[number]) / (HIGH[number] - LOW[number]) * (right - left) for x in (0, action[number])
        )
        if action[number] == 0:
            assert len(columns) <= 1
        else:
            np.testing.assert_allclose((columns.min(), columns.max()), (min(zero, end), max(zero, end)), atol=2)


def test_the_value_beside_the_history_is_that_of_the_step() -> None:
    steps = [EpisodeStep(np.array([value]), np.zeros(2), number, 0.0) for number, value in enumerate((1.0, 3.0, 2.0))]
    renderer = FrameRenderer("Mine-v0", ["a", "b"], steps, ActionBounds(LOW, HIGH))
    frames = [np.asarray(renderer.frame(n, np.zeros((9, 9, 3), np.uint8))).astype(int)[:, -PANEL:] for n in range(3)]
    dots = [np.argwhere(frame[300:, :, :].min(axis=-1) > 200).mean(axis=0) for frame in frames]
    assert dots[1][0] < dots[2][0] < dots[0][0]  # larger values are higher
    assert dots[0][1] < dots[1][1] < dots[2][1]
    numbers = [frame[280:295, PANEL - 60 :] for frame in frames]
    assert (numbers[0] != numbers[1]).any()
    assert (numbers[1] != numbers[2]).any()


def test_components_are_named_where_they_are_known() -> None:
    assert component_names("LunarLander-v3", 2) == ("main engine", "side engines")
    assert component_names("Pendulum-v1", 1) == ("torque",)
    assert component_names("Pendulum-v1", 2) == ["action 0", "action 1"]


def test_an_actor_that_diverged_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="diverged"):
        landing_gif(policy(scale=np.nan), policy().spec, tmp_path / "out.gif")
    assert list(tmp_path.iterdir()) == []


def test_an_actor_without_critics_has_no_value() -> None:
    made = policy()
    alone = Policy(made.agent, made.spec, mlp_network((1, 2), "fan_in"), made.layers[0], (), made.head)  # type: ignore[index]
    assert alone([0.5]).shape == (2,)
    with pytest.raises(ValueError, match="without critics"):
        alone.value([0.5])


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_other_actions_in_gymnasium_are_rejected_in_one_line(env: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=rf"'{env}' cannot be watched: its actions are .* from \[-1.0, -2.0\]"
    ) as error:
        landing_gif(policy(env=env), policy(env=env).spec, tmp_path / "out.gif")
    assert "\n" not in str(error.value)


def test_a_policy_of_discrete_actions_is_drawn_as_its_action_values_are(tmp_path: Path) -> None:
    spec, network = EnvSpec("CartPole-v1", "gymnasium", 4, 2, exactly_resumable=True), mlp_network((4, 8, 2), "fan_in")
    params = tuple(np.asarray(leaf) for leaf in network.init(jax.random.key(0)))
    player = Policy(Config().agents()[0], spec, network, params, (8,), ARGMAX)
    write = functools.partial(landing_gif, env_id=spec, seed=1, max_steps=20)
    write(player, out=tmp_path / "a.gif")
    write(player.q_values, out=tmp_path / "b.gif")
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    assert player.value(np.ones(4)) == player.q_values(np.ones(4)).max()
