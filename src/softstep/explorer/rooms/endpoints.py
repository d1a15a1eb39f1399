"""The explorer's endpoints: each maps a dictionary of parameters to a dictionary of results, without side effects.

`answer(name, values)` checks the values against the endpoint's parameters, computes the results, and returns them as
plain JSON values: complex numbers as [re, im], and None for numbers that are not finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from softstep.explorer.rooms import atlas, noise, one_network, stability, stories, two_networks
from softstep.explorer.rooms.parameters import BadParameter, Parameters, read

__all__ = ["ENDPOINTS", "BadParameter", "Endpoint", "answer"]


class Endpoint(NamedTuple):
    """One endpoint: a summary, its parameters, and the function that computes its results."""

    summary: str
    parameters: type[Parameters]
    answer: Callable[..., dict[str, Any]]


ENDPOINTS: Mapping[str, Endpoint] = {
    "landscape": Endpoint(
        "The loss of room 1 over the plotted range.", one_network.LossParameters, one_network.landscape
    ),
    "one-network": Endpoint(
        "Descent at α, the soft update of one network, and descent at (1−c)·α.",
        one_network.PathParameters,
        one_network.descent_paths,
    ),
    "two-networks": Endpoint(
        "QN and TQN beside the single network at (1−c)·α, step by step.",
        two_networks.StepParameters,
        two_networks.simulate,
    ),
    "ledger": Endpoint(
        "The share of each past step that has arrived in TQN.", two_networks.LedgerParameters, two_networks.ledger
    ),
    "filter": Endpoint(
        "The target as a low-pass filter of QN.", two_networks.FilterParameters, two_networks.low_pass_filter
    ),
    "stories": Endpoint("The stories of the stability room.", Parameters, stories.stories),
    "problem": Endpoint(
        "Φ, P, d of a problem and its two limits.", stability.ProblemParameters, stability.describe_problem
    ),
    "stability-map": Endpoint(
        "Growth over (α, 1−c) with the exact stability boundary.", stability.MapParameters, stability.growth_map
    ),
    "stability-point": Endpoint(
        "Growth, eigenvalues and a trajectory at one pair (α, c).", stability.PointParameters, stability.point
    ),
    "stability-windows": Endpoint(
        "Exact stable intervals of α and of c through one pair.", stability.WindowParameters, stability.windows
    ),
    "noise": Endpoint(
        "Rate against variance for Q, T and single networks.", noise.NoiseParameters, noise.rate_and_variance
    ),
    "atlas": Endpoint("The measured environments.", Parameters, atlas.environments),
    "atlas-map": Endpoint(
        "Measured returns over (α, c) in one environment.", atlas.EnvironmentParameters, atlas.measured_map
    ),
    "atlas-contenders": Endpoint(
        "What the atlas's contenders reached in one environment.", atlas.EnvironmentParameters, atlas.contenders
    ),
    "atlas-point": Endpoint(
        "What was measured nearest to one pair (α, c), and what softstep advise says about it.",
        atlas.PairParameters,
        atlas.point,
    ),
}
"""Every endpoint, keyed by the last part of its path."""


def answer(name: str, values: Any) -> dict[str, Any]:
    """Return an endpoint's results as plain JSON values.

    Raises:
        KeyError: There is no endpoint `name`.
        BadParameter: A value is invalid.
    """
    endpoint = ENDPOINTS[name]
    result: dict[str, Any] = plain(endpoint.answer(**msgspec.structs.asdict(read(endpoint.parameters, values))))
    return result


def plain(value: Any) -> Any:
    """Convert arrays to lists, complex numbers to [re, im], and numbers that are not finite to None."""
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
    values = array.astype(object)
    values[~np.isfinite(array)] = None
    return values.tolist()
