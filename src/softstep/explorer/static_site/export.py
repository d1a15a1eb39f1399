"""Rooms 1 to 4 as static pages: the same page over answers computed beforehand, for any host or a plain file.

Every exported parameter has a few values; the page's sliders step through them, and the rest keeps its default.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from softstep.explorer.http import page
from softstep.explorer.rooms.api import ENDPOINTS, answer
from softstep.explorer.static_site.bundle import bundle
from softstep.theory import problems

DIGITS = 8
"""Significant digits of exported numbers."""

Axes = Mapping[str, Sequence[Any]]


class Grid(NamedTuple):
    """Which answers of an endpoint are exported."""

    axes: Axes
    """The values of each parameter that varies, in the order of the keys."""
    fixed: Mapping[str, Any] = {}
    """Parameters that have another value than their default."""
    split: int = 0
    """How many axes, from the first, tell one file from another."""


_ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 1.9)
_WEIGHTS = (0.0, 0.2, 0.5, 0.8, 0.9, 0.95, 0.99, 0.995)
_PROBLEM: Axes = {"problem": tuple(problems.NAMED), "gamma": (0.9, 0.99)}
_PLANE: Axes = {
    "alpha": tuple(float(f"{alpha:.3g}") for alpha in np.geomspace(1e-3, 10, 13)),
    "c": tuple(round(1 - float(f"{share:.3g}"), 8) for share in np.geomspace(1, 1e-4, 13)),
}
_LOSS: Axes = {"loss": ("bowl", "valley", "double-well"), "dimensions": (1, 2)}

GRIDS: Mapping[str, Grid] = {
    "landscape": Grid(_LOSS),
    "one-network": Grid(
        {**_LOSS, "variant": ("every-step", "lookahead", "nesterov"), "alpha": _ALPHAS[1:-1], "c": _WEIGHTS,
         "x": (-2.4, 0.6, 1.8)}, {"steps": 24}, 3,
    ),
    "two-networks": Grid({"a": (0.5, 0.9, 0.99), "alpha": _ALPHAS, "c": _WEIGHTS}, {}, 1),
    "ledger": Grid({"c": _WEIGHTS, "at": tuple(range(41))}, {}, 1),
    "filter": Grid({"c": _WEIGHTS}),
    "stories": Grid({}),
    "problem": Grid(_PROBLEM),
    "stability-map": Grid(_PROBLEM, {"resolution": 81}, 2),
    "stability-point": Grid({**_PROBLEM, **_PLANE}, {"steps": 100}, 2),
    "stability-windows": Grid({**_PROBLEM, **_PLANE}, {}, 2),
    "noise": Grid({"a": (0.0, 0.5, 0.9), "alpha": _ALPHAS, "c": _WEIGHTS}, {"steps": 200}, 1),
}  # fmt: skip
"""What `export_explorer` computes; a test shows that every endpoint is there and that the stories lie on the grids."""


def export_explorer(
    directory: str | Path, grids: Mapping[str, Grid] = GRIDS, told: Callable[[str], None] | None = None
) -> Path:
    """Write rooms 1 to 4 as static pages into `directory`, made where it is missing; the path of its index.html.

    told: is given the name of each endpoint before its answers are computed.
    """
    folder = Path(directory)
    for name in ("static", "data"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("app.css", "live.css", "icon.svg"):
        (folder / "static" / name).write_bytes((page.STATIC / name).read_bytes())
    (folder / "static" / "plotly.js").write_bytes(page.plotly_path().read_bytes())
    (folder / "static" / "app.js").write_text(bundle("app.js", _module), encoding="utf-8")
    (folder / "data" / "grids.js").write_text(f"window.softstepGrids = {_compact(manifest(grids))};\n", "utf-8")
    for name, grid in grids.items():
        if told:
            told(name)
        for chunk, answers in chunks(name, grid):
            script = f"softstepChunk({json.dumps(chunk)}, {_compact(answers)});\n"
            (folder / "data" / f"{chunk}.js").write_text(script, encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_index(), encoding="utf-8")
    return index


def manifest(grids: Mapping[str, Grid]) -> dict[str, Any]:
    """For the page: the axes of every endpoint, how its files are split, and what else has which value."""
    return {
        name: {
            "axes": [{"name": axis, "values": list(values)} for axis, values in grid.axes.items()],
            "split": grid.split,
            "defaults": msgspec.structs.asdict(ENDPOINTS[name].parameters()),
        }
        for name, grid in grids.items()
    }


def chunks(name: str, grid: Grid) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each file's name, and its answers by the indices of all axes, as in 0,2,1."""
    numbered = [tuple(enumerate(values)) for values in grid.axes.values()]
    for outer in itertools.product(*numbered[: grid.split]):
        answers = {}
        for inner in itertools.product(*numbered[grid.split :]):
            point = (*outer, *inner)
            values = dict(zip(grid.axes, (value for _, value in point), strict=True))
            answers[",".join(str(i) for i, _ in point)] = rounded(answer(name, {**grid.fixed, **values}))
        yield ".".join([name, *(str(i) for i, _ in outer)]), answers


def rounded(value: Any) -> Any:
    """Numbers to `DIGITS` significant digits, throughout."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return {key: rounded(part) for key, part in value.items()} if isinstance(value, dict) else value


def _module(path: str) -> str:
    return page.palette_js() if path == "palette.js" else (page.STATIC / path).read_text(encoding="utf-8")


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _index() -> str:
    """The page with a mark that its numbers are at hand, and classic scripts in place of modules."""
    text = (page.STATIC / "index.html").read_text(encoding="utf-8")
    module = '<script src="static/app.js" type="module"></script>'
    scripts = '<script src="data/grids.js" defer></script>\n<script src="static/app.js" defer></script>'
    text = re.sub(r'<link rel="modulepreload"[^>]*>\n', "", text)
    return text.replace('<html lang="en">', '<html lang="en" data-source="static">').replace(module, scripts)
