"""Finished comparisons and studies under the runs folder: a list, and each one's report for a sandboxed frame."""

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
"""A report is one file with its scripts in it; the sandbox keeps them from everything else."""


REPORT_PATHS: dict[str, JSON] = {
    "/reports": {
        "get": {
            "operationId": "reports",
            "summary": "Finished comparisons and studies.",
            "responses": {"200": {"description": "Their names.", "content": {"application/json": {"schema": {}}}}},
        }
    },
    "/reports/{name}": {
        "get": {
            "operationId": "report",
            "summary": "One report, a page for a sandboxed frame.",
            "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "HTML."}, "404": {"description": "There is no such report."}},
        }
    },
}


def find_reports(runs: Path) -> dict[str, Path]:
    """Every folder under `runs` that has a report, by its path below `runs`."""
    found = sorted([*runs.glob("*/report.html"), *runs.glob("*/*/report.html")])
    return {report.parent.relative_to(runs).as_posix(): report for report in found}


def report_routes(runs: Path) -> list[Route]:
    """`GET /reports` and `GET /reports/{name}`; a name is looked up in the list, never made into a path."""

    async def reports(request: Request) -> Response:
        found = await run_in_threadpool(find_reports, runs)
        return JSONResponse({"reports": [_line(name, path) for name, path in found.items()]})

    async def report(request: Request) -> Response:
        found = await run_in_threadpool(find_reports, runs)
        path = found.get(request.path_params["name"])
        if path is None:
            return PlainTextResponse("There is no such report.", 404)
        headers = {"content-security-policy": POLICY, "cross-origin-resource-policy": "same-origin"}
        return Response(await run_in_threadpool(path.read_bytes), media_type="text/html", headers=headers)

    return [Route("/reports", reports), Route("/reports/{name:path}", report)]


def _line(name: str, path: Path) -> dict[str, Any]:
    return {"name": name, "modified": path.stat().st_mtime, "bytes": path.stat().st_size}
