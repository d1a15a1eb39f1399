"""Exported actors of DDPG, TD3 and SAC: the real runtimes act as they did, and stable-baselines3 learns on."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import jax
import numpy as np
import onnx
import onnxruntime
import pytest
import stable_baselines3
import torch
from actors import ALGORITHMS, settings
from stable_baselines3.common.env_util import make_vec_env
from support import exported_module

import softstep
from softstep.cli.main import main
from softstep.envs.contract import ActionBounds, EnvSpec
from softstep.errors import ConfigError
from softstep.learner.algorithms import make_learner
from softstep.learner.networks import mlp_network
from softstep.policies.actor_critic_networks import ActorCriticNetworks, read_networks
from softstep.policies.export_sb3 import sb3_archive
from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.policy import Policy
from softstep.runs import checkpoints, run_folder

ENVS = ("Pendulum-v1", "gymnax:Pendulum-v1", "Lopsided-v0")
LEARNERS: dict[str, Any] = {
    "sac": stable_baselines3.SAC, "td3": stable_baselines3.TD3, "ddpg": stable_baselines3.DDPG,
}  # fmt: skip
ACTIONS = {"Pendulum-v1": 1, "gymnax:Pendulum-v1": 1, "Lopsided-v0": 2}
AGENT = 1
"""The second agent of a block of two."""
ACTOR = mlp_network((3, 12, 8, 1), "fan_in")
OBSERVATIONS = np.random.default_rng(0).normal(0, 2, (1000, 3)).astype(np.float32)


class Lopsided(gymnasium.Env[np.ndarray, np.ndarray]):
    """Two components with bounds of their own, not in one row and in double precision."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gymnasium.spaces.Box(np.array([[-0.5], [-3.0]]), np.array([[2.0], [1.0]]), dtype=np.float64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._seen = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self._seen, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        reward = -float((action[0, 0] - self._seen[0]) ** 2 + (action[1, 0] + self._seen[1]) ** 2)
        self._seen = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self._seen, reward, False, False, {}


if "Lopsided-v0" not in gymnasium.registry:
    gymnasium.register("Lopsided-v0", Lopsided, max_episode_steps=50)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function of algorithm and environment that trains a short run once."""

    @functools.cache
    def trained(algorithm: str, env: str = "Pendulum-v1") -> Path:
        path = tmp_path_factory.mktemp("actor") / "run"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            softstep.train(settings(algorithm, env=env), path)
        return path

    return trained


def loaded(path: Path, algorithm: str, env: str) -> Any:
    """Return an archive as stable-baselines3 loads it."""
    return LEARNERS[algorithm].load(path, env=make_vec_env(env.removeprefix("gymnax:"), seed=0), device="cpu")


def actions_of(runtime: str, out: Path, algorithm: str, env: str) -> np.ndarray:
    """Return the actions (1000, A) of an export."""
    if runtime == "torch":
        policy = exported_module(out).load()
        single = policy(torch.tensor(OBSERVATIONS[0])).numpy()
        actions = policy(torch.tensor(OBSERVATIONS)).numpy()
        np.testing.assert_allclose(single, actions[0], atol=1e-6)
        assert not any(p.requires_grad for p in policy.parameters())
    elif runtime == "jax":
        module = exported_module(out)
        params = module.load()
        actions = np.asarray(module.jax.jit(module.act)(params, OBSERVATIONS.astype(np.float64)))
        np.testing.assert_allclose(module.act(params, OBSERVATIONS[0]), actions[0], atol=1e-6)
    elif runtime == "onnx":
        session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
        (actions,) = session.run(None, {"observation": OBSERVATIONS})
    else:
        return loaded(out, algorithm, env).predict(OBSERVATIONS, deterministic=True)[0].reshape(1000, -1)
    assert actions.dtype == np.float32
    return actions


@pytest.mark.parametrize("runtime", ["torch", "jax", "onnx", "sb3"])
@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_runtime_acts_as_the_policy(algorithm: str, env: str, runtime: Any, folder: Any, tmp_path: Path) -> None:
    run = folder(algorithm, env)
    out = softstep.export_policy(run, runtime, tmp_path / "exported", AGENT)
    policy = softstep.load(run, AGENT)
    expected = np.stack([policy(o) for o in OBSERVATIONS])
    bounds = policy.spec.action_bounds
    assert bounds is not None
    assert expected.shape == (1000, ACTIONS[env])
    assert (expected.std(axis=0) > 0.01 * (np.array(bounds.high) - bounds.low)).all()  # it does something
    np.testing.assert_allclose(actions_of(runtime, out, algorithm, env), expected, rtol=0, atol=1e-5)


def test_onnx_has_names_and_one_output(folder: Any, tmp_path: Path) -> None:
    model = onnx.load(softstep.export_policy(folder("sac"), "onnx", tmp_path / "policy.onnx", AGENT))
    names = [node.name for node in model.graph.node]
    assert names == ["linear0", "relu0", "linear1", "relu1", "outputs", "tanh", "from_zero", "from_low", "action"]
    (output,) = model.graph.output
    assert (output.name, output.type.tensor_type.elem_type) == ("action", onnx.TensorProto.FLOAT)
    assert model.doc_string == "An actor of SAC for Pendulum-v1, trained by softstep: agent, seed 1."


# ---- the archive's other networks ----


def relu_network(parameters: Sequence[np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return the outputs of an MLP, written out."""
    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2], strict=True)
    for hidden_weight, hidden_bias in hidden:
        x = np.maximum(x @ hidden_weight.T + hidden_bias, 0)
    return x @ weight.T + bias


