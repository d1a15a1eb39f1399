"""Who may speak to the server: a cookie from a one-time link, a known Host, no foreign Origin, a small body."""

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
"""Bytes of a request."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""What the page may load: what this server serves. Styles within elements are plotly's."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware around the whole server."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], cookie: str) -> None:
        self._app, self._hosts, self._cookie = app, frozenset(hosts), cookie
        self.link_token: str | None = secrets.token_urlsafe(32)
        """What the one-time link carries; None once it has been used."""
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no WebSockets
        refused = self._refused(scope)
        if refused is not None:
            await refused(scope, receive, _with_headers(send))
            return
        await self._app(scope, _limited(receive), _with_headers(send))

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if headers.get("host", "") not in self._hosts:
            return PlainTextResponse("This address is not one of this server's.", 403)
        if self._is_foreign(scope, headers):
            return PlainTextResponse("Requests from other sites are refused.", 403)
        if int(headers.get("content-length") or 0) > MAX_BODY:
            return PlainTextResponse(f"A request may have {MAX_BODY} bytes.", 413)
        if self._knows(headers):
            return None
        return self._welcome(scope) or PlainTextResponse(
            "Open the link that `softstep explore` printed; it works once. Start it again for a new one.", 403
        )

    def _is_foreign(self, scope: Scope, headers: Headers) -> bool:
        """Whether another site's page sent it: by its Origin, or as the browser tells."""
        origin = headers.get("origin")
        if origin is None:
            return scope["method"] not in ("GET", "HEAD") or headers.get("sec-fetch-site") == "cross-site"
        return origin.partition("://")[2] not in self._hosts

    def _knows(self, headers: Headers) -> bool:
        try:
            held = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return held is not None and hmac.compare_digest(held.value.encode(), self._session.encode())

    def _welcome(self, scope: Scope) -> Response | None:
        """Exchange the one-time link for the cookie."""
        (given,) = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[:1] or [""]
        if self.link_token is None or scope["path"] != "/" or scope["method"] != "GET":
            return None
        if not hmac.compare_digest(given.encode(), self.link_token.encode()):
            return None
        self.link_token = None
        response = RedirectResponse("/", 303)
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return response


def _with_headers(send: Send) -> Send:
    """Add the safety headers to a response that does not set them itself."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


class BodyTooLarge(Exception):
    """A body without a declared length that goes on and on."""


def _limited(receive: Receive) -> Receive:
    """`receive` that gives up on bodies beyond the limit."""
    seen = 0

    async def receiving() -> Any:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY:
            raise BodyTooLarge
        return message

    return receiving
