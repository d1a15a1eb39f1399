"""The animation of an episode, read back with Pillow."""

from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from PIL import Image, ImageSequence

from softstep.errors import ConfigError, EnvironmentFailed
from softstep.report.media import episode_gif
from softstep.report.media.episode_frame import HEIGHT, PANEL, EpisodeStep, FrameRenderer
from softstep.report.media.episode_gif import action_names, landing_gif


def upright(observation):
    """Return action values that keep a CartPole upright."""
    push = observation[2] + observation[3]
    return np.array([10.0 - push, 10.0 + push])


def test_the_gif_holds_the_episode(tmp_path):
    facts = landing_gif(upright, "CartPole-v1", tmp_path / "out.gif", seed=3, fps=25, max_steps=40)
    with Image.open(tmp_path / "out.gif") as image:
        assert image.size == (540 + PANEL, HEIGHT)
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]
        assert image.info["loop"] == 0
    assert len(frames) == facts["frames"] == 21
    assert facts["return"] == facts["steps"] == 40
    assert not facts["terminated"]
    assert facts["bytes"] == (tmp_path / "out.gif").stat().st_size
    assert np.any(np.asarray(frames[0])[:, :540] != np.asarray(frames[10])[:, :540])
    assert [path.name for path in tmp_path.iterdir()] == ["out.gif"]


def test_the_episode_is_greedy_and_starts_from_the_seed(tmp_path, monkeypatch):
    seen = []

    def left(observation):
        seen.append(observation)
        return np.array([1.0, 0.0])

    facts = landing_gif(left, "CartPole-v1", tmp_path / "out.gif", seed=7)
    env = gymnasium.make("CartPole-v1")
    expected, _ = env.reset(seed=7)
    for observation in seen:
        np.testing.assert_array_equal(observation, expected)
        expected, _, terminated, _, _ = env.step(0)
    assert terminated
    assert facts["terminated"]
    assert facts["steps"] == len(seen)


def test_the_chosen_action_is_the_bright_bar(tmp_path):
    landing_gif(lambda o: np.array([0.0, 5.0]), "CartPole-v1", tmp_path / "out.gif", max_steps=3)
    with Image.open(tmp_path / "out.gif") as image:
        panel = np.asarray(image.convert("RGB")).astype(int)[:, 540:]
    bright = (panel[..., 2] > 200) & (panel[..., 0] < 140)
    rows, columns = np.nonzero(bright[:260])  # above the history
    assert columns.min() >= PANEL // 2 - 2  # right of the middle, because it is above the mean
    assert 130 < rows.mean() < 180  # the second action's


