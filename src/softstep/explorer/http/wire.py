"""JSON in and out: requests are decoded, and an invalid one is answered with one line that says why."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from softstep.explorer import backend
from softstep.explorer.http.guard import MAX_BODY, BodyTooLarge
from softstep.explorer.rooms.parameters import BadParameter


class Reason(msgspec.Struct):
    """The parameter that is invalid, and one line that says why."""

    parameter: str
    reason: str


class Error(msgspec.Struct):
    """The answer to a refused request."""

    error: Reason


async def json_object(request: Request) -> dict[str, Any]:
    """Return the request's JSON object, {} for an empty body; raise BadParameter if it is not an object."""
    try:
        values = msgspec.json.decode(await request.body() or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadParameter("body", f"is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise BadParameter("body", f"must be a JSON object, not {type(values).__name__}")
    return values


def refusal(parameter: str, reason: str) -> Response:
    """Return a 422 response; the page shows its reason beside the parameter's control."""
    return Response(msgspec.json.encode(Error(Reason(parameter, reason))), 422, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    return refusal(*backend.refusal(error))


async def _not_found(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 404)


async def _too_large(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"A request may have at most {MAX_BODY} bytes.", 413)


HANDLERS: dict[Any, Any] = {
    **dict.fromkeys(backend.REFUSALS, _refused), backend.NotFound: _not_found, BodyTooLarge: _too_large,
}  # fmt: skip
"""The handler of each exception, for Starlette."""
