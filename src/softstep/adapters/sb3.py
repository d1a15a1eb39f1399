"""Target updates in stable-baselines3: any `TargetUpdate` in its DQN, DDPG, TD3 or SAC, counted in gradient steps.

    model = stable_baselines3.DQN("MlpPolicy", "CartPole-v1")
    model.learn(50_000, callback=TargetCallback(TargetUpdate(tau=0.005)))

stable-baselines3 counts DQN's target updates in environment steps (`target_update_interval`, divided by the number of
environments), and TD3's in delayed actor steps. The callback disables these updates during training.
"""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from softstep.adapters.torch import soft_update
from softstep.target import TargetUpdate


class TargetCallback(BaseCallback):
    """A callback that updates the model's target networks after every `update.period`-th gradient step of the critic.

    An actor's target (DDPG, TD3) is updated at the same gradient steps, after the actor's own step if there is one.
    During training the model's own `tau` is 0, also in a model that is saved meanwhile; afterwards it is restored.
    Training a model without target networks raises ValueError.
    """

    def __init__(self, update: TargetUpdate, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.update, self.gradient_steps = update, 0
        self._hooks: list[Any] = []

    def _on_training_start(self) -> None:
        model: Any = self.model
        if self._hooks:
            self._on_training_end()  # the last training was interrupted
        if hasattr(model, "q_net_target"):
            self._hook(model.policy.optimizer, self._after_critic_step)
        elif hasattr(model, "critic_target"):
            self._hook(model.critic.optimizer, self._after_critic_step)
            if hasattr(model, "actor_target"):
                self._hook(model.actor.optimizer, self._after_actor_step)
        else:
            raise ValueError(f"{type(model).__name__} has no target network: use DQN, DDPG, TD3 or SAC")
        self._tau, model.tau = model.tau, 0.0  # an update with τ = 0 changes no parameter

    def _hook(self, optimizer: Any, after_step: Any) -> None:
        self._hooks.append(optimizer.register_step_post_hook(lambda *_: after_step()))

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self.model.tau = self._tau  # type: ignore[attr-defined]

    @property
    def _is_due(self) -> bool:
        return self.gradient_steps % self.update.period == 0

    def _after_critic_step(self) -> None:
        model: Any = self.model
        self.gradient_steps += 1
        if not self._is_due:
            return
        if hasattr(model, "q_net_target"):
            self._soft_update(model.q_net_target, model.q_net)
            return
        self._soft_update(model.critic_target, model.critic)
        if hasattr(model, "actor_target") and model._n_updates % model.policy_delay:
            self._soft_update(model.actor_target, model.actor)  # the actor itself does not step this time

    def _after_actor_step(self) -> None:
        model: Any = self.model
        if self._is_due:
            self._soft_update(model.actor_target, model.actor)

    def _soft_update(self, target: nn.Module, online: nn.Module) -> None:
        soft_update(target, online, self.update.tau)
