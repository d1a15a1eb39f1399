"""Start-up times: the import, --help, and the first gradient step of a second start."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import machine, measure
from benchmarks.measure import ROOT, SOFTSTEP, BenchmarkError, Result, Sample
from benchmarks.table import Row, spread

HEAVY = ("jax", "gymnasium", "polars", "plotly", "gymnax")
"""Modules that `import softstep` must not load."""

IMPORT = """
import json, sys, time
start = time.perf_counter()
import softstep
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "loaded": sorted(sys.modules.keys() & set(sys.argv[1].split()))}))
"""

FIRST_STEPS = ["--learning-starts", "64", "--record-every", "128", "--total-steps", "4096"]
"""Flags for a record soon after learning starts: records are printed immediately, unlike progress."""

STARTS = {
    "LunarLander-v3": ["LunarLander-v3", "--preset", "lab"],
    "LunarLander-v3, 8 seeds": ["LunarLander-v3", "--preset", "lab", "--seeds", "8"],
    "gymnax:CartPole-v1": ["gymnax:CartPole-v1"],
}

LIMITS = {
    "import softstep": 0.01,
    "softstep --help": 0.35,
    "first gradient step, LunarLander-v3": 1.5,
    "first gradient step, LunarLander-v3, 8 seeds": 1.5,
    "first gradient step, gymnax:CartPole-v1": 3.0,
}
"""Most seconds that each may take."""

NOTES = [
    "first gradient step: from the command to the first row of the curves with gradient steps, with compiled programs",
    "cached by an earlier run. heavy modules: " + ", ".join(HEAVY) + ".",
]


def run(*, quick: bool) -> Result:
    """Measure the import, --help and second starts."""
    rounds = 2 if quick else 7
    sides: dict[str, Callable[[], Sample]] = {
        "import softstep": import_softstep,
        "softstep --help": partial(measure.time_command, [str(SOFTSTEP), "--help"]),
        "softstep train --help": partial(measure.time_command, [str(SOFTSTEP), "train", "--help"]),
    }
    samples = measure.alternate(sides, rounds)
    starts = {f"first gradient step, {name}": partial(first_gradient_step, flags) for name, flags in STARTS.items()}
    for take_sample in starts.values():
        take_sample()  # fills the cache of compiled programs
    samples |= measure.alternate(starts, 1 if quick else 3)
    return Result("startup", "Start-up times", rows(samples), samples, NOTES)


def rows(samples: dict[str, list[Sample]]) -> list[Row]:
    """Return the times and the number of heavy modules, with their limits."""
    loaded = [float(len(sample["loaded"])) for sample in samples["import softstep"]]
    return [
        *(
            Row(name, "s", spread([s["seconds"] for s in side_samples]), required=LIMITS.get(name), sense="at most")
            for name, side_samples in samples.items()
        ),
        Row("heavy modules that import softstep loads", "count", spread(loaded), required=0.0, sense="at most"),
    ]


def import_softstep() -> Sample:
    """Return the seconds of `import softstep` in a new interpreter, and the heavy modules that it loaded."""
    completed = measure.run([sys.executable, "-c", IMPORT, " ".join(HEAVY)])
    return json.loads(completed.stdout)


def first_gradient_step(flags: list[str]) -> Sample:
    """Return the seconds from the command to its first record with gradient steps, then stop the run."""
    (ROOT / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "runs") as folder:
        command = [str(SOFTSTEP), "train", *flags, *FIRST_STEPS, "--out", str(Path(folder) / "run"), "--json"]
        start = time.perf_counter()
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=machine.environment(one_thread=False),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            seconds = next((time.perf_counter() - start for line in process.stdout if _has_learned(line)), None)
            process.terminate()  # the run saves a checkpoint and ends
            process.stdout.read()
    if seconds is None:
        raise BenchmarkError(f"softstep train {' '.join(flags)} ended before its first gradient step")
    return {"seconds": seconds}


def _has_learned(line: str) -> bool:
    event = json.loads(line) if line.startswith("{") else {}
    return event.get("gradient_steps", 0) > 0
