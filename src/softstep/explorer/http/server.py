"""`softstep explore`: serve the rooms' answers, the live agents, the reports and the page over HTTP."""

from __future__ import annotations

import contextlib
import errno
import socket
import webbrowser
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from softstep.errors import ConfigError
from softstep.extras import required_by

with required_by("the explorer"):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

from softstep.explorer.backend import Backend
from softstep.explorer.http import wire
from softstep.explorer.http.assets import STATIC, palette_css, palette_js, plotly_path
from softstep.explorer.http.guard import Guard
from softstep.explorer.http.live_routes import events_route, live_paths
from softstep.explorer.http.openapi import document
from softstep.explorer.http.report_routes import REPORT_PATHS, report_routes
from softstep.explorer.live.commands import PARAMETERS
from softstep.explorer.live.live_runs import LiveRuns

_HOST_ERRORS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Errors of a bind that another port would not mend."""


def _say(text: str) -> None:
    print(text, flush=True)


def explore(
    runs: Path | str = "runs",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    live_agents: int = 2,
    open_browser: bool = True,
    say: Callable[[str], None] = _say,
) -> None:
    """Serve the explorer until interrupted.

    Args:
        runs: Folder in which live runs are saved and finished comparisons are found.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        live_agents: Largest number of agents that may train at the same time.
        open_browser: Whether to open the page in the default browser.
        say: Called with the lines to show to the user.

    Raises:
        ConfigError: An argument is out of range, or the address is not available.
    """
    if not 0 <= port < 2**16:
        raise ConfigError(f"port = {port} must be in 0 … 65535 (0 takes a free one)")
    if live_agents < 0:
        raise ConfigError(f"live_agents = {live_agents} must be at least 0")
    listening = bind(host, port)
    port = listening.getsockname()[1]
    live = LiveRuns(live_agents)
    names = ["127.0.0.1", "localhost", "[::1]"] if host in ("127.0.0.1", "localhost", "::1") else [host]
    guard = Guard(make_app(Path(runs), live), hosts=[f"{name}:{port}" for name in names], cookie=f"softstep-{port}")
    link = f"http://{names[0]}:{port}/?token={guard.link_token}"
    say(f"The explorer is at {link}\nThe link works once; stop with Ctrl-C.")
    if open_browser:
        webbrowser.open(link)
    config = uvicorn.Config(guard, log_level="warning", access_log=False, timeout_graceful_shutdown=1, ws="none")
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is the regular way to stop the server
        uvicorn.Server(config).run(sockets=[listening])


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address; ConfigError if the host is not this machine's or the port is taken."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, proto)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host looks like that
        is_host = not isinstance(error, OSError) or isinstance(error, socket.gaierror) or error.errno in _HOST_ERRORS
        reason = getattr(error, "strerror", None) or error
        flag = "--host" if is_host else "--port"
        raise ConfigError(f"cannot serve at {host}:{port}: {reason}; choose another {flag}") from None
    return listening


def make_app(runs: Path, live: LiveRuns) -> Starlette:
    """Return the application without its guard."""
    backend = Backend(live, runs)

    async def post(request: Request) -> Response:
        values = await wire.json_object(request)
        return JSONResponse(await backend.post(request.url.path.lstrip("/"), values))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await live.stop_all()

    routes = [
        Route("/", _index),
        Route("/openapi.json", _openapi),
        Route("/static/plotly.js", _plotly),
        Route("/static/palette.js", _palette_js),
        Route("/static/palette.css", _palette_css),
        Mount("/static", StaticFiles(directory=str(STATIC))),
        *(Route(path, post, methods=["POST"]) for path in ("/api/{name}", "/live", "/live/{id}/{command}")),
        events_route(backend),
        *report_routes(runs),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=wire.HANDLERS)


async def _index(request: Request) -> Response:
    return Response((STATIC / "index.html").read_bytes(), media_type="text/html; charset=utf-8")


async def _openapi(request: Request) -> Response:
    return JSONResponse(document(live_paths() | REPORT_PATHS, PARAMETERS))


async def _plotly(request: Request) -> Response:
    body = plotly_path().read_bytes()  # in one piece: streamed in chunks it reaches the browser half a second later
    return Response(body, media_type="text/javascript", headers={"cache-control": "private, max-age=86400"})


async def _palette_js(request: Request) -> Response:
    return Response(palette_js(), media_type="text/javascript")


async def _palette_css(request: Request) -> Response:
    return Response(palette_css(), media_type="text/css")
