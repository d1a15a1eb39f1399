"""Target updates in stable-baselines3: any `TargetUpdate` in its DQN, DDPG, TD3 or SAC, counted in gradient steps.

    model = stable_baselines3.DQN("MlpPolicy", "CartPole-v1")
    model.learn(50_000, callback=TargetCallback(TargetUpdate(tau=0.005)))

stable-baselines3 counts DQN's target updates in environment steps (`target_update_interval`, divided by the number of
environments), and TD3's in delayed actor steps. The callback disables these updates during training. QR-DQN and TQC of
sb3-contrib are supported too: any off-policy model whose target networks are attributes that end in `_target`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from softstep.extras import required_by

with required_by("softstep.adapters.sb3", extra="sb3"):
    from stable_baselines3.common.callbacks import BaseCallback
    from torch import nn
    from torch.utils.hooks import RemovableHandle

from softstep.adapters.torch import soft_update
from softstep.target import TargetUpdate

_HOOKS: WeakKeyDictionary[Any, list[RemovableHandle]] = WeakKeyDictionary()
"""Models whose targets are updated by callbacks at present, with the callbacks' hooks on their optimizers."""


class TargetCallback(BaseCallback):
    """A callback that updates the model's target networks after every `update.period`-th gradient step of the critic.

    An actor's target (DDPG, TD3) is updated at the same gradient steps, after the actor's own step if there is one.
    During training `model.tau` reads as 0, which disables the model's own updates; `model.save` writes the model's own
    `tau` at any time. The period is counted from the model's first gradient step, so that a loaded model continues in
    the middle of a period. Training a model without target networks raises ValueError.
    """

    gradient_steps: int
    """Gradient steps of the model so far, including those of earlier trainings."""

    def __init__(self, update: TargetUpdate, verbose: int = 0) -> None:
        super().__init__(verbose)
        _ = update.harmonic_steps  # raises ValueError if γ is missing
        self.update, self.gradient_steps = update, 0
        self._targets: dict[str, nn.Module] = {}

    def _on_training_start(self) -> None:
        model: Any = self.model
        self._targets = _target_networks(model)
        critics = [name for name in self._targets if name != "actor"]
        if not critics:
            raise ValueError(f"{type(model).__name__} has no target network: use DQN, QR-DQN, DDPG, TD3, SAC or TQC")
        self.gradient_steps = model._n_updates
        critic = getattr(model, critics[0])
        optimizer = critic.optimizer if hasattr(critic, "optimizer") else model.policy.optimizer
        hooks = [optimizer.register_step_post_hook(lambda *_: self._after_critic_step())]
        if "actor" in self._targets:
            hooks.append(model.actor.optimizer.register_step_post_hook(lambda *_: self._after_actor_step()))
        _suspend_own_updates(model, hooks)

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        _resume_own_updates(self.model)

    @property
    def _is_due(self) -> bool:
        return self.gradient_steps % self.update.period == 0

    def _after_critic_step(self) -> None:
        model: Any = self.model
        self.gradient_steps += 1
        if not self._is_due:
            return
        for name in self._targets:
            if name != "actor" or model._n_updates % model.policy_delay:  # else the actor is still to step
                self._soft_update(name)

    def _after_actor_step(self) -> None:
        if self._is_due:
            self._soft_update("actor")

    def _soft_update(self, name: str) -> None:
        soft_update(self._targets[name], getattr(self.model, name), self.update.tau_at(self.gradient_steps))


def _target_networks(model: Any) -> dict[str, nn.Module]:
    """Return the target networks of a model by the names of the networks that they follow."""
    targets = {name.removesuffix("_target"): value for name, value in vars(model).items() if name.endswith("_target")}
    return {name: value for name, value in targets.items() if isinstance(value, nn.Module) and hasattr(model, name)}


def _suspend_own_updates(model: Any, hooks: Iterable[RemovableHandle]) -> None:
    """Disable the model's own target updates until its training ends or its next one starts, whichever is first."""
    if model not in _HOOKS:
        algorithm: Any = type(model)
        model.__class__ = _with_tau_as_property(algorithm)
        _HOOKS[model] = []
    _HOOKS[model] += hooks


def _resume_own_updates(model: Any) -> None:
    """Remove the callbacks' hooks and enable the model's own target updates again, unless they are enabled."""
    if model in _HOOKS:
        for hook in _HOOKS.pop(model):
            hook.remove()
        model.__class__ = type(model).__base__


@functools.cache
def _with_tau_as_property(algorithm: Any) -> type:
    """Return a subclass whose `tau` reads as 0 while callbacks update the targets: that update changes no parameter.

    The model's own value stays in its `__dict__`, which is what `save` writes. A new training, with or without a
    callback, begins with the model's own updates enabled, even if the last training was interrupted.
    """

    def get_tau(self: Any) -> float:
        own: float = vars(self)["tau"]
        return 0.0 if self in _HOOKS else own

    def set_tau(self: Any, tau: float) -> None:
        vars(self)["tau"] = tau

    def setup_learn(self: Any, *args: Any, **kwargs: Any) -> Any:
        _resume_own_updates(self)
        return self._setup_learn(*args, **kwargs)

    members = {"__module__": algorithm.__module__, "__doc__": algorithm.__doc__}
    members |= {"tau": property(get_tau, set_tau), "_setup_learn": setup_learn}
    return type(algorithm.__name__, (algorithm,), members)
