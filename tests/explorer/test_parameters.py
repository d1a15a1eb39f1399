"""The endpoints' parameters: decoded, refused in one line, and described in OpenAPI, all from one declaration."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softstep.explorer.http import openapi
from softstep.explorer.rooms.endpoints import ENDPOINTS, BadParameter, answer
from softstep.explorer.rooms.parameters import Parameters

SCHEMAS = openapi.document({})["components"]["schemas"]


def parameters_of(name: str) -> dict[str, Any]:
    """The JSON schema of each parameter of an endpoint, as the description shows it."""
    return SCHEMAS[ENDPOINTS[name].parameters.__name__]["properties"]


def wrong_values(schema: dict[str, Any]) -> list[Any]:
    """Values that a JSON schema forbids."""
    wrong: list[Any] = [None, {}, True]
    if "enum" in schema:
        return [*wrong, [], "", "other", 1, "\ud800"]
    if schema["type"] == "string":
        return [*wrong, [], "x" * (schema["maxLength"] + 1), 3]
    if schema["type"] in ("number", "integer"):
        wrong += [[], schema["minimum"] - 1, schema["maximum"] + 1, math.nan, math.inf, -math.inf, 10**400, "1"]
        return [*wrong, schema["minimum"] + 0.5] if schema["type"] == "integer" else wrong
    fitting = [1.0] if schema["items"]["type"] == "number" else [[1.0]]
    wrong += [[], fitting * (schema["maxItems"] + 1), "1", 1, *([value] for value in wrong_values(schema["items"]))]
    return wrong if schema["items"]["type"] == "number" else [*wrong, [[1.0], [1.0, 0.0]]]


PARAMETERS = [(name, *parameter) for name in ENDPOINTS for parameter in parameters_of(name).items()]


@pytest.mark.parametrize(("name", "key", "schema"), PARAMETERS, ids=lambda part: part if isinstance(part, str) else "")
def test_invalid_values_are_refused_in_one_line(name, key, schema):
    wrong = wrong_values(schema)
    for value in wrong:
        with pytest.raises(BadParameter) as refusal:
            answer(name, {key: value})
        assert refusal.value.parameter == key
        assert "\n" not in refusal.value.reason
        assert len(refusal.value.reason) < 200


def test_unknown_parameters_and_endpoints_are_refused():
    with pytest.raises(BadParameter, match="is not a parameter here"):
        answer("filter", {"d": 1})
    with pytest.raises(BadParameter, match="is not a JSON object"):
        answer("filter", [1])
    with pytest.raises(BadParameter, match="known are none"):
        answer("stories", {"x": 1})
    with pytest.raises(KeyError):
        answer("nothing", {})


REASONS = [
    ("filter", {"c": 7}, "c", "7 is out of range: give a number from 0 to 0.9999"),
    ("filter", {"c": "7"}, "c", "'7' is not a number: give one from 0 to 0.9999"),
    ("ledger", {"at": 1.5}, "at", "1.5 is not an integer: give one from 0 to 2100"),
    ("landscape", {"loss": "hill"}, "loss", "'hill' is not offered: choose one of bowl, valley, double-well, own"),
    ("landscape", {"formula": 3}, "formula", "3 is not text: write at most 120 characters"),
    ("landscape", {"formula": "x" * 121}, "formula", "121 characters are too many: use at most 120"),
    ("problem", {"d": [101]}, "d", "101 is out of range: give a number from 0 to 100"),
    ("problem", {"d": "x"}, "d", "'x' is not a list: give 1 to 8 numbers"),
    ("problem", {"d": [1] * 9}, "d", "9 numbers do not fit: give 1 to 8"),
    ("problem", {"phi": [[1], ["2"]]}, "phi", "'2' is not a number: give one from -100 to 100"),
    ("problem", {"phi": []}, "phi", "0 rows of numbers do not fit: give 1 to 8"),
    ("problem", {"P": [[1], [1, 0]]}, "P", "rows have 1 to 2 numbers: make them equal"),
]


@pytest.mark.parametrize(("name", "values", "parameter", "reason"), REASONS)
def test_the_reason_names_the_value_and_what_fits(name, values, parameter, reason):
    with pytest.raises(BadParameter) as refusal:
        answer(name, values)
    assert (refusal.value.parameter, refusal.value.reason) == (parameter, reason)


def test_values_nested_too_deeply_are_refused():
    nested: list[Any] = []
    for depth in range(1, 1500):
        nested = [nested]
        if depth > 800:
            with pytest.raises(BadParameter) as refusal:
                answer("problem", {"d": nested})
            assert refusal.value.parameter in ("d", "body")


def test_a_float_without_a_fraction_is_an_integer():
    assert answer("ledger", {"at": 12.0}) == answer("ledger", {"at": 12})


def given_or_refused(name: str, values: Any) -> tuple[dict[str, Any], BadParameter | None]:
    """Return the answer, or the refusal; let every other error pass."""
    try:
        return answer(name, values), None
    except BadParameter as refusal:
        return {}, refusal


def values_for(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a parameter's schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "string":
        return st.text("xy0123456789.+-*/^() sincoexplog", max_size=schema["maxLength"])
    if schema["type"] == "integer":
        return st.integers(schema["minimum"], schema["maximum"])
    if schema["type"] == "number":
        return st.floats(schema["minimum"], schema["maximum"])
    if schema["items"]["type"] == "number":
        return st.lists(values_for(schema["items"]), min_size=1, max_size=schema["maxItems"])
    rows = st.integers(1, schema["items"]["maxItems"]).flatmap(
        lambda n: st.lists(
            st.lists(values_for(schema["items"]["items"]), min_size=n, max_size=n), min_size=1, max_size=4
        )
    )
    stochastic = st.integers(1, 5).flatmap(
        lambda n: st.lists(st.sampled_from(np.eye(n).tolist()), min_size=n, max_size=n)
    )
    return rows | stochastic


@pytest.mark.parametrize("name", ENDPOINTS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_values_that_the_schema_allows_are_answered_or_refused(name, data):
    """Raise no other error, and answer with JSON that has no NaN and survives a round trip."""
    chosen = {}
    for key, schema in parameters_of(name).items():
        if key == "resolution":
            chosen[key] = 7
        elif data.draw(st.booleans(), label=f"give {key}"):
            chosen[key] = data.draw(values_for(schema), label=key)
    found, refusal = given_or_refused(name, chosen)
    if refusal:
        assert refusal.parameter in parameters_of(name)
        assert "\n" not in refusal.reason
    assert json.loads(json.dumps(found, allow_nan=False)) == found


ANYTHING = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9)


@pytest.mark.parametrize("name", ENDPOINTS)
@given(value=st.recursive(ANYTHING, lambda inner: st.lists(inner, max_size=3)))
@settings(max_examples=30, deadline=None)
def test_any_json_is_answered_or_refused(name, value):
    for key in parameters_of(name):
        refusal = given_or_refused(name, {key: value})[1]
        assert refusal is None or refusal.parameter == key


def test_the_openapi_description_covers_every_endpoint_and_other_routes():
    class LiveParameters(Parameters):
        alpha: float = 1.0

    document = openapi.document({"/api/live": {"post": {}}}, (LiveParameters,))
    assert set(document["paths"]) == {*(f"/api/{name}" for name in ENDPOINTS), "/api/live"}
    schemas = document["components"]["schemas"]
    assert {"Error", "LiveParameters"} < set(schemas)
    for name in ENDPOINTS:
        operation = document["paths"][f"/api/{name}"]["post"]
        assert {"200", "413", "422"} <= set(operation["responses"])
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        schema = schemas[reference.rpartition("/")[2]]
        assert set(schema["properties"]) == set(ENDPOINTS[name].parameters.__struct_fields__)
        assert all("description" in part for part in schema["properties"].values())
        defaults = {key: part["default"] for key, part in schema["properties"].items()}
        assert answer(name, defaults) == answer(name, {})
    assert json.loads(json.dumps(document, allow_nan=False)).keys() == document.keys()
