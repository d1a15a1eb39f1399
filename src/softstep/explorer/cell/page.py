"""The explorer's page as one HTML document for a frame in a notebook's cell."""

from __future__ import annotations

import functools

from softstep.explorer.http import assets
from softstep.explorer.static_site.js_bundle import bundle
from softstep.report.cell.frame import zipped

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""Content-Security-Policy: the page holds all it needs, and can reach nothing but the cell that frames it."""


@functools.cache
def cell_page() -> bytes:
    """Return the page, gzipped: the modules, stylesheets and palette of the explorer, and plotly."""
    styles = "\n".join(
        [assets.palette_css(), *((assets.STATIC / name).read_text("utf-8") for name in assets.STYLESHEETS)]
    )
    plotly = assets.plotly_path().read_text("utf-8")
    return zipped(
        '<!doctype html>\n<html lang="en" data-source="cell"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>softstep explorer</title><style>{styles}</style></head>\n"
        '<body><header class="header"><nav id="rooms" aria-label="Rooms"></nav></header>'
        '<main id="room" tabindex="-1"></main>'
        f'<script id="plotly">{plotly}</script><script>{bundle("cell.js", assets.module)}</script></body></html>\n'
    )
