"""What all archives for stable-baselines3 have in common: settings, their differences, and the order of the inputs."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from softstep import conventions
from softstep.conventions.translation import Translation
from softstep.errors import ConfigError
from softstep.policies.exported_policy import ExportedPolicy
from softstep.training.exploration import exploration_arrays
from softstep.training.schedules import Schedules, schedules

_TRIED_OBSERVATIONS = 8
"""Observations on which the inputs of stable-baselines3's networks are compared with the run's."""


class Archive(NamedTuple):
    """A stable-baselines3 archive."""

    content: bytes
    differences: str
    """One line that names the settings of the run that the archive cannot express; empty if there are none."""


def make_model(exported: ExportedPolicy, kind: Any, env: Any, settings: dict[str, Any]) -> Any:
    """Return a learner of stable-baselines3 with untrained networks of the policy's sizes.

    Args:
        exported: the policy.
        kind: its class, for example `stable_baselines3.DQN`.
        env: the environment.
        settings: further arguments.
    """
    import torch

    config = exported.config
    optimizer: dict[str, Any] = {"optimizer_class": torch.optim.SGD} if config.optimizer == "sgd" else {}
    policy_kwargs = {
        "net_arch": list(config.hidden), "activation_fn": torch.nn.ReLU, "normalize_images": False,
        "optimizer_kwargs": optimizer_options(exported)[0], **optimizer,
    }  # fmt: skip
    try:
        return kind("MlpPolicy", env, device="cpu", buffer_size=1, **settings, policy_kwargs=policy_kwargs)
    except Exception as error:  # whatever its checks of spaces raise
        raise unusable(exported, f"{type(error).__name__}: {error}") from None


def packed(exported: ExportedPolicy, model: Any, differences: str) -> Archive:
    """Return the archive of a model whose networks are in place."""
    # These two are set afterwards, so that neither a buffer of this size nor the environments are allocated here.
    model.buffer_size, model.n_envs = exported.config.memory_size, exported.config.num_envs
    model.softstep_differences = differences
    archive = io.BytesIO()
    model.save(archive)
    return Archive(archive.getvalue(), differences)


def fill(modules: Sequence[Any], layers: Sequence[tuple[np.ndarray, np.ndarray]], order: np.ndarray) -> None:
    """Copy layers into linear modules.

    Args:
        modules: the modules.
        layers: weights (out, in) and biases (out,).
        order: which input of the first layer each input of the first module is.
    """
    import torch

    with torch.no_grad():
        for number, (module, (weight, bias)) in enumerate(zip(modules, layers, strict=True)):
            module.weight.copy_(torch.tensor(weight if number else weight[:, order]))
            module.bias.copy_(torch.tensor(bias))


def linear_modules(network: Any) -> list[Any]:
    """Return the linear layers of a network, in order."""
    import torch

    return [module for module in network.modules() if isinstance(module, torch.nn.Linear)]


def input_order(exported: ExportedPolicy, space: Any, model: Any, extract: Callable[[Any], Any]) -> np.ndarray:
    """Return which number of the run's observation each input of stable-baselines3's networks is.

    It turns pictures to channels first. That its networks see the run's numbers in this order is tried on observations
    of the space.

    Args:
        exported: the policy.
        space: the environment's observations.
        model: the learner of stable-baselines3.
        extract: tensor of observations → what its networks see.

    Raises:
        ConfigError: its networks see something else.
    """
    import torch
    from stable_baselines3.common.preprocessing import maybe_transpose

    size = exported.sizes[0]
    if math.prod(space.shape or ()) != size:
        raise unusable(exported, f"its observations are {space}, and the run's are {size} numbers")
    order = maybe_transpose(np.arange(size).reshape(space.shape), model.observation_space).ravel()
    space.seed(0)
    observations = np.stack([space.sample() for _ in range(_TRIED_OBSERVATIONS)])
    try:
        with torch.no_grad():
            tensor, _ = model.policy.obs_to_tensor(observations)
            seen = extract(tensor).numpy()
    except Exception as error:
        raise unusable(exported, f"{type(error).__name__}: {error}") from None
    if not np.array_equal(seen, observations.reshape(len(observations), -1).astype(np.float32)[:, order]):
        raise unusable(exported, f"its networks do not see the numbers of {space} as they are")
    return order


def unusable(exported: ExportedPolicy, reason: str) -> ConfigError:
    """Return the error that stable-baselines3 cannot act in the run's environment as the run did."""
    name, reason = exported.policy.spec.name, " ".join(reason.split())
    return ConfigError(
        f"export --to sb3: stable-baselines3 cannot act in {name} as the run did: {reason}; use torch, onnx or jax"
    )


