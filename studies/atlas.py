"""Gather the atlas: the tables of its studies, and what they say together.

    python studies/atlas.py runs/atlas/*   # when these studies are finished; docs/results/atlas gets their tables
    python studies/atlas.py                # the summary again, from those tables

studies/protocol.md declares the studies, the metric, the claims and the normalization.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from softstep import stats
from softstep.files import json_text, write_atomically
from softstep.policies.rejudging import study_best_returns
from softstep.studies.best_checkpoints import best_checkpoint_differences, with_best_checkpoints
from softstep.studies.judge import judge_study
from softstep.studies.run_study import Study
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents, summarize_contenders
from softstep.studies.table import parquet_bytes
from softstep.studies.winners import Winner

ROOT = Path(__file__).parents[1]
SPECS = ROOT / "studies" / "atlas"
RESULTS = ROOT / "docs" / "results" / "atlas"
COLUMNS = (
    "cell", "contender", "candidate", "seed", "env_steps", "learning_rate", "tau", "c", "period", "eval_return",
    "diverged", "y_drift",
)  # fmt: skip
"""Columns of a study's table that are kept, of its records with an evaluation and of every agent's last one."""

SCALES = {
    "cartpole": (22.0, 475.0),
    "acrobot": (-497.0, -100.0),
    "mountain-car": (-200.0, -110.0),
    "lunar-lander": (-184.0, 200.0),
    "breakout": (0.4, 28.0),
    "space-invaders": (4.4, 131.0),
    "freeway": (0.35, 58.0),
    "pendulum": (-1_241.0, -150.0),
    "continuous-lander": (-210.0, 200.0),
    "bipedal-walker": (-100.0, 300.0),
}
"""Returns that are normalized to 0 (uniformly random actions) and to 1 (the threshold), by study."""

FIRST = "soft"
"""The contender with which all others are compared."""

FRESH_EPISODES = 100
"""Fresh episodes on which the best checkpoint of every judged agent is judged again."""


class Finished(NamedTuple):
    """A finished study: its spec, its table, the winners of its contenders, and their best checkpoints."""

    spec: Spec
    table: pl.DataFrame
    winners: list[Winner]
    best: pl.DataFrame | None
    """What the best checkpoint of every judged agent earns on fresh episodes; None if that was not measured."""


def read_spec(name: str) -> Spec:
    """Read a spec of the atlas by its study's name."""
    path = SPECS / f"{name}.toml"
    return Spec.from_toml(path.read_text(encoding="utf-8"), source=str(path))


def kept_rows(table: pl.DataFrame) -> pl.DataFrame:
    """Return the records of a study's table that its summaries need."""
    last = pl.col("env_steps") == pl.col("env_steps").max().over("cell", "seed")
    kept = table.filter(pl.col("eval_return").is_finite() | last)
    return kept.select(name for name in COLUMNS if name in kept.columns)


def finished_study(folder: Path, specs: Path) -> Study:
    """Return the study of a folder that bears its spec's name; SystemExit if it is not finished."""
    study = Study(folder)
    if not study.finished:
        spec = (specs / f"{folder.name}.toml").relative_to(specs.parents[1])
        raise SystemExit(f"{folder} is not finished: softstep study run {spec} --out {folder} --resume")
    return study


def write_winners(study: Study, path: Path) -> None:
    """Write a study's declaration and the winners of its contenders as JSON."""
    declaration = json.loads((study.path / "declaration.json").read_text(encoding="utf-8"))
    fields = {"declaration": declaration, "winners": [winner._asdict() for winner in study.winners]}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json_text(fields, indent=1) + "\n").encode())


def collect(folder: Path) -> None:
    """Write the table, the winners and their best checkpoints of a finished study to `RESULTS`.

    Best checkpoints that have not been played on `FRESH_EPISODES` yet are played, and the study keeps the result.
    SystemExit if the study is not finished.
    """
    study = finished_study(folder, SPECS)
    best = study_best_returns(study, FRESH_EPISODES)
    write_winners(study, RESULTS / f"{folder.name}.json")
    write_atomically(RESULTS / f"{folder.name}.parquet", parquet_bytes(kept_rows(study.frame)))
    write_atomically(best_file(folder.name), parquet_bytes(best))


