"""The API: answers are plain JSON, and snippets reproduce them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from softstep.explorer.rooms import endpoints
from softstep.explorer.rooms.endpoints import ENDPOINTS, answer


def test_what_is_not_finite_becomes_null():
    mixed = {"a": np.array([1.0, np.nan]), "b": math.inf, "c": np.array([1 + 2j]), "d": (np.int64(3), np.True_)}
    assert endpoints.plain(mixed) == {"a": [1.0, None], "b": None, "c": [[1.0, 2.0]], "d": [3, True]}


# ---- Python snippets ----

LONG_GRADIENT = {"loss": "own", "formula": "x*sin(" * 17 + "x" + ")" * 17, "alpha": 0.1, "x": 1.0, "steps": 5}
"""A loss whose gradient exceeds `LONGEST_PYTHON`, so that the snippet parses the formula instead."""

STATES: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in ENDPOINTS if name not in ("stories", "atlas")],  # which have no numbers
    *[(name, {"env": "Acrobot-v1"}) for name in ("atlas-map", "atlas-point", "atlas-contenders")],
    ("landscape", {"loss": "valley", "dimensions": 2}),
    ("landscape", {"loss": "own", "formula": "3", "dimensions": 1}),
    ("one-network", {"loss": "own", "dimensions": 2, "formula": "x^2 + sin(3y)*x/2", "alpha": 0.1}),
    ("one-network", {"loss": "own", "formula": "*".join(["sin(x+x*x)"] * 10), "alpha": 0.1}),
    ("one-network", LONG_GRADIENT),
    ("one-network", {"loss": "double-well", "variant": "lookahead", "k": 3, "alpha": 0.2}),
    ("one-network", {"loss": "valley", "variant": "nesterov", "mu": 0.7, "alpha": 0.05}),
    ("two-networks", {"alpha": 0.123, "c": 0.77, "a": -0.3, "b": 0.9, "start": -2, "steps": 33}),
    ("two-networks", {"alpha": 0.3, "c": 0.4, "steps": 50, "schedule": "harmonic", "gamma": 0.7}),
    ("ledger", {"c": 0.77, "at": 12}),
    ("filter", {"c": 0.0}),
    ("filter", {"c": 0.995}),
    ("stability-point", {"problem": "baird", "gamma": 0.99, "alpha": 0.01, "c": 0.995}),
    ("stability-point", {"problem": "own", "phi": [[1], [2]], "P": [[0, 1], [0, 1]], "d": [1, 0], "gamma": 0.3}),
    ("stability-windows", {"problem": "resonance", "alpha": 0.1}),
    ("noise", {"alpha": 8.0}),
    ("atlas-map", {"env": "LunarLander-v3"}),
    ("atlas-point", {"env": "LunarLander-v3", "alpha": 0.002, "c": 0.98}),
    ("atlas-point", {"alpha": 0.5, "c": 0.0}),
    ("noise", {"alpha": 1.2, "c": 0.5, "a": 0.1}),
]


def assert_equal(computed: Any, expected: Any) -> None:
    """Compare the numbers of a snippet with those of the answer, which are JSON."""
    if isinstance(computed, dict):
        for key, value in computed.items():
            assert_equal(value, expected[key])
        return
    if isinstance(expected, dict):  # a path by its coordinates
        computed, expected = list(computed), [expected[key] for key in sorted(expected)]
    left = np.array(endpoints.plain(computed if not isinstance(computed, list) else np.array(computed)), dtype=float)
    right = np.array(expected, dtype=float)
    finite = ~np.isnan(right)
    np.testing.assert_allclose(left[finite], right[finite], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(("name", "values"), STATES)
def test_a_snippet_gives_the_numbers_of_its_answer(name, values):
    result = answer(name, values)
    namespace: dict[str, Any] = {}
    with np.errstate(all="ignore"):
        exec(result["python"], namespace)
    assert namespace["numbers"]
    assert_equal(namespace["numbers"], result)
