"""The time that `softstep study run --dry-run` predicts, beside the time that the study takes."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import measure
from benchmarks.measure import ROOT, Result, Sample
from benchmarks.table import Row, spread
from softstep.studies.spec import Spec

MAX_PERCENT = 30.0
"""Most by which the predicted time may miss the one that a study takes."""

CONTENDERS = ("soft", "none", "layer-norm")
"""Contenders of the slice: populations whose cells share a shape, and some with a shape of their own."""

NOTES = [
    f"a slice of the spec: its contenders {', '.join(CONTENDERS)}, with fewer candidates and judging seeds, at its",
    "width and horizon (Lunar Lander: a fifth of it). It runs after the forecast, which has compiled its programs.",
]


class Size(NamedTuple):
    """Rounds, candidates and judging seeds of each study's slice, and by how much its horizon is shorter."""

    rounds: int
    studies: Mapping[str, int]
    candidates: int
    judging: int


FULL = Size(rounds=3, studies={"cartpole": 1, "lunar-lander": 5}, candidates=4, judging=4)
QUICK = Size(rounds=1, studies={"cartpole": 20}, candidates=1, judging=1)


def run(*, quick: bool) -> Result:
    """Forecast and run a slice of the protocol's studies."""
    size = QUICK if quick else FULL
    samples = measure.alternate({name: partial(_sample, name, size) for name in size.studies}, size.rounds)
    rows = []
    for name, taken in samples.items():
        missed = [100 * abs(sample["forecast"] / sample["seconds"] - 1) for sample in taken]
        rows += [
            Row(f"{name}: time taken", "s", spread([sample["seconds"] for sample in taken])),
            Row(f"{name}: forecast", "s", spread([sample["forecast"] for sample in taken])),
            Row(f"{name}: off by", "%", spread(missed), required=MAX_PERCENT, sense="at most"),
            Row(f"{name}: time of the forecast itself", "s", spread([sample["dry_run"] for sample in taken])),
        ]
    return Result("forecast", "Forecasts of studies", rows, samples, NOTES)


def part_of(spec: Spec, size: Size, shorter: int) -> Spec:
    """Return the slice of a spec that can be run in minutes."""
    assert spec.draw is not None
    chosen = {
        name: spec.contenders[name]._replace(candidates=spec.contenders[name].candidates[: size.candidates])
        for name in CONTENDERS
    }
    return dataclasses.replace(
        spec,
        base=dataclasses.replace(spec.base, total_steps=spec.base.total_steps // shorter),
        draw=dataclasses.replace(spec.draw, count=size.candidates),
        contenders=chosen,
        seeds=spec.selection + size.judging,
        claims=(),
    )


def _sample(name: str, size: Size) -> Sample:
    """Forecast the slice of a study and run it, in a process of its own."""
    file = ROOT / "studies" / "atlas" / f"{name}.toml"
    spec = part_of(Spec.from_toml(file.read_text(encoding="utf-8"), source=str(file)), size, size.studies[name])
    (ROOT / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "runs") as folder:
        (Path(folder) / "spec.json").write_text(spec.to_json())
        return measure.run_request([sys.executable, "-m", "benchmarks.study_forecast"], {"folder": folder})
