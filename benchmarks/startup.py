"""How long one waits: for the import, for --help, and for the first gradient step of a second start."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks import machine, measure
from benchmarks.measure import ROOT, SOFTSTEP, Failed, Result, Sample
from benchmarks.table import Row, spread

HEAVY = ("jax", "gymnasium", "polars", "plotly", "gymnax")
"""Modules that `import softstep` must not load."""

IMPORT = """
import json, sys, time
begun = time.perf_counter()
import softstep
seconds = time.perf_counter() - begun
print(json.dumps({"seconds": seconds, "loaded": sorted(sys.modules.keys() & set(sys.argv[1].split()))}))
"""

FIRST_STEPS = ["--learning-starts", "64", "--record-every", "128", "--total-steps", "4096"]
"""A record soon after learning starts: its JSON line is printed at once, unlike progress."""

STARTS = {
    "LunarLander-v3": ["LunarLander-v3", "--preset", "lab"],
    "LunarLander-v3, 8 seeds": ["LunarLander-v3", "--preset", "lab", "--seeds", "8"],
    "gymnax:CartPole-v1": ["gymnax:CartPole-v1"],
}

NOTES = [
    "first gradient step: from the command to the first row of the curves that counts gradient steps, with programs",
    "cached by a run before. heavy modules: " + ", ".join(HEAVY) + ".",
]


def run(*, quick: bool) -> Result:
    """Import, --help and second starts."""
    rounds = 2 if quick else 7
    sides = {
        "import softstep": import_softstep,
        "softstep --help": partial(measure.seconds_of, [str(SOFTSTEP), "--help"]),
        "softstep train --help": partial(measure.seconds_of, [str(SOFTSTEP), "train", "--help"]),
    }
    samples = measure.alternate(sides, rounds)
    starts = {f"first gradient step, {name}": partial(first_gradient_step, flags) for name, flags in STARTS.items()}
    for take in starts.values():
        take()  # fills the cache of compiled programs
    samples |= measure.alternate(starts, 1 if quick else 3)
    return Result("startup", "Waiting", rows(samples), samples, NOTES)


def rows(samples: dict[str, list[Sample]]) -> list[Row]:
    """Times beside what is allowed."""
    allowed = {"import softstep": 0.15, "softstep --help": 0.6, "softstep train --help": None}
    loaded = [float(len(sample["loaded"])) for sample in samples["import softstep"]]
    return [
        *(
            Row(name, "s", spread([s["seconds"] for s in taken]), required=allowed.get(name, 3.0), sense="at most")
            for name, taken in samples.items()
        ),
        Row("heavy modules that import softstep loads", "count", spread(loaded), required=0.0, sense="at most"),
    ]


def import_softstep() -> Sample:
    """Seconds of `import softstep` in a fresh interpreter, and the heavy modules it loaded."""
    done = measure.run([sys.executable, "-c", IMPORT, " ".join(HEAVY)])
    return json.loads(done.stdout)


def first_gradient_step(flags: list[str]) -> Sample:
    """Seconds from the command to its first record with gradient steps; the run is then told to stop."""
    (ROOT / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "runs") as folder:
        command = [str(SOFTSTEP), "train", *flags, *FIRST_STEPS, "--out", str(Path(folder) / "run"), "--json"]
        begun = time.perf_counter()
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=machine.environment(one_thread=False),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            seconds = next((time.perf_counter() - begun for line in process.stdout if _has_learned(line)), None)
            process.terminate()  # saves and ends
            process.stdout.read()
    if seconds is None:
        raise Failed(f"softstep train {' '.join(flags)} ended before its first gradient step")
    return {"seconds": seconds}


def _has_learned(line: str) -> bool:
    event = json.loads(line) if line.startswith("{") else {}
    return event.get("gradient_steps", 0) > 0
