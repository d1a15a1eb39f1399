"""JSON in, and errors out: one line of reason for every request that cannot be meant."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from softstep.errors import ConfigError
from softstep.explorer.http.guard import MAX_BODY, BodyTooLarge
from softstep.explorer.rooms.parameters import BadParameter


async def json_object(request: Request) -> dict[str, Any]:
    """The request's JSON object, {} for an empty body; BadParameter where it is none."""
    try:
        values = json.loads(await request.body() or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadParameter("body", f"is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise BadParameter("body", f"must be a JSON object, not {type(values).__name__}")
    return values


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def refusal(parameter: str, reason: str) -> Response:
    """422 with the reason, shown beside the control of that parameter."""
    return JSONResponse({"error": {"parameter": parameter, "reason": reason}}, 422)


async def _bad_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadParameter)
    return refusal(error.parameter, error.reason)


async def _bad_setting(request: Request, error: Exception) -> Response:
    return refusal("settings", str(error))


async def _too_large(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"A request may have {MAX_BODY} bytes.", 413)


HANDLERS: dict[Any, Any] = {BadParameter: _bad_parameter, ConfigError: _bad_setting, BodyTooLarge: _too_large}
"""By exception, for Starlette."""
