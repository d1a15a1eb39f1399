"""Routes for the reports of finished comparisons and studies: a list, and each report for a sandboxed frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from softstep.explorer.rooms.parameters import JSON

POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; frame-ancestors 'self'"
)
"""Content-Security-Policy of a report: one file with inline scripts, which the sandbox isolates from the page."""


REPORT_PATHS: dict[str, JSON] = {
    "/reports": {
        "get": {
            "operationId": "reports",
            "summary": "Finished comparisons and studies.",
            "responses": {
                "200": {"description": "Their names.", "content": {"application/json": {"schema": {}}}},
            },
        }
    },
    "/reports/{name}": {
        "get": {
            "operationId": "report",
            "summary": "One report, as a page for a sandboxed frame.",
            "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "HTML."}, "404": {"description": "There is no such report."}},
        }
    },
}
"""OpenAPI description of these routes."""


def find_reports(runs: Path) -> dict[str, Path]:
    """Return the path of every report.html under `runs`, keyed by its folder's path relative to `runs`."""
    reports = sorted([*runs.glob("*/report.html"), *runs.glob("*/*/report.html")])
    return {report.parent.relative_to(runs).as_posix(): report for report in reports}


def report_routes(runs: Path) -> list[Route]:
    """Return the routes `GET /reports` and `GET /reports/{name}`.

    A name from a client is only looked up in the list of reports, so it can never lead to another file.
    """

    async def list_reports(request: Request) -> Response:
        reports = await run_in_threadpool(find_reports, runs)
        return JSONResponse({"reports": [_list_entry(name, path) for name, path in reports.items()]})

    async def show_report(request: Request) -> Response:
        reports = await run_in_threadpool(find_reports, runs)
        path = reports.get(request.path_params["name"])
        if path is None:
            return PlainTextResponse("There is no such report.", 404)
        headers = {"content-security-policy": POLICY, "cross-origin-resource-policy": "same-origin"}
        return Response(await run_in_threadpool(path.read_bytes), media_type="text/html", headers=headers)

    return [Route("/reports", list_reports), Route("/reports/{name:path}", show_report)]


def _list_entry(name: str, path: Path) -> dict[str, Any]:
    return {"name": name, "modified": path.stat().st_mtime, "bytes": path.stat().st_size}