def inexpressible(reason: str) -> ConfigError:
    """Return the error that stable-baselines3 has no such target update."""
    return ConfigError(f"export --to sb3: stable-baselines3 cannot express the run's target update: {reason}")


def shared_settings(exported: ExportedPolicy) -> dict[str, Any]:
    """Return the arguments that all of stable-baselines3's off-policy learners have, except for the target's."""
    config, agent = exported.config, exported.agent
    return {
        "learning_rate": agent.learning_rate * learning_rate_factor(exported),
        "gamma": agent.gamma,
        "batch_size": config.batch_size,
        "learning_starts": config.learning_starts,
        "replay_buffer_kwargs": {"handle_timeout_termination": not config.time_limit_is_terminal},
    }


def shared_differences(exported: ExportedPolicy) -> Iterator[str]:
    """Name what training on with any of its learners does differently."""
    config = exported.config
    if config.optimizer not in ("adam", "sgd"):
        yield f"its optimizer is Adam, not {config.optimizer}"
    elif dropped := optimizer_options(exported)[1]:
        yield f"its optimizer has no {', '.join(dropped)}"
    if config.reward_scale != 1:
        yield f"its rewards are not scaled by {config.reward_scale:g}: wrap the environment"
    if config.learning_rate_decay != 1 and exported.env_steps < config.learning_rate_decay_steps:
        yield "its learning rate stays where the run's decay stands"
    if config.num_envs > 1:
        yield f"it steps one environment unless loaded with {config.num_envs}"


def one_line(found: Iterator[str]) -> str:
    """Return one line of all differences; empty if there are none."""
    listed = "; ".join(found)
    return f"stable-baselines3 continues this run with other settings: {listed}" if listed else ""


def target_update(exported: ExportedPolicy, library: str) -> Translation:
    """Return the run's target update in the settings of one of stable-baselines3's learners.

    Args:
        exported: the policy.
        library: the learner's name in `softstep.conventions`, for example `sb3-sac`.

    Raises:
        ConfigError: the target is harmonic.
    """
    config, update = exported.config, exported.agent.target
    if update.schedule == "harmonic":
        raise inexpressible("it is harmonic, and its τ falls with the gradient steps; use torch, onnx or jax")
    meaning = conventions.read("softstep", {
        "target.tau": update.tau, "target.period": update.period, "num_envs": config.num_envs,
        "train_every": config.train_every, "gradient_steps": config.gradient_steps,
    })  # fmt: skip
    return next(translation for translation in conventions.translate(meaning) if translation.library == library)


def optimizer_options(exported: ExportedPolicy) -> tuple[dict[str, Any], list[str]]:
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


def learning_rate_factor(exported: ExportedPolicy) -> float:
    """Return the factor on α at the checkpoint."""
    return round(float(run_schedules(exported).learning_rate_factor[0]), 6)


def run_schedules(exported: ExportedPolicy) -> Schedules:
    """Return the run's schedules at the checkpoint."""
    config = exported.config
    exploration = exploration_arrays([exported.agent.exploration], config.num_envs)
    return schedules(config, exploration, exported.env_steps // config.steps_per_iteration, 1)