def test_too_large_a_file_loses_frames(tmp_path, monkeypatch):
    whole = landing_gif(upright, "CartPole-v1", tmp_path / "whole.gif", max_steps=24)
    monkeypatch.setattr(episode_gif, "MAX_BYTES", whole["bytes"] // 2)
    less = landing_gif(upright, "CartPole-v1", tmp_path / "less.gif", max_steps=24)
    assert less["bytes"] <= whole["bytes"] // 2
    assert 2 <= less["frames"] < whole["frames"]


def test_a_long_episode_keeps_fewer_pictures(monkeypatch):
    monkeypatch.setattr(episode_gif, "MAX_FRAMES", 8)
    episode = episode_gif.play(upright, "CartPole-v1", max_steps=50)
    gaps = np.diff(sorted(episode.pictures))
    assert len(episode.steps) == 51
    assert 4 <= len(episode.pictures) <= 10
    assert set(gaps[:-1]) == {8}
    assert {0, 50} <= set(episode.pictures)


def test_the_lander_is_drawn_with_its_four_actions(tmp_path):
    facts = landing_gif(lambda o: np.array([0.0, 1.0, 2.0, 1.5]), "LunarLander-v3", tmp_path / "out.gif", max_steps=6)
    with Image.open(tmp_path / "out.gif") as image:
        assert image.n_frames == facts["frames"] > 1
        sky = np.asarray(image.convert("RGB"))[:300, :540]
    assert (sky == 0).all(-1).mean() > 0.5
    assert action_names("LunarLander-v3", 4) == ("nothing", "left engine", "main engine", "right engine")


def test_a_minus_sign_is_drawn_as_a_hyphen_which_the_font_has():
    steps = [EpisodeStep(np.array([0.0, 1.0]), action=0, number=1, total=0.0)]
    scene = np.zeros((40, 60, 3), np.uint8)
    minus, hyphen = (FrameRenderer("Mine-v0", names, steps).frame(0, scene) for names in (["−1", "1"], ["-1", "1"]))
    assert minus.tobytes() == hyphen.tobytes()


def test_unknown_actions_are_numbered():
    assert action_names("Mine-v0", 3) == ["action 0", "action 1", "action 2"]
    assert action_names("LunarLander-v3", 2) == ["action 0", "action 1"]


class Blind(gymnasium.Env):
    """An environment without a render mode."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)


class Polite(Blind):
    """An environment that accepts a render mode but does not have it."""

    def __init__(self, render_mode=None):
        self.render_mode = render_mode


@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("Polite-v0", "draws no pictures"),
        ("Blind-v0", "draws no pictures"),
        ("gymnax:CartPole-v1", "bare id"),
        ("nowhere:Evil-v0", "bare id"),
        ("Nope-v9", "Nope"),
    ],
)
def test_environments_that_cannot_be_watched_are_rejected_in_one_line(tmp_path, env_id, words):
    for name, env in {"Blind-v0": Blind, "Polite-v0": Polite}.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, env)
    with pytest.raises(ConfigError, match=words) as caught:
        landing_gif(upright, env_id, tmp_path / "out.gif")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Painter(Blind):
    """An environment that draws, or fails where `fault` says."""

    metadata: ClassVar[dict] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, fault, render_mode=None):
        self.fault, self.render_mode = fault, render_mode
        self.work("constructor")

    def work(self, place, *words):
        if self.fault == place:
            raise AssertionError(*words)

    def reset(self, seed=None, options=None):
        self.work("reset")
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.work("step", "it slipped")
        return np.zeros(1, np.float32), 1.0, True, False, {}

    def render(self):
        self.work("render", "no OpenGL here")
        return {"nothing": None, "grey": np.zeros((9, 9), np.uint8)}.get(self.fault, np.zeros((9, 9, 3), np.uint8))

    def close(self):
        self.work("close", "the viewer has gone already")


@pytest.fixture
def painter(request):
    gymnasium.register("Painter-v0", Painter, kwargs={"fault": request.param})
    yield "Painter-v0"
    del gymnasium.registry["Painter-v0"]


@pytest.mark.parametrize(
    ("painter", "words"),
    [
        ("constructor", "cannot be watched: AssertionError$"),
        ("reset", "cannot be reset: AssertionError$"),
        ("step", "failed at step 1 of the episode: AssertionError: it slipped$"),
        ("render", r"cannot be watched, its render\(\) fails: AssertionError: no OpenGL here$"),
        ("nothing", "returns no RGB array"),
        ("grey", "returns no RGB array"),
    ],
    indirect=["painter"],
)
def test_an_environment_that_fails_while_it_is_watched_is_named_in_one_line(painter, words, tmp_path):
    with pytest.raises((ConfigError, EnvironmentFailed), match=words) as caught:
        landing_gif(lambda o: np.zeros(2), painter, tmp_path / "out.gif")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("painter", ["close"], indirect=True)
def test_a_close_that_raises_is_a_warning_and_the_animation_is_written(painter, tmp_path):
    with pytest.warns(RuntimeWarning, match="the viewer has gone already"):
        landing_gif(lambda o: np.zeros(2), painter, tmp_path / "out.gif")
    assert (tmp_path / "out.gif").exists()


def test_a_diverged_agent_is_rejected(tmp_path):
    with pytest.raises(ConfigError, match="diverged"):
        landing_gif(lambda o: np.array([np.nan, 1.0]), "CartPole-v1", tmp_path / "out.gif")


def test_a_missing_folder_is_reported_before_the_episode_is_played(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        landing_gif(lambda o: pytest.fail("played"), "CartPole-v1", tmp_path / "no" / "out.gif")


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"max_steps": 0}])
def test_impossible_lengths_are_rejected(tmp_path, wrong):
    with pytest.raises(ConfigError, match="at least 1"):
        landing_gif(upright, "CartPole-v1", tmp_path / "out.gif", **wrong)