def stored(run: Path, part: str) -> list[np.ndarray]:
    """Return the arrays of one part of the learner from the run's checkpoint, without the axis of agents."""
    checkpoint = checkpoints.read_checkpoint(run_folder.open_run(run), 0, with_replay=False)
    assert checkpoint is not None
    names = [f"learner/{part}/{layer}/{kind}" for layer in range(3) for kind in ("weight", "bias")]
    return [checkpoint.arrays[name][AGENT] for name in names]


@pytest.mark.parametrize("env", ["Pendulum-v1", "Lopsided-v0"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_critics_targets_and_temperature_are_the_runs(algorithm: str, env: str, folder: Any, tmp_path: Path) -> None:
    run, count = folder(algorithm, env), ACTIONS[env]
    model = loaded(softstep.export_policy(run, "sb3", tmp_path / "policy.zip", AGENT), algorithm, env)
    actions = np.random.default_rng(1).uniform(-1, 1, (1000, count)).astype(np.float32)
    inputs = np.concatenate([OBSERVATIONS, actions], axis=1)
    observed = torch.tensor(OBSERVATIONS)
    online, target = stored(run, "online/critics"), stored(run, "target/critics")
    assert len(online[0]) == (1 if algorithm == "ddpg" else 2)
    assert all((q != t).any() for q, t in zip(online, target, strict=True))
    with torch.no_grad():
        for parameters, critic in ((online, model.critic), (target, model.critic_target)):
            values = critic(observed, torch.tensor(actions))
            assert len(values) == len(parameters[0])
            for number, value in enumerate(values):
                expected = relu_network([leaf[number] for leaf in parameters], inputs)
                np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5, atol=1e-5)
        outputs = relu_network(stored(run, "online/actor"), OBSERVATIONS)
        if algorithm == "sac":
            mean, log_sd, _ = model.actor.get_action_dist_params(observed)
            np.testing.assert_allclose(mean, outputs[:, :count], rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(log_sd, np.clip(outputs[:, count:], -20, 2), rtol=1e-5, atol=1e-5)
            networks = networks_of(run)
            assert networks.log_temperature is not None
            assert networks.log_temperature < -0.1  # it has moved from log 1
            assert model.log_ent_coef.item() == np.float32(networks.log_temperature)
        else:
            np.testing.assert_allclose(model.actor(observed), np.tanh(outputs), rtol=0, atol=1e-5)
            expected = np.tanh(relu_network(stored(run, "target/actor"), OBSERVATIONS))
            np.testing.assert_allclose(model.actor_target(observed), expected, rtol=0, atol=1e-5)


def networks_of(run: Path) -> ActorCriticNetworks:
    """Return all networks of the agent."""
    checkpoint = checkpoints.read_checkpoint(run_folder.open_run(run), 0, with_replay=False)
    assert checkpoint is not None
    return read_networks(checkpoint.arrays, ACTOR, AGENT)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_value_of_a_policy_is_the_smallest_of_its_critics(algorithm: str, folder: Any, tmp_path: Path) -> None:
    run = folder(algorithm, "Lopsided-v0")
    model = loaded(softstep.export_policy(run, "sb3", tmp_path / "policy.zip", AGENT), algorithm, "Lopsided-v0")
    policy, observations = softstep.load(run, AGENT), torch.tensor(OBSERVATIONS)
    with torch.no_grad():
        actions = (
            model.policy.actor(observations, deterministic=True) if algorithm == "sac" else model.actor(observations)
        )
        expected = torch.cat(model.critic(observations, actions), dim=1).min(dim=1).values.numpy()
    values = [policy.value(o) for o in OBSERVATIONS]
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="no action values"):
        policy.q_values(OBSERVATIONS[0])


class Painted(gymnasium.Env[np.ndarray, np.ndarray]):
    """Nothing but the spaces; observations are pictures of bytes, with their channels last."""

    observation_space = gymnasium.spaces.Box(0, 255, (5, 4, 3), np.uint8)
    action_space = gymnasium.spaces.Box(-2.0, 1.0, (2,), np.float32)


@pytest.mark.filterwarnings("ignore:Treating image space as channels-last")
@pytest.mark.parametrize("hidden", [(6,), ()], ids=str)
@pytest.mark.parametrize("algorithm", ["sac", "td3"])
def test_pictures_are_acted_on_and_valued_alike(algorithm: Any, hidden: tuple[int, ...], tmp_path: Path) -> None:
    """stable-baselines3 turns them to channels first, for its critics before the action is appended."""
    name = "Painted-v0"
    gymnasium.register(name, Painted)
    try:
        config = settings(algorithm, env=name, hidden=hidden)
        learner = make_learner(config, 60, 2)
        online, target = jax.tree.map(np.asarray, learner.init(jax.random.key(0))[:2])
        small = tuple(leaf / 1000 for leaf in online.actor)  # bytes are large: tanh must not saturate
        networks = ActorCriticNetworks(small, online.critics, target.actor, target.critics, 0.0)
        spec = EnvSpec(name, "gymnasium", 60, 2, True, action_bounds=ActionBounds((-2.0, -2.0), (1.0, 1.0)))
        policy = Policy(config.agents()[0], spec, learner.network, small, hidden, learner.head, online.critics)
        assert policy.greedy_layers is not None
        archive = sb3_archive(ExportedPolicy(policy, policy.greedy_layers, config, 0, networks))
        (tmp_path / "policy.zip").write_bytes(archive.content)
        model = loaded(tmp_path / "policy.zip", algorithm, name)
    finally:
        del gymnasium.registry[name]
    pictures = np.random.default_rng(0).integers(0, 256, (50, 5, 4, 3), np.uint8)
    actions = model.predict(pictures, deterministic=True)[0]
    np.testing.assert_allclose(actions, [policy(picture) for picture in pictures], rtol=0, atol=1e-5)
    observations = model.policy.obs_to_tensor(pictures)[0]
    with torch.no_grad():
        values = torch.cat(model.critic(observations, torch.tensor(model.policy.scale_action(actions))), dim=1)
    expected = [policy.value(picture) for picture in pictures]
    np.testing.assert_allclose(values.min(dim=1).values, expected, rtol=1e-4)


# ---- training on ----


def vector(network: Any) -> np.ndarray:
    return torch.nn.utils.parameters_to_vector(network.parameters()).detach().numpy().copy()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_archive_learns_on_with_the_runs_target_update(algorithm: str, folder: Any, tmp_path: Path) -> None:
    """T moves a fraction τ towards the new Q, after every gradient step, of TD3 after every second."""
    model = loaded(
        softstep.export_policy(folder(algorithm), "sb3", tmp_path / "policy.zip", AGENT), algorithm, "Pendulum-v1"
    )
    assert model.softstep_differences == ""
    online, expected, actor = list[np.ndarray](), vector(model.critic_target), vector(model.actor)
    model.critic.optimizer.register_step_post_hook(lambda *_: online.append(vector(model.critic)))
    model.learn(300)
    period = 2 if algorithm == "td3" else 1
    assert len(online) == 300 - 60
    for q in online[period - 1 :: period]:
        expected = expected + np.float32(0.05) * (q - expected)
    np.testing.assert_allclose(vector(model.critic_target), expected, rtol=1e-4, atol=1e-5)
    assert np.isfinite(vector(model.actor)).all()
    assert (vector(model.actor) != actor).any()
    if algorithm == "sac":
        assert model.log_ent_coef.item() != np.float32(networks_of(folder("sac")).log_temperature or 0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_archive_has_the_settings_of_the_run(algorithm: str, folder: Any, tmp_path: Path) -> None:
    model = loaded(
        softstep.export_policy(folder(algorithm), "sb3", tmp_path / "policy.zip", AGENT), algorithm, "Pendulum-v1"
    )
    assert (model.tau, model.gamma, model.learning_rate, model.batch_size) == (0.05, 0.9, 1e-3, 16)
    assert (model.train_freq.frequency, model.gradient_steps) == (1, 1)
    assert (model.buffer_size, model.learning_starts) == (5_000, 60)
    assert model.replay_buffer.handle_timeout_termination
    for optimizer in (model.actor.optimizer, model.critic.optimizer):
        (group,) = optimizer.param_groups
        assert (type(optimizer), group["lr"], group["eps"]) == (torch.optim.Adam, 1e-3, 1e-8)
    if algorithm == "sac":
        assert (model.ent_coef, model.target_entropy, model.target_update_interval) == ("auto", -1.0, 1)
        assert model.action_noise is None
    else:
        assert model.policy_delay == (2 if algorithm == "td3" else 1)
        assert model.action_noise._sigma == pytest.approx([0.1])
    if algorithm == "td3":
        assert (model.target_policy_noise, model.target_noise_clip) == (0.2, 0.5)


def test_other_bounds_in_gymnasium_are_refused_in_one_line(folder: Any) -> None:
    policy = softstep.load(folder("td3"), AGENT)
    policy.spec = dataclasses.replace(policy.spec, action_bounds=ActionBounds((-1.0,), (2.0,)))
    layers = policy.greedy_layers
    assert layers is not None
    with pytest.raises(ConfigError, match=r"the run's are from \[-1.0\] to \[2.0\]; use torch, onnx or jax") as error:
        sb3_archive(ExportedPolicy(policy, layers, settings("td3"), 0, networks_of(folder("td3"))))
    assert "\n" not in str(error.value)


def test_a_run_that_evaluates_the_target_acts_with_its_actor(folder: Any, tmp_path: Path) -> None:
    run = folder("td3")
    online, networks = softstep.load(run, AGENT), networks_of(run)
    policy = Policy(online.agent, online.spec, ACTOR, networks.target_actor, (12, 8), online.head)
    layers = policy.greedy_layers
    assert layers is not None
    archive = sb3_archive(ExportedPolicy(policy, layers, settings("td3", eval_network="target"), 200, networks))
    (tmp_path / "policy.zip").write_bytes(archive.content)
    expected = np.stack([policy(o) for o in OBSERVATIONS])
    assert np.abs(expected - np.stack([online(o) for o in OBSERVATIONS])).max() > 1e-3
    model = loaded(tmp_path / "policy.zip", "td3", "Pendulum-v1")
    np.testing.assert_allclose(model.predict(OBSERVATIONS, deterministic=True)[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("command", [["export", "--to", "torch"], ["watch"], ["eval", "--episodes", "2"]])
def test_the_commands_take_runs_with_an_actor(
    command: list[str], folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = folder("sac", "gymnax:Pendulum-v1")
    name, *flags = command
    assert main([name, str(run), *flags]) == 0
    assert capsys.readouterr().out
    written = {"export": "policy-0-torch/policy.safetensors", "watch": "watch-0-0.gif", "eval": "config.json"}[name]
    assert (run / written).is_file()
