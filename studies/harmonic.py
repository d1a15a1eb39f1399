"""Gather the studies of the harmonic schedule: one table of agents each, and the verdicts on both metrics.

    python studies/harmonic.py runs/harmonic/*   # the tables of finished studies, in docs/results/harmonic
    python studies/harmonic.py                   # the summary again, from those tables

studies/harmonic/README.md declares the studies and their claims.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from atlas import finished_study, write_winners

from softstep.files import json_text, write_atomically
from softstep.studies.judge import judge_study
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents, summarize_contenders
from softstep.studies.table import parquet_bytes
from softstep.studies.winners import Winner

ROOT = Path(__file__).parents[1]
SPECS = ROOT / "studies" / "harmonic"
RESULTS = ROOT / "docs" / "results" / "harmonic"
CLAIMED_METRICS = ("final_return", "mean_return")
"""The final return, which also chooses the winners, and the area under the curve."""


def read_spec(name: str) -> Spec:
    """Read a spec by its study's name."""
    path = SPECS / f"{name}.toml"
    return Spec.from_toml(path.read_text(encoding="utf-8"), source=str(path))


def collect(folder: Path) -> None:
    """Write the agents, the declaration and the winners of a finished study; SystemExit if it is not finished."""
    study = finished_study(folder, SPECS)
    write_winners(study, RESULTS / f"{folder.name}.json")
    write_atomically(RESULTS / f"{folder.name}.parquet", parquet_bytes(summarize_agents(study.frame, study.spec)))


def summarize_study(name: str) -> dict[str, Any]:
    """Return the contenders of a study on its judging seeds, and the verdicts on its claims by metric."""
    fields = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    winners = [Winner(row["contender"], row["candidate"], tuple(row["scores"])) for row in fields["winners"]]
    spec, agents = read_spec(name), pl.read_parquet(RESULTS / f"{name}.parquet")
    verdicts = {
        metric: [
            verdict._asdict() for verdict in judge_study(agents, dataclasses.replace(spec, metric=metric), winners)
        ]
        for metric in CLAIMED_METRICS
    }
    return {
        "env": spec.base.env, "margin": spec.criteria.margin, "verdicts": verdicts,
        "contenders": summarize_contenders(agents, spec, winners).to_dicts(),
    }  # fmt: skip


def finished() -> list[str]:
    """Return the names of the studies that were collected."""
    return sorted(path.stem for path in SPECS.glob("*.toml") if (RESULTS / f"{path.stem}.json").exists())


def main(arguments: Sequence[str]) -> None:
    """Collect the finished studies in the given folders, if there are any, and write the summary."""
    for folder in map(Path, arguments):
        if not (SPECS / f"{folder.name}.toml").exists():
            names = ", ".join(sorted(path.stem for path in SPECS.glob("*.toml")))
            raise SystemExit(f"{folder} is not named after a study of the harmonic schedule: {names}")
        collect(folder)
    if not finished():
        raise SystemExit(f"{RESULTS} has no study yet: give the folders of the finished ones")
    summary = {name: summarize_study(name) for name in finished()}
    write_atomically(RESULTS / "summary.json", (json_text(summary, indent=1) + "\n").encode())


if __name__ == "__main__":
    main(sys.argv[1:])
