"""Export a policy as an archive of stable-baselines3, with the settings of its run."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from softstep import conventions
from softstep.conventions.translation import Translation
from softstep.envs import make_gymnasium
from softstep.errors import ConfigError
from softstep.policies.exported_policy import ExportedPolicy
from softstep.training.exploration import exploration_arrays
from softstep.training.schedules import schedules

_TRIED_OBSERVATIONS = 8
"""Observations on which the inputs of stable-baselines3's networks are compared with the run's."""


class Archive(NamedTuple):
    """A stable-baselines3 archive."""

    content: bytes
    differences: str
    """One line that names the settings of the run that the archive cannot express; empty if there are none."""


def sb3_archive(exported: ExportedPolicy) -> Archive:
    """Return an archive for `stable_baselines3.DQN.load`, both of whose networks are the policy's.

    The line of differences is also the attribute `softstep_differences` of the loaded model.

    Raises:
        ConfigError: stable-baselines3 is not installed, cannot express the target update, or shows its networks
            something else than the run's saw; or Gymnasium does not have the environment.
    """
    try:
        import gymnasium
        import torch
        from stable_baselines3 import DQN
    except ImportError:
        raise ConfigError("export --to sb3 needs stable-baselines3: pip install 'softstep[sb3]'") from None
    policy, config = exported.policy, exported.config
    try:
        env = make_gymnasium(policy.spec)
    except gymnasium.error.Error as error:
        raise ConfigError(
            f"export --to sb3 needs {policy.spec.name} in Gymnasium: {error}; use torch, onnx or jax"
        ) from None
    model = _model(exported, DQN, env)
    order = _input_order(exported, env, model)
    for network in (model.q_net, model.q_net_target):
        linear_layers = [module for module in network.q_net if isinstance(module, torch.nn.Linear)]
        with torch.no_grad():
            for module, (weight, bias) in zip(linear_layers, exported.layers, strict=True):
                module.weight.copy_(torch.tensor(weight[:, order] if module is linear_layers[0] else weight))
                module.bias.copy_(torch.tensor(bias))
    # These two are set afterwards, so that neither a buffer of this size nor the environments are allocated here.
    model.buffer_size, model.n_envs = config.memory_size, config.num_envs
    model.softstep_differences = differences(exported)
    archive = io.BytesIO()
    model.save(archive)
    return Archive(archive.getvalue(), differences(exported))


def _model(exported: ExportedPolicy, dqn: Any, env: Any) -> Any:
    """Return a `DQN` of stable-baselines3 with the run's settings and untrained networks of the policy's sizes."""
    import torch

    config, settings = exported.config, dqn_settings(exported)
    optimizer: dict[str, Any] = {"optimizer_class": torch.optim.SGD} if config.optimizer == "sgd" else {}
    policy_kwargs = {
        "net_arch": list(config.hidden), "activation_fn": torch.nn.ReLU, "normalize_images": False,
        "optimizer_kwargs": _optimizer_options(exported)[0], **optimizer,
    }  # fmt: skip
    try:
        return dqn("MlpPolicy", env, device="cpu", buffer_size=1, **settings, policy_kwargs=policy_kwargs)
    except Exception as error:  # whatever its checks of spaces raise
        raise _unusable(exported, f"{type(error).__name__}: {error}") from None


def _input_order(exported: ExportedPolicy, env: Any, model: Any) -> np.ndarray:
    """Return which number of the run's observation each input of stable-baselines3's networks is.

    It turns pictures to channels first. That its networks see the run's numbers in this order, and act with the run's
    actions, is tried on observations of the space.

    Raises:
        ConfigError: its networks see something else, or its actions are others.
    """
    import torch
    from stable_baselines3.common.preprocessing import maybe_transpose

    sizes, (space, actions) = exported.sizes, (env.observation_space, env.action_space)
    if int(getattr(actions, "start", 0)) != 0 or getattr(actions, "n", None) != sizes[-1]:
        raise _unusable(exported, f"its actions are {actions}, and the run's are 0 to {sizes[-1] - 1}")
    if math.prod(space.shape or ()) != sizes[0]:
        raise _unusable(exported, f"its observations are {space}, and the run's are {sizes[0]} numbers")
    order = maybe_transpose(np.arange(sizes[0]).reshape(space.shape), model.observation_space).ravel()
    space.seed(0)
    observations = np.stack([space.sample() for _ in range(_TRIED_OBSERVATIONS)])
    try:
        with torch.no_grad():
            tensor, _ = model.policy.obs_to_tensor(observations)
            seen = model.q_net.extract_features(tensor, model.q_net.features_extractor).numpy()
    except Exception as error:
        raise _unusable(exported, f"{type(error).__name__}: {error}") from None
    if not np.array_equal(seen, observations.reshape(len(observations), -1).astype(np.float32)[:, order]):
        raise _unusable(exported, f"its networks do not see the numbers of {space} as they are")
    return order


def _unusable(exported: ExportedPolicy, reason: str) -> ConfigError:
    name, reason = exported.policy.spec.name, " ".join(reason.split())
    return ConfigError(
        f"export --to sb3: stable-baselines3 cannot act in {name} as the run did: {reason}; use torch, onnx or jax"
    )


def dqn_settings(exported: ExportedPolicy) -> Mapping[str, Any]:
    """Return the arguments of stable-baselines3's DQN that continue the run, except for networks and buffer size."""
    config, agent = exported.config, exported.agent
    translation = _target_update(exported)
    target = translation.settings
    if target is None:
        raise ConfigError(
            f"export --to sb3: stable-baselines3 cannot express the run's target update: {translation.why}"
        )
    return {
        "tau": target["tau"],
        "target_update_interval": int(target["target_update_interval"]),
        "train_freq": int(target["train_freq"]),
        "gradient_steps": int(target["gradient_steps"]),
        "learning_rate": agent.learning_rate * _learning_rate_factor(exported),
        "gamma": agent.gamma,
        "batch_size": config.batch_size,
        "learning_starts": config.learning_starts,
        "exploration_initial_eps": _epsilon(exported),
        "exploration_final_eps": agent.exploration.end,
        "exploration_fraction": 1.0,
        "max_grad_norm": math.inf if config.max_grad_norm is None else config.max_grad_norm,
        "replay_buffer_kwargs": {"handle_timeout_termination": not config.time_limit_is_terminal},
    }


