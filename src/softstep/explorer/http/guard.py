"""Access control: a session cookie from a one-time link, known hosts only, no cross-site requests, small bodies."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64 * 1024
"""Largest request body, in bytes."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Content-Security-Policy: the page loads only what this server serves. plotly needs the inline styles."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers added to every response that does not set them itself."""


class Guard:
    """ASGI middleware that checks every request before the application sees it."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], cookie: str) -> None:
        self._app, self._hosts, self._cookie = app, frozenset(hosts), cookie
        self.link_token: str | None = secrets.token_urlsafe(32)
        """Token in the one-time link; None once the link has been used."""
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # the server has no WebSockets
        response = self._own_response(scope)
        if response is not None:
            await response(scope, receive, _add_headers(send))
            return
        await self._app(scope, _limit_body(receive), _add_headers(send))

    def _own_response(self, scope: Scope) -> Response | None:
        """Return a rejection, or the redirect for the one-time link; None lets the request through."""
        headers = Headers(scope=scope)
        if headers.get("host", "") not in self._hosts:
            return PlainTextResponse("This server does not answer at this address.", 403)
        if self._is_cross_site(scope, headers):
            return PlainTextResponse("Requests from other sites are refused.", 403)
        if int(headers.get("content-length") or 0) > MAX_BODY:
            return PlainTextResponse(f"The request body exceeds {MAX_BODY} bytes.", 413)
        if self._has_session(headers):
            return None
        return self._redeem_link(scope) or PlainTextResponse(
            "Open the link that `softstep explore` printed. It works once; restart the command for a new one.", 403
        )

    def _is_cross_site(self, scope: Scope, headers: Headers) -> bool:
        """Return whether another site's page sent the request, judged by Origin or Sec-Fetch-Site."""
        origin = headers.get("origin")
        if origin is None:
            return scope["method"] not in ("GET", "HEAD") or headers.get("sec-fetch-site") == "cross-site"
        return origin.partition("://")[2] not in self._hosts

    def _has_session(self, headers: Headers) -> bool:
        """Return whether the request carries the session cookie."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._session.encode())

    def _redeem_link(self, scope: Scope) -> Response | None:
        """Exchange the one-time link's token for the session cookie."""
        (token,) = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[:1] or [""]
        if self.link_token is None or scope["path"] != "/" or scope["method"] != "GET":
            return None
        if not hmac.compare_digest(token.encode(), self.link_token.encode()):
            return None
        self.link_token = None
        response = RedirectResponse("/", 303)
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return response


def _add_headers(send: Send) -> Send:
    """Wrap `send` so that responses carry `HEADERS` unless they set their own."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


class BodyTooLarge(Exception):
    """A request body without a declared length that exceeds `MAX_BODY`."""


def _limit_body(receive: Receive) -> Receive:
    """Wrap `receive` so that it raises BodyTooLarge once the body exceeds `MAX_BODY`."""
    total = 0

    async def receive_limited() -> Any:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MAX_BODY:
            raise BodyTooLarge
        return message

    return receive_limited
