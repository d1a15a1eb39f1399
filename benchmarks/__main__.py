"""`python -m benchmarks [NAME ...] [--quick] [--list]`: run benchmarks, print their tables, keep them as JSON."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from benchmarks import machine
from benchmarks.measure import ROOT, Failed, Result

BENCHMARKS = {
    "startup": "import, --help, and the first gradient step of a second start",
    "cartpole": "agent-steps/s on CartPole beside rejax and stable-baselines3",
    "lander": "environment steps/s on Lunar Lander beside stable-baselines3",
    "checkpoint": "what checkpoints cost",
    "capacity": "the cost of a step against replay capacity, and peak memory",
    "explorer": "the explorer's start, its sliders, and what the live stream costs training",
    "study": "populations of 8 to 256 agents beside rejax; Lander populations; the arithmetic floor",
    "adapters": "a soft update of a PyTorch network beside four other ways",
    "fast": "time to a landing with --preset fast, 10 seeds, judged on 100 fresh episodes",
}
"""Name and purpose, in the order they run."""


def main(argv: list[str] | None = None) -> int:
    """Run what is asked for; 1 where a benchmark could not run, 2 for a name there is none of, else 0."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        print("\n".join(f"{name:11} {purpose}" for name, purpose in BENCHMARKS.items()))
        return 0
    unknown = [name for name in arguments.names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    about = machine.describe()
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, {about['system']}")
    if arguments.quick:
        print("quick: a look at whether everything works; the numbers mean nothing")
    failed = [name for name in arguments.names or BENCHMARKS if not _run(name, quick=arguments.quick)]
    if failed:
        print(f"\ncould not run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; all of them by default")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; the numbers mean nothing")
    parser.add_argument("--list", action="store_true", help="say what there is")
    return parser


def _run(name: str, *, quick: bool) -> bool:
    """Run one benchmark, print and keep its result; False where it failed."""
    print(f"\n== {name}: {BENCHMARKS[name]}", flush=True)
    busy, load = machine.busy_share(), os.getloadavg()[0]
    warning = machine.warning(busy, load)
    if warning:
        print(warning, flush=True)
    try:
        result: Result = importlib.import_module(f"benchmarks.{name}").run(quick=quick)
    except (Failed, OSError) as error:
        print(f"\n{name} FAILED: {error}", file=sys.stderr)
        return False
    result.busy = busy
    print(f"\n{result.text()}")
    if warning:
        print(warning)
    print(f"kept in {result.save(quick=quick).relative_to(ROOT)}", flush=True)
    return True


if __name__ == "__main__":
    raise SystemExit(main())
