"""Environments of the user whose code runs under the process's own JAX settings, where these are not softstep's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from softstep.envs.contract import EnvSpec, EvaluationEnvs, HostEnvs, Step
from softstep.envs.gymnasium_maker import GymnasiumEnvs, GymnasiumEvaluation
from softstep.jax_settings.pinned import settings_differ, unpinned


@unpinned()
def make_unpinned(spec: EnvSpec, seeds: Sequence[int], num_envs: int) -> HostEnvs:
    """Make `num_envs` Gymnasium environments for each of the agents' `seeds`, and reset them."""
    envs = GymnasiumEnvs(spec, seeds, num_envs)
    return _UnpinnedEnvs(envs) if settings_differ() else envs


@unpinned()
def make_unpinned_evaluation(spec: EnvSpec, agents: int, seeds: Sequence[int]) -> EvaluationEnvs:
    """Make the Gymnasium environments of an evaluation, and start its first episodes."""
    envs = GymnasiumEvaluation(spec, agents, seeds)
    return _UnpinnedEvaluation(envs) if settings_differ() else envs


class _UnpinnedEnvs:
    """Environments of a block whose every call leaves the pinned settings, which takes some 20 µs."""

    def __init__(self, envs: HostEnvs) -> None:
        self._envs, self.spec = envs, envs.spec
        self.observations = envs.observations

    @unpinned()
    def step(self, actions: np.ndarray, keys: Any = None) -> Step:
        """Take one action in every environment."""
        step = self._envs.step(actions, keys)
        self.observations = self._envs.observations
        return step

    @unpinned()
    def snapshot(self) -> dict[str, np.ndarray]:
        """Return the arrays from which `restore` recovers this moment."""
        return self._envs.snapshot()

    @unpinned()
    def restore(self, snapshot: dict[str, np.ndarray]) -> np.ndarray:
        """Return to the moment of `snapshot`; return which environments have started new episodes instead."""
        cut = self._envs.restore(snapshot)
        self.observations = self._envs.observations
        return cut

    @unpinned()
    def close(self) -> None:
        """Close every environment."""
        self._envs.close()


class _UnpinnedEvaluation:
    """Environments of an evaluation whose every call leaves the pinned settings."""

    def __init__(self, envs: EvaluationEnvs) -> None:
        self._envs = envs
        self._read()

    def _read(self) -> None:
        self.observations, self.playing = self._envs.observations, self._envs.playing

    @unpinned()
    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take one action in every episode that is playing; return rewards and whether episodes ended."""
        result = self._envs.step(actions)
        self._read()
        return result

    @unpinned()
    def leave(self, over: np.ndarray) -> None:
        """Leave the episodes that are `over`, and start waiting ones in their place."""
        self._envs.leave(over)
        self._read()

    @unpinned()
    def close(self) -> None:
        """Close every environment."""
        self._envs.close()
