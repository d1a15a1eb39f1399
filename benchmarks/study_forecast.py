"""Forecast a study and run it, in a process of its own, and print one JSON line.

    python -m benchmarks.study_forecast '{"folder": "runs/bench-1"}'

The folder has the study's spec, as spec.json.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import softstep
from benchmarks.measure import Sample


def sample(folder: Path) -> Sample:
    """Return the forecast of the spec in a folder, the time for it, and the time that the study takes (seconds)."""
    spec = softstep.Spec.from_json((folder / "spec.json").read_text(), source="spec.json")
    started = time.perf_counter()
    predicted = softstep.forecast_study(spec)
    forecast = time.perf_counter()
    softstep.study(spec, folder / "study")
    return {
        "seconds": time.perf_counter() - forecast,
        "forecast": predicted.seconds,
        "shortest": predicted.shortest,
        "longest": predicted.longest,
        "dry_run": forecast - started,
    }


if __name__ == "__main__":
    print(json.dumps(sample(Path(json.loads(sys.argv[1])["folder"]))))
