"""What a study takes beside training: evaluation, and its table, statistics and report, on specs of the atlas."""

from __future__ import annotations

import sys
from functools import partial
from typing import NamedTuple

from benchmarks import measure
from benchmarks.measure import Result, Sample
from benchmarks.table import Row, spread

MAX_PERCENT = 5.0
"""Most that evaluation, and all that follows training, may take of a study's processor time."""

NOTES = [
    "evaluation: its share of the processor time of two blocks of the spec's first contender, without compilation.",
    "the rest: taking over, judging and reporting a table of all the study's agents, relative to training them all.",
    "Lunar Lander is trained for a fifth of its steps, with evaluations as far apart as in the study.",
]


class Size(NamedTuple):
    """Rounds, and by how much each study's horizon is shorter."""

    rounds: int
    shorter: dict[str, int]


FULL = Size(3, {"cartpole": 1, "acrobot": 1, "pendulum": 1, "lunar-lander": 5})
QUICK = Size(1, {"cartpole": 10})


def run(*, quick: bool) -> Result:
    """Measure short versions of the protocol's studies."""
    size = QUICK if quick else FULL
    sides = {name: partial(_sample, name, shorter) for name, shorter in size.shorter.items()}
    samples = measure.alternate(sides, size.rounds)
    rows = [
        Row(f"{name}: {part}", "%", spread([sample[key] for sample in taken]), required=MAX_PERCENT, sense="at most")
        for name, taken in samples.items()
        for part, key in (("evaluation", "evaluation_percent"), ("table, statistics and report", "rest_percent"))
    ]
    return Result("overhead", "What a study takes beside training", rows, samples, NOTES)


def _sample(name: str, shorter: int) -> Sample:
    request = {"spec": f"studies/atlas/{name}.toml", "shorter": shorter}
    return measure.run_request([sys.executable, "-m", "benchmarks.study_time"], request, one_core=True)
