"""Wall time of the demo: `softstep compare LunarLander-v3 --preset demo`, from the command to its report."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import ROOT, SOFTSTEP, Result, Sample
from benchmarks.table import Row, spread

LIMIT = 180.0
"""Most seconds that it may take."""

NOTES = ["one sample: training, evaluation, verdict and report, with compiled programs cached or not, as they are."]


def run(*, quick: bool) -> Result:
    """Run the demo once."""
    flags = ["--steps", "4000"] if quick else []
    samples = measure.alternate({"demo": partial(_sample, flags)}, 1)
    seconds = spread([sample["seconds"] for sample in samples["demo"]])
    return Result("demo", "The demo", [Row("the demo", "s", seconds, required=LIMIT, sense="at most")], samples, NOTES)


def _sample(flags: list[str]) -> Sample:
    (ROOT / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "runs") as folder:
        out = str(Path(folder) / "run")
        command = [str(SOFTSTEP), "compare", "LunarLander-v3", "--preset", "demo", "--out", out, *flags]
        return measure.time_command(command)
