"""`python -m benchmarks [NAME ...] [--quick] [--list]`: run benchmarks, print their tables and save them as JSON."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from benchmarks import machine
from benchmarks.measure import ROOT, BenchmarkError, Result

BENCHMARKS = {
    "startup": "import, --help, and the first gradient step of a second start",
    "cartpole": "agent-steps/s on CartPole beside rejax and stable-baselines3",
    "recipe": "agent-steps/s on CartPole beside flax, optax and flashbax in one jitted scan (PureJaxRL's shape)",
    "actor_critic": "SAC on Pendulum beside rejax, sbx and stable-baselines3, at two widths; TD3 and DDPG",
    "lander": "environment steps/s on Lunar Lander beside stable-baselines3",
    "checkpoint": "the cost of checkpoints",
    "capacity": "the cost of a step against replay capacity, and peak memory",
    "explorer": "the explorer's start-up time, slider latency, and the cost of the live stream to training",
    "notebook": "the time from a moved slider to its answer in a notebook",
    "study": "populations of 8 to 256 agents beside rejax; Lander populations; the arithmetic lower bound",
    "overhead": "the share of a study's time that evaluation takes, and its table, statistics and report",
    "forecast": "the time that `study run --dry-run` predicts beside the one that the study takes",
    "adapters": "a soft update of a PyTorch network beside four alternatives",
    "fast": "time until Lunar Lander is solved with --preset fast, 10 seeds, judged on 100 fresh episodes",
    "demo": "`softstep compare LunarLander-v3 --preset demo`, from the command to its report",
}
"""Name and purpose of each benchmark, in the order in which they run."""

ON_REQUEST = {"gpu": "agent-steps/s on CartPole on a GPU beside flax, optax and flashbax on the same card"}
"""Benchmarks that run only if they are named: what they need is not on every machine."""

ALL = BENCHMARKS | ON_REQUEST


def main(argv: list[str] | None = None) -> int:
    """Run the requested benchmarks and return the exit code: 1 if one failed, 2 for an unknown name, else 0."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        print("\n".join(f"{name:12} {purpose}" for name, purpose in ALL.items()))
        return 0
    unknown = [name for name in arguments.names if name not in ALL]
    if unknown:
        print(f"unknown benchmark: {', '.join(unknown)}; choose from {', '.join(ALL)}", file=sys.stderr)
        return 2
    description = machine.describe()
    print("{cpu}, {cores} cores, Python {python}, {system}".format(**description))
    if arguments.quick:
        print("quick: only checks that everything works; the numbers are meaningless")
    failed = [name for name in arguments.names or BENCHMARKS if not _run(name, quick=arguments.quick)]
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(ALL)}; by default all but gpu")
    parser.add_argument(
        "--quick", action="store_true", help="take seconds instead of minutes; the numbers are meaningless"
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks")
    return parser


def _run(name: str, *, quick: bool) -> bool:
    """Run one benchmark, print and save its result, and return whether it succeeded."""
    print(f"\n== {name}: {ALL[name]}", flush=True)
    busy, load = machine.busy_share(), os.getloadavg()[0]
    warning = machine.warning(busy, load)
    if warning:
        print(warning, flush=True)
    try:
        result: Result = importlib.import_module(f"benchmarks.{name}").run(quick=quick)
    except (BenchmarkError, OSError) as error:
        print(f"\n{name} FAILED: {error}", file=sys.stderr)
        return False
    result.busy = [busy, machine.busy_share()]
    warning = machine.warning(max(result.busy), load)
    print(f"\n{result.text()}")
    if warning:
        print(warning)
    print(f"saved to {result.save(quick=quick).relative_to(ROOT)}", flush=True)
    return True


if __name__ == "__main__":
    raise SystemExit(main())
