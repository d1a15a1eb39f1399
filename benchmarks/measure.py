"""Sample several sides in turn, each in its own process, and save the result."""

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
from types import MappingProxyType
from typing import Any

from benchmarks import machine, peers
from benchmarks.table import Row, format_number, render
from softstep.config import Config
from softstep.runs.device import Device

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
SOFTSTEP = Path(sys.executable).with_name("softstep")

Sample = dict[str, Any]
"""Measurements of one run of one side: `rate` in steps per second or `seconds`, and further values."""


class BenchmarkError(RuntimeError):
    """A failed process of a benchmark."""


@dataclass
class Result:
    """Result of a benchmark."""

    name: str
    title: str
    rows: list[Row]
    samples: Mapping[str, Sequence[Sample]]
    notes: list[str] = field(default_factory=list)
    busy: Sequence[float] = ()
    """Shares of the processors that other processes used before the benchmark and after it."""

    def text(self) -> str:
        """Return the table followed by its notes."""
        return "\n".join([render(self.title, self.rows), *self.notes])

    def save(self, *, quick: bool) -> Path:
        """Write benchmarks/results/NAME.json, or NAME.quick.json for a quick run, and return its path."""
        path = RESULTS / f"{self.name}{'.quick' if quick else ''}.json"
        content = {
            "benchmark": self.name,
            "title": self.title,
            "quick": quick,
            "commit": machine.commit(ROOT),
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": machine.describe() | {"load": os.getloadavg()},
            "busy": [round(share, 3) for share in self.busy],
            "quiet": max(self.busy) < machine.BUSY,
            "versions": machine.versions(),
            "rows": [row.as_dict() for row in self.rows],
            "notes": self.notes,
            "samples": self.samples,
        }
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")
        return path


def alternate(sides: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, list[Sample]]:
    """Sample the sides in turn, A B A B …, so that other load on the machine affects all of them."""
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, take_sample in sides.items():
            print_part(f"  {number + 1}/{rounds} {name} …")
            samples[name].append(take_sample())
            print_part(f" {summary(samples[name][-1])}\n")
    return samples


def summary(sample: Sample) -> str:
    """Summarize a sample in a few words."""
    if "rate" in sample:
        return f"{format_number(sample['rate'])} steps/s, {format_number(1e6 / sample['rate'])} µs per step"
    return f"{format_number(sample['seconds'])} s"


def print_part(text: str) -> None:
    """Print part of a line immediately."""
    print(text, end="", flush=True)


def rates(samples: Sequence[Sample]) -> list[float]:
    """Return the rates of samples, in steps per second."""
    return [sample["rate"] for sample in samples]


def ours(
    config: Config, *, warm: int, workers: int | None = None, one_core: bool = False, device: Device = "cpu"
) -> Sample:
    """Sample softstep by training `config` in worker processes.

    Args:
        config: The configuration to train.
        warm: Environment steps of each block before timing starts.
        workers: Number of worker processes, by default one per core.
        one_core: Use one worker with one thread, on the same core as the process that started it.
        device: Where to train; on a GPU one worker trains all blocks.

    Returns:
        The sample of `benchmarks.ours`: rate, agent-steps, seconds, gradient steps and peak memory.

    Raises:
        ValueError: The first record, for which a program is compiled, would be timed.
    """
    if warm < config.record_every < config.total_steps:
        raise ValueError(f"warm = {warm} ends before the first record: make it {config.record_every} or more")
    request = {
        "config": json.loads(config.to_json()),
        "warm": warm,
        "workers": 1 if one_core or device == "gpu" else workers or workers_for(config),
        "device": device,
    }
    return run_request([sys.executable, "-m", "benchmarks.ours"], request, one_core=one_core)


def workers_for(config: Config) -> int:
    """Return the number of workers that `softstep train` starts: one per core, at most one per block."""
    return min(len(config.blocks()), len(machine.cores()))


def sb3(request: Mapping[str, Any], *, one_core: bool = False) -> Sample:
    """Sample stable-baselines3's DQN, with its default threads or with one."""
    return peer("sb3", "sb3_dqn.py", {**request, "threads": 1 if one_core else None}, one_core=one_core)


def sb3_actor_critic(library: str, request: Mapping[str, Any], *, one_core: bool = False) -> Sample:
    """Sample SAC, TD3 or DDPG of stable-baselines3 ("sb3") or sbx, with its default threads or with one."""
    module = {"sb3": "stable_baselines3", "sbx": "sbx"}[library]
    settings = {"library": module, "threads": 1 if one_core else None}
    return peer(library, "sb3_actor_critic.py", {**request, **settings}, one_core=one_core)


def rejax(request: Mapping[str, Any], *, one_core: bool = False) -> Sample:
    """Sample rejax's DQN, with its default threads or with one."""
    return peer("rejax", "rejax_dqn.py", request, one_core=one_core)


def rejax_actor_critic(request: Mapping[str, Any], *, one_core: bool = False) -> Sample:
    """Sample rejax's SAC or TD3, with its default threads or with one."""
    return peer("rejax", "rejax_actor_critic.py", request, one_core=one_core)


def recipe(request: Mapping[str, Any], *, one_core: bool = False) -> Sample:
    """Sample the recipe of flax, optax and flashbax, with XLA's default threads or with one."""
    return peer("recipe", "recipe_dqn.py", {"do": "speed"} | dict(request), one_core=one_core)


def peer(environment: str, program: str, request: Mapping[str, Any], *, one_core: bool = False) -> Sample:
    """Sample a program of benchmarks/peers in its environment, with default threads or with one."""
    return run_request([str(peers.python(environment)), str(peers.HERE / program)], request, one_core=one_core)


def run_request(
    program: Sequence[str],
    request: Mapping[str, Any],
    *,
    one_core: bool = False,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Sample:
    """Run a program on a request and return the JSON object in its last line of output."""
    completed = run([*program, json.dumps(request)], one_core=one_core, variables=variables)
    return json.loads(completed.stdout.strip().splitlines()[-1])


def run(
    command: Sequence[str],
    *,
    one_core: bool = False,
    accept: Sequence[int] = (0,),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """Run a command to completion.

    Args:
        command: The command line.
        one_core: Run it on one core with one thread, not with all cores and default threads.
        accept: Exit codes that are no failure.
        variables: Further environment variables.

    Returns:
        The completed process, with its output.

    Raises:
        BenchmarkError: It exited with another code.
    """
    core = machine.cores()[-1]
    completed = subprocess.run(
        command,
        cwd=ROOT,
        env=machine.environment(one_thread=one_core) | dict(variables),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=(lambda: machine.pin_to(core)) if one_core else None,
    )
    if completed.returncode not in accept:
        errors = "\n".join(completed.stderr.strip().splitlines()[-15:])
        raise BenchmarkError(f"{' '.join(map(str, command[:3]))} … exited with code {completed.returncode}:\n{errors}")
    return completed


def time_command(command: Sequence[str]) -> Sample:
    """Return the wall time of a command."""
    start = time.perf_counter()
    run(command)
    return {"seconds": time.perf_counter() - start}
