"""The page's static files, and the palette that Python generates for them."""

from __future__ import annotations

import importlib.util
import json
from importlib import resources
from pathlib import Path

from softstep.report.shared.palette import (
    ACCENT,
    ACCENT_ON_DARK,
    ARMS,
    DARK_GROUND,
    DARK_INK,
    FALLBACK,
    LIGHT_GROUND,
    LIGHT_INK,
)

STATIC = Path(str(resources.files("softstep.explorer"))) / "static"
"""Folder of the page's files."""

STYLESHEETS = ("app.css", "live.css", "narrow.css", "projector.css")
"""The page's own stylesheets, in `STATIC`."""

ROLES = {
    "target": "soft", "online": "same-alpha", "single": "smaller-alpha", "blended": "blended", "hard": "hard",
    "descent": "same-alpha", "landscape": "best-soft",
}  # fmt: skip
"""For each line in the rooms' figures, the arm whose colour it takes."""


def palette_js() -> str:
    """Return an ES module with the colours of the arms, served as `/static/palette.js`."""
    palette = {
        "arms": {name: style.colour for name, style in ARMS.items()},
        "roles": {role: ARMS[arm].colour for role, arm in ROLES.items()},
        "fallback": list(FALLBACK),
    }
    return f"export const palette = {json.dumps(palette, ensure_ascii=False)};\n"


def palette_css() -> str:
    """Return a stylesheet that defines the product's colours as variables, served as `/static/palette.css`."""
    variables = {
        "light-ground": LIGHT_GROUND, "light-ink": LIGHT_INK, "light-accent": ACCENT,
        "dark-ground": DARK_GROUND, "dark-ink": DARK_INK, "dark-accent": ACCENT_ON_DARK,
    }  # fmt: skip
    lines = (f"  --{name}: {colour};\n" for name, colour in variables.items())
    return f":root {{\n{''.join(lines)}}}\n"


def module(path: str) -> str:
    """Return the text of the page's module `path`, which is relative to `STATIC`."""
    return palette_js() if path == "palette.js" else (STATIC / path).read_text(encoding="utf-8")


def plotly_path() -> Path:
    """Return the path of plotly.js in the plotly package, without importing the package."""
    spec = importlib.util.find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"
