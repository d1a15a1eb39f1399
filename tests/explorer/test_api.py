"""The API: parameters are checked, answers are plain JSON, snippets reproduce them, OpenAPI describes them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softstep.explorer.http import openapi
from softstep.explorer.rooms import endpoints
from softstep.explorer.rooms.endpoints import ENDPOINTS, BadParameter, answer
from softstep.explorer.rooms.parameters import Choice, Grid, Number, Row, Text, Whole

# ---- parameters ----

SPECS = [(name, key, spec) for name, endpoint in ENDPOINTS.items() for key, spec in endpoint.parameters.items()]


@pytest.mark.parametrize(("name", "key", "spec"), SPECS, ids=lambda part: part if isinstance(part, str) else "")
def test_what_does_not_fit_is_refused_with_its_value_and_a_way_out(name, key, spec):
    wrong: list[Any] = [None, [], {}, True]
    if isinstance(spec, (Number, Whole)):
        wrong += [spec.low - 1, spec.high + 1, math.nan, math.inf, -math.inf, 10**400, "1"]
    if isinstance(spec, Whole):
        wrong.append(spec.low + 0.5)
    if isinstance(spec, Choice):
        wrong += ["", "other", 1]
    if isinstance(spec, Text):
        wrong += ["x" * (spec.longest + 1), 3]
    if isinstance(spec, Row):
        wrong += [[1.0] * (spec.longest + 1), [spec.high + 1], ["1"], [[1.0]], "1"]
    if isinstance(spec, Grid):
        wrong += [[[1.0]] * (spec.tallest + 1), [[1.0] * (spec.widest + 1)], [[1.0], [1.0, 0.0]], [1.0]]
    for value in wrong:
        with pytest.raises(BadParameter) as refusal:
            answer(name, {key: value})
        assert refusal.value.parameter == key
        assert "\n" not in refusal.value.reason
        assert len(refusal.value.reason) < 200


def test_unknown_parameters_and_endpoints_are_refused():
    with pytest.raises(BadParameter, match="is not a parameter here"):
        answer("filter", {"d": 1})
    with pytest.raises(BadParameter, match="is no JSON object"):
        answer("filter", [1])
    with pytest.raises(KeyError):
        answer("nothing", {})


def given_or_refused(name: str, values: Any) -> tuple[dict[str, Any], BadParameter | None]:
    """The answer, or the refusal; every other error goes on its way."""
    try:
        return answer(name, values), None
    except BadParameter as refusal:
        return {}, refusal


def values_for(spec: Any) -> st.SearchStrategy[Any]:
    """Values that a spec's own schema allows."""
    schema = spec.schema()
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "string":
        return st.text("xy0123456789.+-*/^() sincoexplog", max_size=schema["maxLength"])
    if schema["type"] == "integer":
        return st.integers(schema["minimum"], schema["maximum"])
    if schema["type"] == "number":
        return st.floats(schema["minimum"], schema["maximum"])
    if schema["items"]["type"] == "number":
        return st.lists(values_for(_Part(schema["items"])), min_size=1, max_size=schema["maxItems"])
    rows = st.integers(1, schema["items"]["maxItems"]).flatmap(
        lambda n: st.lists(
            st.lists(values_for(_Part(schema["items"]["items"])), min_size=n, max_size=n), min_size=1, max_size=4
        )
    )
    stochastic = st.integers(1, 5).flatmap(
        lambda n: st.lists(st.sampled_from(np.eye(n).tolist()), min_size=n, max_size=n)
    )
    return rows | stochastic


class _Part:
    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema

    def schema(self) -> dict[str, Any]:
        return self._schema


@pytest.mark.parametrize("name", ENDPOINTS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_the_schema_allows_is_answered_or_refused(name, data):
    """Never another error, and always JSON without NaN that survives the wire."""
    chosen = {}
    for key, spec in ENDPOINTS[name].parameters.items():
        if key == "resolution":
            chosen[key] = 7
        elif data.draw(st.booleans(), label=f"give {key}"):
            chosen[key] = data.draw(values_for(spec), label=key)
    found, refusal = given_or_refused(name, chosen)
    if refusal:
        assert refusal.parameter in ENDPOINTS[name].parameters
        assert "\n" not in refusal.reason
    assert json.loads(json.dumps(found, allow_nan=False)) == found


ANYTHING = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9)


@pytest.mark.parametrize("name", ENDPOINTS)
@given(value=st.recursive(ANYTHING, lambda inner: st.lists(inner, max_size=3)))
@settings(max_examples=30, deadline=None)
def test_any_json_is_answered_or_refused(name, value):
    for key in ENDPOINTS[name].parameters:
        refusal = given_or_refused(name, {key: value})[1]
        assert refusal is None or refusal.parameter == key


def test_what_is_not_finite_becomes_null():
    mixed = {"a": np.array([1.0, np.nan]), "b": math.inf, "c": np.array([1 + 2j]), "d": (np.int64(3), np.True_)}
    assert endpoints.plain(mixed) == {"a": [1.0, None], "b": None, "c": [[1.0, 2.0]], "d": [3, True]}


# ---- Python snippets ----

LONG_GRADIENT = {"loss": "own", "formula": "x*sin(" * 17 + "x" + ")" * 17, "alpha": 0.1, "x": 1.0, "steps": 5}
"""A loss whose gradient exceeds `LONGEST_PYTHON`, so that the snippet parses the formula instead."""

STATES: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in ENDPOINTS if name != "stories"],
    ("landscape", {"loss": "valley", "dimensions": 2}),
    ("landscape", {"loss": "own", "formula": "3", "dimensions": 1}),
    ("one-network", {"loss": "own", "dimensions": 2, "formula": "x^2 + sin(3y)*x/2", "alpha": 0.1}),
    ("one-network", {"loss": "own", "formula": "*".join(["sin(x+x*x)"] * 10), "alpha": 0.1}),
    ("one-network", LONG_GRADIENT),
    ("one-network", {"loss": "double-well", "variant": "lookahead", "k": 3, "alpha": 0.2}),
    ("one-network", {"loss": "valley", "variant": "nesterov", "mu": 0.7, "alpha": 0.05}),
    ("two-networks", {"alpha": 0.123, "c": 0.77, "a": -0.3, "b": 0.9, "start": -2, "steps": 33}),
    ("ledger", {"c": 0.77, "at": 12}),
    ("filter", {"c": 0.0}),
    ("filter", {"c": 0.995}),
    ("stability-point", {"problem": "baird", "gamma": 0.99, "alpha": 0.01, "c": 0.995}),
    ("stability-point", {"problem": "own", "phi": [[1], [2]], "P": [[0, 1], [0, 1]], "d": [1, 0], "gamma": 0.3}),
    ("stability-windows", {"problem": "resonance", "alpha": 0.1}),
    ("noise", {"alpha": 8.0}),
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


# ---- OpenAPI ----


def test_the_description_covers_every_endpoint_and_takes_further_paths():
    document = openapi.document({"/api/live": {"post": {}}}, {"Live": {"type": "object"}})
    assert set(document["paths"]) == {*(f"/api/{name}" for name in ENDPOINTS), "/api/live"}
    assert set(document["components"]["schemas"]) == {"Error", "Live"}
    for name in ENDPOINTS:
        operation = document["paths"][f"/api/{name}"]["post"]
        assert {"200", "413", "422"} <= set(operation["responses"])
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert set(schema["properties"]) == set(ENDPOINTS[name].parameters)
        defaults = {key: part["default"] for key, part in schema["properties"].items()}
        assert answer(name, defaults)
    assert json.loads(json.dumps(document)) == document
