"""The OpenAPI description of the explorer's HTTP interface, generated from the types that requests are decoded into."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

import softstep
from softstep.explorer.http.wire import Error
from softstep.explorer.rooms.endpoints import ENDPOINTS
from softstep.explorer.rooms.parameters import JSON, Parameters

_COMPONENT = "#/components/schemas/{name}"


def document(paths: Mapping[str, JSON], parameters: tuple[type[Parameters], ...] = ()) -> JSON:
    """Return an OpenAPI 3.1 document.

    It describes POST /api/<name> for every endpoint, then the server's other `paths` with the `parameters` they use.
    """
    api = {
        f"/api/{name}": operation(
            name, endpoint.summary, endpoint.parameters,
            answer="The numbers; null stands for a number that is not finite, [re, im] for a complex number.",
        )
        for name, endpoint in ENDPOINTS.items()
    }  # fmt: skip
    types = [Error, *(endpoint.parameters for endpoint in ENDPOINTS.values()), *parameters]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "softstep explorer",
            "version": softstep.__version__,
            "summary": "α and c: what soft target updates do, as numbers.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {**api, **paths},
        "components": {"schemas": msgspec.json.schema_components(types, ref_template=_COMPONENT)[1]},
    }


def operation(name: str, summary: str, parameters: type[Parameters], *, answer: str = "Done.") -> JSON:
    """Return the description of a POST route.

    Args:
        name: name of the operation.
        summary: one line about it.
        parameters: the parameters in the request's body.
        answer: one line about a successful response.
    """
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "requestBody": {"required": False, **_body(parameters)},
            "responses": {
                "200": {"description": answer, "content": {"application/json": {"schema": {"type": "object"}}}},
                "413": {"description": "The body is too large."},
                "422": {"description": "A parameter is invalid.", **_body(Error)},
            },
        }
    }


def _body(kind: type[msgspec.Struct]) -> JSON:
    return {"content": {"application/json": {"schema": {"$ref": _COMPONENT.format(name=kind.__name__)}}}}
