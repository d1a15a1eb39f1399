"""Export a policy as an archive of stable-baselines3."""

from __future__ import annotations

import io

from softstep.errors import ConfigError
from softstep.policies.exported_policy import ExportedPolicy


def sb3_archive(exported: ExportedPolicy) -> bytes:
    """Return an archive for `stable_baselines3.DQN.load`, both of whose networks are the policy's.

    Raises:
        ConfigError: stable-baselines3 is not installed, or Gymnasium does not have the environment.
    """
    try:
        import gymnasium
        import torch
        from stable_baselines3 import DQN
    except ImportError:
        raise ConfigError("export --to sb3 needs stable-baselines3: pip install 'softstep[sb3]'") from None
    policy, config = exported.policy, exported.config
    try:
        env = gymnasium.make(policy.spec.name)
    except gymnasium.error.Error as error:
        raise ConfigError(
            f"export --to sb3 needs {policy.spec.name} in Gymnasium: {error}; use torch or onnx"
        ) from None
    model = DQN(
        "MlpPolicy", env, learning_rate=policy.agent.learning_rate, gamma=policy.agent.gamma,
        batch_size=config.batch_size, buffer_size=1, device="cpu",
        policy_kwargs={"net_arch": list(config.hidden), "activation_fn": torch.nn.ReLU},
    )  # fmt: skip
    for network in (model.q_net, model.q_net_target):
        linear_layers = [module for module in network.q_net if isinstance(module, torch.nn.Linear)]
        with torch.no_grad():
            for module, (weight, bias) in zip(linear_layers, exported.layers, strict=True):
                module.weight.copy_(torch.tensor(weight))
                module.bias.copy_(torch.tensor(bias))
    model.buffer_size = config.memory_size  # set afterwards, so that no buffer of this size is allocated here
    archive = io.BytesIO()
    model.save(archive)
    return archive.getvalue()
