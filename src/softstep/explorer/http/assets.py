"""The page's own files, and the parts of it that Python generates."""

from __future__ import annotations

import importlib.util
import json
from importlib import resources
from pathlib import Path

from softstep.report.shared.palette import ARMS, DARK_GROUND, DARK_INK, FALLBACK, LIGHT_GROUND, LIGHT_INK

STATIC = Path(str(resources.files("softstep.explorer"))) / "static"
"""The folder of the page's files."""

ROLES = {
    "target": "soft", "online": "same-alpha", "single": "smaller-alpha", "blended": "blended", "hard": "hard",
    "descent": "same-alpha", "other": "best-soft",
}  # fmt: skip
"""Which arm's colour each line of the rooms takes."""


def palette_js() -> str:
    """An ES module with the colours of the whole product, `/static/palette.js`."""
    palette = {
        "arms": {name: style._asdict() for name, style in ARMS.items()},
        "roles": {role: ARMS[arm].colour for role, arm in ROLES.items()},
        "fallback": list(FALLBACK),
        "light": {"ground": LIGHT_GROUND, "ink": LIGHT_INK},
        "dark": {"ground": DARK_GROUND, "ink": DARK_INK},
    }
    return f"export const palette = {json.dumps(palette, ensure_ascii=False)};\n"


def plotly_path() -> Path:
    """plotly.js as the plotly package ships it; found without importing the package."""
    found = importlib.util.find_spec("plotly")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "package_data" / "plotly.min.js"
