"""Take samples of several sides in turn, each in a process of its own, and keep the result."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine, peers
from benchmarks.table import Row, digits, render
from softstep.config import Config

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
SOFTSTEP = Path(sys.executable).with_name("softstep")

Sample = dict[str, Any]
"""What one run of one side says: `rate` in steps per second, or `seconds`; and more."""


class Failed(RuntimeError):
    """A side's process failed."""


@dataclass
class Result:
    """What a benchmark found."""

    name: str
    title: str
    rows: list[Row]
    samples: Mapping[str, Sequence[Sample]]
    notes: list[str] = field(default_factory=list)
    busy: float = 0.0

    def text(self) -> str:
        """The table with its notes."""
        return "\n".join([render(self.title, self.rows), *self.notes])

    def save(self, *, quick: bool) -> Path:
        """Write benchmarks/results/NAME.json; a quick run says so in its name."""
        path = RESULTS / f"{self.name}{'.quick' if quick else ''}.json"
        content = {
            "benchmark": self.name,
            "title": self.title,
            "quick": quick,
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": machine.describe() | {"busy_before": round(self.busy, 3), "load": os.getloadavg()},
            "versions": machine.versions(),
            "rows": [row.as_dict() for row in self.rows],
            "notes": self.notes,
            "samples": self.samples,
        }
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")
        return path


def alternate(sides: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, list[Sample]]:
    """Samples of every side, A B A B …, so that what disturbs the machine disturbs all of them."""
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, take in sides.items():
            say(f"  {number + 1}/{rounds} {name} …")
            samples[name].append(take())
            say(f" {brief(samples[name][-1])}\n")
    return samples


def brief(sample: Sample) -> str:
    """A sample in a few words."""
    if "rate" in sample:
        return f"{digits(sample['rate'])} steps/s, {digits(1e6 / sample['rate'])} µs per step"
    return f"{digits(sample['seconds'])} s"


def say(text: str) -> None:
    """Print a part of a line at once."""
    print(text, end="", flush=True)


def rates(samples: Sequence[Sample]) -> list[float]:
    """Their rates, steps per second."""
    return [sample["rate"] for sample in samples]


def ours(config: Config, *, warm: int, workers: int | None = None, one_core: bool = False) -> Sample:
    """A sample of softstep: `config` trained through worker processes, one per core unless said otherwise.

    With `one_core` there is one worker of one thread, and it and the process that started it share one core.
    """
    request = {
        "config": json.loads(config.to_json()),
        "warm": warm,
        "workers": 1 if one_core else workers or workers_for(config),
    }
    return ask([sys.executable, "-m", "benchmarks.ours"], request, one_core=one_core)


def workers_for(config: Config) -> int:
    """As many workers as `softstep train` starts: one per core, no more than there are blocks."""
    return min(len(config.blocks()), len(machine.cores()))


def sb3(request: Mapping[str, Any], *, one_core: bool = False) -> Sample:
    """A sample of stable-baselines3, with its own threads or with one."""
    threads = {"threads": 1 if one_core else None}
    program = [str(peers.python("sb3")), str(peers.HERE / "sb3_dqn.py")]
    return ask(program, {**request, **threads}, one_core=one_core)


def rejax(request: Mapping[str, Any], *, one_core: bool = False) -> Sample:
    """A sample of rejax, with its own threads or with one."""
    return ask([str(peers.python("rejax")), str(peers.HERE / "rejax_dqn.py")], request, one_core=one_core)


def ask(program: Sequence[str], request: Mapping[str, Any], *, one_core: bool = False) -> Sample:
    """Run a program on a request and read the JSON line it ends with."""
    command = [*program, json.dumps(request)]
    return json.loads(run(command, one_core=one_core).stdout.strip().splitlines()[-1])


def run(
    command: Sequence[str], *, one_core: bool = False, accept: Sequence[int] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end: with all cores and the threads it likes, or on one core with one thread."""
    core = machine.cores()[-1]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=machine.environment(one_thread=one_core),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=(lambda: machine.pin_to(core)) if one_core else None,
    )
    if done.returncode not in accept:
        told = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise Failed(f"{' '.join(map(str, command[:3]))} … ended with exit code {done.returncode}:\n{told}")
    return done


def seconds_of(command: Sequence[str]) -> Sample:
    """Wall time of a command from its start to its end."""
    begun = time.perf_counter()
    run(command)
    return {"seconds": time.perf_counter() - begun}
