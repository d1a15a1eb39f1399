"""Write the measurements that `softstep advise` quotes, from the tables of docs/results.

    python studies/advice_measurements.py

A map has one cell per (α, τ) of a study; a comparison has one per arm that updates its target after every gradient
step. To add an environment, add its table to `MAPS` or `COMPARISONS`. Candidates are the pairs that the contender
`soft` of the atlas was tuned with, on the selection seeds; every study that studies/atlas.py has collected has some.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from atlas import SCALES, Finished, read_finished
from atlas_pages import settings_of, settings_text

from softstep import presets
from softstep.comparison.scores import return_criteria
from softstep.config import Config
from softstep.files import write_atomically
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
OUT = ROOT / "src" / "softstep" / "advice" / "measurements.json"
ARMS = ("same-alpha", "soft", "best-soft", "best-alpha", "smaller-alpha")
"""Arms of a comparison that are pairs (α, τ) with period 1: without a target network, or with a soft one."""
RETURNS = {"CartPole-v1": (0.0, 500.0), "LunarLander-v3": (-250.0, 250.0)}
"""Returns between which regret is counted: nothing learned, and solved. Returns beyond them are clipped."""


class MapTable(NamedTuple):
    """A study over α and c."""

    name: str
    spec: str


class ComparisonTable(NamedTuple):
    """A comparison made with a preset's settings."""

    name: str
    env: str
    preset: str


MAPS = (MapTable("cartpole-map", "cartpole-map.toml"), MapTable("lander-map", "lander-map.toml"))
COMPARISONS = (
    ComparisonTable("cartpole-curves", "CartPole-v1", "full"),
    ComparisonTable("lander-curves", "LunarLander-v3", "full"),
)