def best_file(name: str) -> Path:
    """Return the file with the best checkpoints of a study's judged agents."""
    return RESULTS / f"{name}-best-checkpoints.parquet"


def read_finished(name: str) -> Finished:
    """Read what `collect` wrote of a study."""
    fields = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    winners = [Winner(row["contender"], row["candidate"], tuple(row["scores"])) for row in fields["winners"]]
    best = pl.read_parquet(best_file(name)) if best_file(name).exists() else None
    return Finished(read_spec(name), pl.read_parquet(RESULTS / f"{name}.parquet"), winners, best)


def summarize_study(study: Finished) -> dict[str, Any]:
    """Return the contenders of a study on its judging seeds, and the verdicts on its claims.

    Where best checkpoints were judged again, the contenders have their mean return on fresh episodes, and `secondary`
    has its differences between the sides of the claims, on which no verdict rests.
    """
    agents = with_best_checkpoints(summarize_agents(study.table, study.spec), study.best, study.spec)
    verdicts = judge_study(agents, study.spec, study.winners)
    secondary = best_checkpoint_differences(agents, study.spec, verdicts)
    return {
        "env": study.spec.base.env,
        "margin": study.spec.criteria.margin,
        "contenders": summarize_contenders(agents, study.spec, study.winners).to_dicts(),
        "verdicts": [verdict._asdict() for verdict in verdicts],
        **({"secondary": [difference._asdict() for difference in secondary]} if secondary else {}),
    }


def judging_returns(study: Finished) -> dict[str, np.ndarray]:
    """Return the primary metric on the judging seeds, in their order, by contender."""
    agents = summarize_agents(study.table, study.spec)
    judging = agents.filter(pl.col("seed") >= study.spec.judging_seeds.start).sort("seed")
    return {
        winner.contender: judging.filter(pl.col("cell") == winner.cell)[study.spec.metric].to_numpy()
        for winner in study.winners
    }


def over_environments(returns: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Return the interquartile mean of every contender that all studies have, and how likely `soft` is better.

    Args:
        returns: returns of judging seeds by study and contender.
    """
    shared = [name for name in next(iter(returns.values())) if all(name in study for study in returns.values())]
    scores = {
        name: {study: stats.normalized(values[name], *SCALES[study]) for study, values in returns.items()}
        for name in shared
    }
    return {
        "studies": list(returns),
        "iqm": {name: stats.iqm_interval(scores[name])._asdict() for name in shared},
        "improvement": {
            name: stats.improvement_interval(scores[FIRST], scores[name])._asdict() for name in shared if name != FIRST
        },
    }


def summarize(names: Sequence[str]) -> dict[str, Any]:
    """Return the summary of all studies; those of Q-learning and all of them are also taken together."""
    studies = {name: read_finished(name) for name in names}
    returns = {name: judging_returns(study) for name, study in studies.items()}
    values = {name: returns[name] for name, study in studies.items() if study.spec.base.algorithm == "dqn"}
    groups = {"dqn": values} if len(values) == len(returns) else {"dqn": values, "all": returns}
    return {
        "studies": {name: summarize_study(study) for name, study in studies.items()},
        "over_environments": {name: over_environments(group) for name, group in groups.items() if len(group) > 1},
    }


def main(arguments: Sequence[str]) -> None:
    """Collect the finished studies in the given folders, if there are any, and write the summary."""
    for folder in map(Path, arguments):
        if folder.name not in SCALES:
            raise SystemExit(f"{folder} is not named after a study of the atlas: {', '.join(SCALES)}")
        collect(folder)
    names = [name for name in SCALES if (RESULTS / f"{name}.json").exists()]
    if not names:
        raise SystemExit(f"{RESULTS} has no study yet: give the folders of the finished ones")
    write_atomically(RESULTS / "summary.json", (json_text(summarize(names), indent=1) + "\n").encode())


if __name__ == "__main__":
    main(sys.argv[1:])
