"""Target updates in stable-baselines3: any `TargetUpdate` in its DQN, DDPG, TD3 or SAC, counted in gradient steps.

    model = stable_baselines3.DQN("MlpPolicy", "CartPole-v1")
    model.learn(50_000, callback=TargetCallback(TargetUpdate(tau=0.005)))

stable-baselines3 counts DQN's target updates in environment steps (`target_update_interval`, divided by the number of
environments), and TD3's in delayed actor steps. The callback switches its own updates off while it trains.
"""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from softstep.adapters.torch import soft_update
from softstep.target import TargetUpdate


class TargetCallback(BaseCallback):
    """Makes the model's target networks follow as `update` says: after every `period`-th gradient step of the critic.

    An actor's target (DDPG, TD3) moves at the same gradient steps, after the actor's own step where it makes one. While
    it trains the model's own `tau` is 0, also in a model saved meanwhile; at the end it is what it was.
    Errors: ValueError for a model without target networks.
    """

    def __init__(self, update: TargetUpdate, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.update, self.gradient_steps = update, 0
        self._hooks: list[Any] = []

    def _on_training_start(self) -> None:
        model: Any = self.model
        if self._hooks:
            self._on_training_end()  # the last training was broken off
        if hasattr(model, "q_net_target"):
            self._follow(model.policy.optimizer, self._critic_stepped)
        elif hasattr(model, "critic_target"):
            self._follow(model.critic.optimizer, self._critic_stepped)
            if hasattr(model, "actor_target"):
                self._follow(model.actor.optimizer, self._actor_stepped)
        else:
            raise ValueError(f"{type(model).__name__} has no target network: use DQN, DDPG, TD3 or SAC")
        self._tau, model.tau = model.tau, 0.0  # an update with τ = 0 changes no parameter

    def _follow(self, optimizer: Any, stepped: Any) -> None:
        self._hooks.append(optimizer.register_step_post_hook(lambda *_: stepped()))

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self.model.tau = self._tau  # type: ignore[attr-defined]

    @property
    def _fires(self) -> bool:
        return self.gradient_steps % self.update.period == 0

    def _critic_stepped(self) -> None:
        model: Any = self.model
        self.gradient_steps += 1
        if not self._fires:
            return
        if hasattr(model, "q_net_target"):
            self._move(model.q_net_target, model.q_net)
            return
        self._move(model.critic_target, model.critic)
        if hasattr(model, "actor_target") and model._n_updates % model.policy_delay:
            self._move(model.actor_target, model.actor)  # it makes no step of its own this time

    def _actor_stepped(self) -> None:
        model: Any = self.model
        if self._fires:
            self._move(model.actor_target, model.actor)

    def _move(self, target: nn.Module, online: nn.Module) -> None:
        soft_update(target, online, self.update.tau)
