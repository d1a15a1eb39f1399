"""Policies exported to stable-baselines3 act as they did, whatever that library does to observations first."""

from __future__ import annotations

import copy
import io
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest
import stable_baselines3
import torch
from gymnasium import spaces

from softstep import envs
from softstep.config import Config
from softstep.envs.contract import EnvSpec
from softstep.errors import ConfigError
from softstep.learner.networks import make_network
from softstep.policies.export_sb3 import sb3_archive
from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.policy import Policy


class Sampled(gymnasium.Env[Any, Any]):
    """Observations are drawn from the space."""

    action_space = spaces.Discrete(4)

    def __init__(self, space: spaces.Space[Any], first_action: int = 0) -> None:
        self.observation_space = copy.deepcopy(space)  # each draws from its own
        if first_action:
            self.action_space = spaces.Discrete(4, start=first_action)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, False, False, {}


SPACES = {
    "picture": spaces.Box(0, 255, (7, 7, 3), np.uint8),
    "wide-picture": spaces.Box(0, 255, (5, 9, 4), np.uint8),
    "channels-first": spaces.Box(0, 255, (3, 7, 5), np.uint8),
    "narrow": spaces.Box(0, 255, (7, 3, 5), np.uint8),
    "cube": spaces.Box(0, 255, (4, 4, 4), np.uint8),
    "dark-picture": spaces.Box(0, 100, (7, 7, 3), np.uint8),
    "grey": spaces.Box(0, 255, (7, 7), np.uint8),
    "ram": spaces.Box(0, 255, (128,), np.uint8),
    "float-picture": spaces.Box(0, 1, (7, 7, 3), np.float32),
    "doubles": spaces.Box(-1, 1, (3,), np.float64),
    "integers": spaces.Box(-50, 50, (2, 3), np.int64),
    "unbounded": spaces.Box(-np.inf, np.inf, (4,), np.float32),
}
for label, space in SPACES.items():
    gymnasium.register(f"Sampled-{label}-v0", lambda space=space: Sampled(space))
gymnasium.register("Sampled-from-one-v0", lambda: Sampled(spaces.Box(-1, 1, (3,)), first_action=1))
gymnasium.register("Sampled-number-v0", lambda: Sampled(spaces.Box(-1, 1, ())))
gymnasium.register("Sampled-levels-v0", lambda: Sampled(spaces.MultiDiscrete([3, 5])))
gymnasium.register("Sampled-dict-v0", lambda: Sampled(spaces.Dict({"a": spaces.Box(-1, 1, (3,))})))


def exported(name: str, size: int, num_actions: int = 4) -> ExportedPolicy:
    """Return an untrained policy of an environment with observations of `size` numbers."""
    config = Config(env=name, hidden=(16,), loss="huber")
    spec = EnvSpec(name, "gymnasium", size, num_actions, exactly_resumable=True)
    network = make_network(config, size, num_actions)
    params = tuple(np.asarray(leaf) for leaf in network.init(jax.random.key(0)))
    policy = Policy(config.agents()[0], spec, network, params, config.hidden)
    assert policy.layers is not None
    return ExportedPolicy(policy, policy.layers, config, env_steps=0)


@pytest.mark.filterwarnings("ignore:Treating image space as channels-last")
@pytest.mark.parametrize("label", SPACES)
def test_the_archive_acts_as_the_policy_does(label: str) -> None:
    name = f"Sampled-{label}-v0"
    size = envs.describe(Config(env=name)).observation_size
    ours = exported(name, size)
    model = stable_baselines3.DQN.load(io.BytesIO(sb3_archive(ours).content), env=gymnasium.make(name), device="cpu")
    space = SPACES[label]
    space.seed(1)
    observations = [space.sample() for _ in range(200)]
    alike = [int(model.predict(o, deterministic=True)[0]) == ours.policy(o) for o in observations]
    assert sum(alike) == 200
    with torch.no_grad():
        values = model.q_net(model.policy.obs_to_tensor(np.stack(observations))[0]).numpy()
    expected = np.stack([ours.policy.q_values(o) for o in observations])
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore:Treating image space as channels-last")
@pytest.mark.parametrize("label", ["picture", "channels-first", "narrow", "grey"])
def test_what_the_model_s_own_environment_shows_is_acted_on_alike(label: str) -> None:
    name = f"Sampled-{label}-v0"
    ours = exported(name, int(np.prod(SPACES[label].shape)))
    model = stable_baselines3.DQN.load(io.BytesIO(sb3_archive(ours).content), env=gymnasium.make(name), device="cpu")
    env, own = model.get_env(), gymnasium.make(name)
    assert env is not None
    env.seed(3)
    shown, (observation, _) = env.reset(), own.reset(seed=3)
    for _ in range(20):
        action = model.predict(shown, deterministic=True)[0]  # type: ignore[arg-type]
        assert action[0] == ours.policy(observation)
        shown, (observation, *_) = env.step(action)[0], own.step(action[0])


@pytest.mark.parametrize(
    ("name", "size", "num_actions", "reason"),
    [
        ("Sampled-from-one-v0", 3, 4, "its actions are Discrete(4, start=1), and the run's are 0 to 3"),
        ("Sampled-ram-v0", 128, 3, "its actions are Discrete(4)"),
        ("Sampled-ram-v0", 127, 4, "and the run's are 127 numbers"),
        ("Sampled-number-v0", 1, 4, "Error: "),
        ("Sampled-levels-v0", 2, 4, "do not see the numbers of MultiDiscrete([3 5]) as they are"),
        ("Sampled-dict-v0", 3, 4, "Error: "),
        ("NoSuch-v0", 3, 4, "needs NoSuch-v0 in Gymnasium"),
    ],
)
def test_what_would_act_otherwise_is_refused_in_one_line(name: str, size: int, num_actions: int, reason: str) -> None:
    with pytest.raises(ConfigError) as error:
        sb3_archive(exported(name, size, num_actions))
    assert reason in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("use torch, onnx or jax")
