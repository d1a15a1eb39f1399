"""Export a policy as an archive of stable-baselines3, with the settings of its run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from softstep.envs import make_gymnasium
from softstep.errors import ConfigError
from softstep.extras import required_by
from softstep.policies.exported_policy import ExportedPolicy
from softstep.policies.sb3_actor_critic import actor_critic_archive
from softstep.policies.sb3_shared import (
    Archive,
    fill,
    inexpressible,
    input_order,
    linear_modules,
    make_model,
    one_line,
    packed,
    run_schedules,
    shared_differences,
    shared_settings,
    target_update,
    unusable,
)


def sb3_archive(exported: ExportedPolicy) -> Archive:
    """Return an archive for the `load` of `stable_baselines3.DQN`, or of DDPG, TD3 or SAC.

    Both networks of a DQN are the policy's. The line of differences is also the attribute `softstep_differences` of the
    loaded model.

    Raises:
        ConfigError: stable-baselines3 is not installed, cannot express the target update, or shows its networks
            something else than the run's saw; or Gymnasium does not have the environment.
    """
    with required_by("export --to sb3"):
        import gymnasium
        import stable_baselines3 as sb3
    spec = exported.policy.spec
    try:
        env = make_gymnasium(spec)
    except gymnasium.error.Error as error:
        raise ConfigError(f"export --to sb3 needs {spec.name} in Gymnasium: {error}; use torch, onnx or jax") from None
    if exported.config.continuous:
        kinds = {"ddpg": sb3.DDPG, "td3": sb3.TD3, "sac": sb3.SAC}
        return actor_critic_archive(exported, kinds[exported.config.algorithm], env)
    return _dqn_archive(exported, sb3.DQN, env)


def _dqn_archive(exported: ExportedPolicy, dqn: Any, env: Any) -> Archive:
    """Return an archive of a `DQN` for an environment."""
    model = make_model(exported, dqn, env, dict(dqn_settings(exported)))
    actions, count = env.action_space, exported.sizes[-1]
    if int(getattr(actions, "start", 0)) != 0 or getattr(actions, "n", None) != count:
        raise unusable(exported, f"its actions are {actions}, and the run's are 0 to {count - 1}")
    extractor = model.q_net.features_extractor
    order = input_order(
        exported, env.observation_space, model, lambda tensor: model.q_net.extract_features(tensor, extractor)
    )
    for network in (model.q_net, model.q_net_target):
        fill(linear_modules(network.q_net), exported.layers, order)
    return packed(exported, model, differences(exported))


def dqn_settings(exported: ExportedPolicy) -> Mapping[str, Any]:
    """Return the arguments of stable-baselines3's DQN that continue the run, except for networks and buffer size."""
    config, agent = exported.config, exported.agent
    translation = target_update(exported, "sb3")
    target = translation.settings
    if target is None:
        raise inexpressible(translation.why)
    return shared_settings(exported) | {
        "tau": target["tau"],
        "target_update_interval": int(target["target_update_interval"]),
        "train_freq": int(target["train_freq"]),
        "gradient_steps": int(target["gradient_steps"]),
        "exploration_initial_eps": _epsilon(exported),
        "exploration_final_eps": agent.exploration.end,
        "exploration_fraction": 1.0,
        "max_grad_norm": math.inf if config.max_grad_norm is None else config.max_grad_norm,
    }


def differences(exported: ExportedPolicy) -> str:
    """Return one line that names what training on in stable-baselines3 does differently; empty if nothing."""
    return one_line(_differences(exported))


def _differences(exported: ExportedPolicy) -> Iterator[str]:
    config, agent = exported.config, exported.agent
    if config.loss != "huber":
        yield f"its loss is Huber's with threshold 1, not {config.loss}"
    target = target_update(exported, "sb3")
    if target.how != "equal":
        yield f"its target update is not equal ({target.how})"
    if agent.blended:
        yield "its target network follows the online network instead of being blended into it"
    if config.double_q:
        yield "it has no double Q-learning"
    yield from shared_differences(exported)
    if agent.exploration.schedule == "geometric":
        yield "its ε is constant at the run's lowest value instead of falling with every episode"
    elif _epsilon(exported) > agent.exploration.end:
        rest = agent.exploration.steps - exported.env_steps
        yield f"its ε falls over the whole of learn(), not over {rest} steps: pass exploration_fraction to load()"


def _epsilon(exported: ExportedPolicy) -> float:
    """Return the run's ε at the checkpoint; under the geometric schedule its lowest value."""
    exploration = exported.agent.exploration
    if exploration.schedule == "geometric":
        return exploration.end
    return max(exploration.end, round(float(run_schedules(exported).epsilon[0, 0, 0]), 6))