def final_returns(table: pl.DataFrame, groups: list[str], floor: float) -> pl.DataFrame:
    """Return one row per agent: its final return, and how fast y moves.

    Args:
        table: one row per agent and record, in order of time.
        groups: columns that name an agent, besides its α and τ.
        floor: final return of an agent that ends diverged.

    Returns:
        The columns `groups`, learning_rate, tau, final (mean of the last ⌈10 %⌉ of the evaluations) and y_speed
        (median over the records of y_rms/y_sd: standard deviations of y per gradient step).
    """
    returns = pl.col("eval_return").filter(pl.col("eval_return").is_finite())
    speeds = (pl.col("y_rms") / pl.col("y_sd")).filter((pl.col("y_sd") > 0) & pl.col("y_rms").is_finite())
    agents = table.group_by(*groups, "learning_rate", "tau", maintain_order=True).agg(
        returns.tail((returns.len() + 9) // 10).mean().alias("final"),
        pl.col("diverged").last(),
        speeds.median().alias("y_speed"),
    )
    return agents.with_columns(final=pl.when("diverged").then(floor).otherwise("final"))


def cells(agents: pl.DataFrame) -> dict[str, list[float]]:
    """Return the columns of the cells (α, τ): seeds, mean and standard deviation of the final return, speed of y."""
    rows = agents.group_by("learning_rate", "tau").agg(
        pl.len().alias("seeds"),
        pl.col("final").mean().alias("mean"),
        pl.col("final").std().alias("sd"),
        pl.col("y_speed").median(),
    )
    rows = rows.sort("learning_rate", "tau")
    return {name: [six_digits(value) for value in rows[name]] for name in rows.columns}


def six_digits(value: float) -> float:
    """Return a number rounded to six digits; integers stay integers."""
    return value if isinstance(value, int) else float(f"{value:.6g}")


def measurements() -> Iterator[dict[str, Any]]:
    """Yield the content of every table."""
    for name, spec_file in MAPS:
        spec = Spec.from_toml((ROOT / "studies" / spec_file).read_text(encoding="utf-8"), source=spec_file)
        table = pl.read_parquet(RESULTS / f"{name}.parquet")
        agents = final_returns(table, ["cell", "seed"], spec.criteria.floor)
        env = spec.base.env.rpartition(":")[2]
        yield described(name, "map", env, spec.base, table["gradient_steps"].max()) | cells(agents)
    for name, env, preset in COMPARISONS:
        table = pl.read_parquet(RESULTS / f"{name}.parquet").filter(pl.col("arm").is_in(ARMS))
        agents = final_returns(table, ["arm", "seed"], return_criteria(env).floor)
        # two arms may have chosen the same pair: the first one stands for it
        agents = agents.unique(["learning_rate", "tau", "seed"], keep="first", maintain_order=True)
        yield described(name, "comparison", env, presets.get(preset), table["gradient_steps"].max()) | cells(agents)
    for name in [name for name in SCALES if (RESULTS / "atlas" / f"{name}.json").exists()]:
        study = read_finished(name)
        base = study.spec.base
        updates = (base.total_steps - base.learning_starts) // base.train_every * base.gradient_steps
        yield described(f"atlas/{name}", "candidates", base.env.rpartition(":")[2], base, updates) | candidate_cells(
            study
        )


def candidate_cells(study: Finished) -> dict[str, list[float]]:
    """Return the columns of the pairs that the contender `soft` of a study of the atlas was tuned with."""
    agents = summarize_agents(study.table, study.spec)
    tuned = agents.filter(pl.col("cell").str.starts_with("soft/"), pl.col("seed") < study.spec.judging_seeds.start)
    rows = tuned.group_by("alpha", "c").agg(
        pl.len().alias("seeds"),
        pl.col("final_return").mean().alias("mean"),
        pl.col("final_return").std().alias("sd"),
    )
    rows = rows.select(
        pl.col("alpha").alias("learning_rate"), (1 - pl.col("c")).alias("tau"), "seeds", "mean", "sd", y_speed=0.0
    )
    rows = rows.sort("learning_rate")
    return {name: [six_digits(value) for value in rows[name]] for name in rows.columns}


def described(name: str, kind: str, env: str, config: Config, updates: int) -> dict[str, Any]:
    """Return what all cells of a table share.

    Args:
        name: name of the file in docs/results, without its ending.
        kind: `map`, `comparison` or `candidates`.
        env: the environment's id without its maker.
        config: settings of all agents.
        updates: G, gradient steps of a run.
    """
    lowest, highest = RETURNS[env] if kind != "candidates" else SCALES[Path(name).name]
    return {
        "source": f"docs/results/{name}.parquet", "kind": kind, "environment": env, "algorithm": config.algorithm,
        "gamma": config.gamma, "updates": updates, "optimizer": config.optimizer,
        "lowest_return": lowest, "highest_return": highest,
    }  # fmt: skip


def contests() -> Iterator[dict[str, Any]]:
    """Yield every collected study of the atlas: its contenders on the judging seeds, and `soft` − `none`."""
    summary = json.loads((RESULTS / "atlas" / "summary.json").read_text(encoding="utf-8"))
    for name, study in summary["studies"].items():
        finished = read_finished(name)
        spec = finished.spec
        verdict = next(row for row in study["verdicts"] if row["claim"] == "soft-beats-none")
        contenders = [
            {
                "name": row["contender"],
                "settings": settings_text(settings_of(finished, row["contender"], row["candidate"])),
                **{name: six_digits(row[name]) for name in ("selection_score", "mean", "low", "high")},
                "best_checkpoint": six_digits(row["fresh_return"]),
            }
            for row in sorted(study["contenders"], key=lambda row: -row["mean"])
        ]  # fmt: skip
        yield {
            "source": f"docs/results/atlas/{name}.md", "environment": spec.base.env.rpartition(":")[2],
            "algorithm": spec.base.algorithm, "candidates": spec.draw.count, "seeds": len(spec.judging_seeds),
            "margin": study["margin"], **{end: six_digits(verdict[end]) for end in ("estimate", "low", "high")},
            "verdict": verdict["verdict"], "contenders": contenders,
        }  # fmt: skip


def as_text() -> str:
    """Return the file's content."""
    tables, judged = (",\n".join(json.dumps(row) for row in rows) for rows in (measurements(), contests()))
    return f'{{"schema": 1, "tables": [\n{tables}\n], "contests": [\n{judged}\n]}}\n'


if __name__ == "__main__":
    write_atomically(OUT, as_text().encode())
    print(f"wrote {OUT}")
