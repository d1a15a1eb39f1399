"""A description of the explorer's HTTP interface, generated from the endpoints themselves."""

from __future__ import annotations

from collections.abc import Mapping

import softstep
from softstep.explorer.rooms.endpoints import ENDPOINTS, Endpoint
from softstep.explorer.rooms.parameters import JSON, schema_of

ERROR: JSON = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"parameter": {"type": "string"}, "reason": {"type": "string"}},
            "required": ["parameter", "reason"],
        }
    },
    "required": ["error"],
}
"""What a refused request gets: which parameter, and one line that says why."""


def document(more_paths: Mapping[str, JSON] | None = None, more_schemas: Mapping[str, JSON] | None = None) -> JSON:
    """An OpenAPI 3.1 document: POST /api/<name> for every endpoint, and whatever else the server offers."""
    paths = {f"/api/{name}": {"post": _operation(name, endpoint)} for name, endpoint in ENDPOINTS.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "softstep explorer",
            "version": softstep.__version__,
            "summary": "α and c: what soft target updates do, as numbers.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {**paths, **(more_paths or {})},
        "components": {"schemas": {"Error": ERROR, **(more_schemas or {})}},
    }


def _operation(name: str, endpoint: Endpoint) -> JSON:
    body = {"content": {"application/json": {"schema": schema_of(endpoint.parameters)}}}
    return {
        "operationId": name,
        "summary": endpoint.summary,
        "requestBody": {"required": True, **body},
        "responses": {
            "200": {
                "description": "The numbers; null stands for what is not finite, [re, im] for complex numbers.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "413": refusal("The body is too large."),
            "422": refusal("A parameter cannot be used."),
        },
    }


def refusal(description: str) -> JSON:
    """A response that carries an error."""
    schema = {"schema": {"$ref": "#/components/schemas/Error"}}
    return {"description": description, "content": {"application/json": schema}}