def differences(exported: ExportedPolicy) -> str:
    """Return one line that names what training on in stable-baselines3 does differently; empty if nothing."""
    found = list(_differences(exported))
    return f"stable-baselines3 continues this run with other settings: {'; '.join(found)}" if found else ""


def _differences(exported: ExportedPolicy) -> Iterator[str]:
    config, agent = exported.config, exported.agent
    if config.loss != "huber":
        yield f"its loss is Huber's with threshold 1, not {config.loss}"
    target = _target_update(exported)
    if target.how != "equal":
        yield f"its target update is not equal ({target.how})"
    if agent.blended:
        yield "its target network follows the online network instead of being blended into it"
    if config.double_q:
        yield "it has no double Q-learning"
    if config.optimizer not in ("adam", "sgd"):
        yield f"its optimizer is Adam, not {config.optimizer}"
    elif dropped := _optimizer_options(exported)[1]:
        yield f"its optimizer has no {', '.join(dropped)}"
    if config.reward_scale != 1:
        yield f"its rewards are not scaled by {config.reward_scale:g}: wrap the environment"
    if config.learning_rate_decay != 1 and exported.env_steps < config.learning_rate_decay_steps:
        yield "its learning rate stays where the run's decay stands"
    if agent.exploration.schedule == "geometric":
        yield "its ε is constant at the run's lowest value instead of falling with every episode"
    elif _epsilon(exported) > agent.exploration.end:
        rest = agent.exploration.steps - exported.env_steps
        yield f"its ε falls over the whole of learn(), not over {rest} steps: pass exploration_fraction to load()"
    if config.num_envs > 1:
        yield f"it steps one environment unless loaded with {config.num_envs}"


def _target_update(exported: ExportedPolicy) -> Translation:
    """Return the run's target update in the settings of stable-baselines3's DQN."""
    config, update = exported.config, exported.agent.target
    meaning = conventions.read("softstep", {
        "target.tau": update.tau, "target.period": update.period, "num_envs": config.num_envs,
        "train_every": config.train_every, "gradient_steps": config.gradient_steps,
    })  # fmt: skip
    return next(translation for translation in conventions.translate(meaning) if translation.library == "sb3")


def _optimizer_options(exported: ExportedPolicy) -> tuple[dict[str, Any], list[str]]:
    """Return the run's optimizer options as PyTorch's optimizer takes them, and the names of those that it does not."""
    options, optimizer = dict(exported.config.optimizer_options), exported.config.optimizer
    if optimizer == "adam":
        taken: dict[str, Any] = {
            "eps": options.pop("eps", 1e-8),
            "betas": (options.pop("b1", 0.9), options.pop("b2", 0.999)),
        }
    elif optimizer == "sgd":
        taken = {"momentum": options.pop("momentum", 0.0), "nesterov": bool(options.pop("nesterov", False))}
    else:
        taken = {}
    return taken, list(options)


def _learning_rate_factor(exported: ExportedPolicy) -> float:
    return round(float(_schedules(exported).learning_rate_factor[0]), 6)


def _epsilon(exported: ExportedPolicy) -> float:
    """Return the run's ε at the checkpoint; under the geometric schedule its lowest value."""
    exploration = exported.agent.exploration
    if exploration.schedule == "geometric":
        return exploration.end
    return max(exploration.end, round(float(_schedules(exported).epsilon[0, 0, 0]), 6))


def _schedules(exported: ExportedPolicy) -> Any:
    config = exported.config
    exploration = exploration_arrays([exported.agent.exploration], config.num_envs)
    return schedules(config, exploration, exported.env_steps // config.steps_per_iteration, 1)
