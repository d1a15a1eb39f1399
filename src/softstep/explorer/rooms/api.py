"""The explorer's questions and answers: a dictionary in, a dictionary out, and nothing else.

`answer(name, values)` checks the values against the endpoint's parameters, computes, and gives what JSON can hold:
complex numbers as [re, im], and null for what is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from softstep.explorer.rooms import noise, one_network, stability, stories, two_networks
from softstep.explorer.rooms.parameters import BadParameter, Parameters, read

__all__ = ["ENDPOINTS", "BadParameter", "Endpoint", "answer"]


class Endpoint(NamedTuple):
    """One question: what it asks, what it accepts, and the function that answers it."""

    summary: str
    parameters: type[Parameters]
    answer: Callable[..., dict[str, Any]]


ENDPOINTS: Mapping[str, Endpoint] = {
    "landscape": Endpoint("The loss of room 1 over the picture.", one_network.LossParameters, one_network.landscape),
    "one-network": Endpoint(
        "Descent at α, the soft update of one network, and descent at (1−c)·α.",
        one_network.PathParameters,
        one_network.walk,
    ),
    "two-networks": Endpoint(
        "QN and TQN beside the single network at (1−c)·α, step by step.",
        two_networks.StepParameters,
        two_networks.steps,
    ),
    "ledger": Endpoint(
        "How much of each past step has arrived in TQN.", two_networks.LedgerParameters, two_networks.ledger
    ),
    "filter": Endpoint("The target as a low-pass filter of QN.", two_networks.FilterParameters, two_networks.low_pass),
    "stories": Endpoint("The stories of the stability room.", Parameters, stories.stories),
    "problem": Endpoint("Φ, P, d of a problem and its two limits.", stability.ProblemParameters, stability.ingredients),
    "stability-map": Endpoint(
        "Growth over (α, 1−c) with its exact boundary.", stability.MapParameters, stability.growth_map
    ),
    "stability-point": Endpoint(
        "Growth, eigenvalues and a trajectory at one pair.", stability.PointParameters, stability.point
    ),
    "stability-windows": Endpoint(
        "Exact stable intervals through one pair.", stability.WindowParameters, stability.windows
    ),
    "noise": Endpoint("Rate against variance for Q, T and single networks.", noise.NoiseParameters, noise.trade),
}
"""Every question the page may ask, by the last part of its path."""


def answer(name: str, values: Any) -> dict[str, Any]:
    """The answer of an endpoint as plain JSON values. KeyError for an unknown name, BadParameter for a bad value."""
    endpoint = ENDPOINTS[name]
    result: dict[str, Any] = plain(endpoint.answer(**msgspec.structs.asdict(read(endpoint.parameters, values))))
    return result


def plain(value: Any) -> Any:
    """Arrays as lists, complex numbers as [re, im], what is not finite as None."""
    if isinstance(value, np.ndarray):
        return _plain_array(value)
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, complex):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _plain_array(array: Any) -> Any:
    if np.iscomplexobj(array):
        return _plain_array(np.stack([array.real, array.imag], axis=-1))
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array.tolist()
    held = array.astype(object)
    held[~np.isfinite(array)] = None
    return held.tolist()
