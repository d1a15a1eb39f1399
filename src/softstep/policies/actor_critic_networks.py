"""The networks of one agent with an actor (DDPG, TD3, SAC), from its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from softstep.learner.networks import Network

Parameters = tuple[np.ndarray, ...]
"""Weights (out, in) and biases (out,) in turn; those of critics are stacked, (C, …)."""


class ActorCriticNetworks(NamedTuple):
    """All networks, as training left them."""

    actor: Parameters
    critics: Parameters
    """Their inputs are the observation and the action in [−1, 1], side by side."""
    target_actor: Parameters
    """Empty, (), for SAC, whose actor has no target."""
    target_critics: Parameters
    log_temperature: float | None
    """None for DDPG and TD3."""


def read_networks(arrays: Mapping[str, np.ndarray], network: Network, slot: int) -> ActorCriticNetworks:
    """Read the networks of a block's agent from the arrays of a checkpoint.

    Args:
        arrays: the checkpoint's arrays, with a leading agent axis.
        network: the actor; the critics have as many layers.
        slot: the agent's place in the block.
    """

    def parameters(folder: str) -> Parameters:
        names = [f"learner/{folder}/{name}" for name in network.parameter_names]
        return tuple(arrays[name][slot] for name in names if name in arrays)

    log_temperature = arrays.get("learner/online/log_temperature/0")
    return ActorCriticNetworks(
        actor=parameters("online/actor"),
        critics=parameters("online/critics"),
        target_actor=parameters("target/actor"),
        target_critics=parameters("target/critics"),
        log_temperature=None if log_temperature is None else float(log_temperature[slot]),
    )


def layers_of(parameters: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weights and biases in pairs, layer by layer."""
    return list(zip(parameters[::2], parameters[1::2], strict=True))
