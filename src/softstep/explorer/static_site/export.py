"""Export rooms 1 to 5 as static pages that need no server: the same page, with answers computed in advance.

Each exported parameter takes a few values, and the page's sliders step through them; all others keep their defaults.
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

from softstep.explorer.http import assets
from softstep.explorer.rooms import atlas
from softstep.explorer.rooms.endpoints import ENDPOINTS, answer
from softstep.explorer.static_site.js_bundle import bundle
from softstep.theory import problems

DIGITS = 8
"""Significant digits of exported numbers."""

Axes = Mapping[str, Sequence[Any]]
"""The exported values of each parameter."""


class AnswerGrid(NamedTuple):
    """The exported answers of an endpoint: one for every combination of the axes' values."""

    axes: Axes
    """The values of each parameter that varies; their order is that of the indices in an answer's key."""
    fixed: Mapping[str, Any] = {}
    """Parameters with one value that is not their default."""
    split: int = 0
    """Number of leading axes that are split over files: each combination of their values has a file of its own."""


_ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 1.9)
_WEIGHTS = (0.0, 0.2, 0.5, 0.8, 0.9, 0.95, 0.99, 0.995)
_STEPS = (*range(41), 50, 60, 80, 100, 120, 138, 160, 180, 207, 250, 300, 350, 400, 415)
_PROBLEM: Axes = {"problem": tuple(problems.NAMED), "gamma": (0.9, 0.99)}
_PLANE: Axes = {
    "alpha": tuple(float(f"{alpha:.3g}") for alpha in np.geomspace(1e-3, 10, 13)),
    "c": tuple(round(1 - float(f"{share:.3g}"), 8) for share in np.geomspace(1, 1e-4, 13)),
}
_MEASURED: Axes = {
    "env": tuple(atlas.SHOWN),
    "alpha": tuple(sorted({cell.learning_rate for table in atlas.MAPS.values() for cell in table.cells})),
    "c": tuple(sorted({atlas.c_of(cell.tau) for table in atlas.MAPS.values() for cell in table.cells})),
}
"""The measured environments, and the measured pairs of all maps."""
_LOSS: Axes = {"loss": ("bowl", "valley", "double-well"), "dimensions": (1, 2)}

GRIDS: Mapping[str, AnswerGrid] = {
    "landscape": AnswerGrid(_LOSS),
    "one-network": AnswerGrid(
        {**_LOSS, "variant": ("every-step", "lookahead", "nesterov"), "alpha": _ALPHAS[1:-1], "c": _WEIGHTS,
         "x": (-2.4, 0.6, 1.8)}, {"steps": 24}, 3,
    ),
    "two-networks": AnswerGrid(
        {"a": (0.5, 0.9, 0.99), "schedule": ("constant", "harmonic"), "alpha": _ALPHAS, "c": _WEIGHTS}, {}, 2
    ),
    "ledger": AnswerGrid({"c": _WEIGHTS, "at": _STEPS}, {}, 1),
    "filter": AnswerGrid({"c": _WEIGHTS}),
    "stories": AnswerGrid({}),
    "problem": AnswerGrid(_PROBLEM),
    "stability-map": AnswerGrid(_PROBLEM, {"resolution": 81}, 2),
    "stability-point": AnswerGrid({**_PROBLEM, **_PLANE}, {"points": 100}, 2),
    "stability-windows": AnswerGrid({**_PROBLEM, **_PLANE}, {}, 2),
    "noise": AnswerGrid({"a": (0.0, 0.5, 0.9), "alpha": _ALPHAS, "c": _WEIGHTS}, {"steps": 200}, 1),
    "atlas": AnswerGrid({}),
    "atlas-map": AnswerGrid({"env": _MEASURED["env"]}, {}, 1),
    "atlas-contenders": AnswerGrid({"env": _MEASURED["env"]}, {}, 1),
    "atlas-point": AnswerGrid(_MEASURED, {}, 1),
}  # fmt: skip
"""The answers that `export_explorer` computes; tests check that they cover every endpoint and every story."""


def export_explorer(
    directory: str | Path, grids: Mapping[str, AnswerGrid] = GRIDS, on_endpoint: Callable[[str], None] | None = None
) -> Path:
    """Write rooms 1 to 5 as static pages into `directory`, which is created if missing.

    `on_endpoint` is called with the name of each endpoint before its answers are computed. Returns the path of
    index.html.
    """
    folder = Path(directory)
    for name in ("static", "data"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in (*assets.STYLESHEETS, "icon.svg"):
        (folder / "static" / name).write_bytes((assets.STATIC / name).read_bytes())
    (folder / "static" / "palette.css").write_text(assets.palette_css(), encoding="utf-8")
    (folder / "static" / "plotly.js").write_bytes(assets.plotly_path().read_bytes())
    (folder / "static" / "app.js").write_text(bundle("app.js", assets.module), encoding="utf-8")
    (folder / "data" / "grids.js").write_text(f"window.softstepGrids = {_compact(manifest(grids))};\n", "utf-8")
    for name, grid in grids.items():
        if on_endpoint:
            on_endpoint(name)
        for chunk, answers in chunks(name, grid):
            script = f"softstepChunk({json.dumps(chunk)}, {_compact(answers)});\n"
            (folder / "data" / f"{chunk}.js").write_text(script, encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_index(), encoding="utf-8")
    return index


def manifest(grids: Mapping[str, AnswerGrid]) -> dict[str, Any]:
    """Return what the page needs to find an answer: each endpoint's axes, file split, and default values."""
    return {
        name: {
            "axes": [{"name": axis, "values": list(values)} for axis, values in grid.axes.items()],
            "split": grid.split,
            "defaults": msgspec.structs.asdict(ENDPOINTS[name].parameters()),
        }
        for name, grid in grids.items()
    }


def chunks(name: str, grid: AnswerGrid) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each data file and its answers, keyed by the indices on all axes, for example "0,2,1"."""
    numbered = [tuple(enumerate(values)) for values in grid.axes.values()]
    for outer in itertools.product(*numbered[: grid.split]):
        answers = {}
        for inner in itertools.product(*numbered[grid.split :]):
            point = (*outer, *inner)
            values = dict(zip(grid.axes, (value for _, value in point), strict=True))
            answers[",".join(str(i) for i, _ in point)] = rounded(answer(name, {**grid.fixed, **values}))
        yield ".".join([name, *(str(i) for i, _ in outer)]), answers


def rounded(value: Any) -> Any:
    """Round all numbers in a JSON value to `DIGITS` significant digits; non-finite numbers become None."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return {key: rounded(part) for key, part in value.items()} if isinstance(value, dict) else value


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _index() -> str:
    """Return index.html, marked as static, with classic scripts instead of modules."""
    text = (assets.STATIC / "index.html").read_text(encoding="utf-8")
    module = '<script src="static/app.js" type="module"></script>'
    scripts = '<script src="data/grids.js" defer></script>\n<script src="static/app.js" defer></script>'
    text = re.sub(r'<link rel="modulepreload"[^>]*>\n', "", text)
    return text.replace('<html lang="en">', '<html lang="en" data-source="static">').replace(module, scripts)
