"""Figures of the texts, recomputed from the committed tables of docs/results, and formatted as the texts print them."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from softstep.comparison.scores import by_agent, return_criteria, scores_by_seed
from softstep.comparison.target_moves import mean_move, rms_move
from softstep.report.media.curves_svg import curves_svg
from softstep.report.shared.formatting import minus_sign
from softstep.stats import mean_interval, paired_difference
from softstep.studies.judge import StudyVerdict, judge_study
from softstep.studies.predictor import Predictor, rank_predictors
from softstep.studies.spec import Spec
from softstep.studies.summaries import summarize_agents, summarize_cells

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"

When = Literal["end", "half", "half by rule", "best"]
"""Which evaluations score an agent: the last tenth; the same number at half the length; the last tenth of a run of half
the length; the best single one."""

Measure = Literal["mean", "rms"]
"""Of the moves of y: their mean, or the root of their mean square."""


def number(value: float, digits: int = 0) -> str:
    """Return a number with `digits` digits behind the point."""
    return minus_sign(f"{value:.{digits}f}")


def thousands(value: int) -> str:
    """Return a count with spaces between thousands: 124 980."""
    return f"{value:,}".replace(",", " ")


def fraction(value: float) -> str:
    """Return a share in words, of which the texts use one."""
    return {0.01: "a hundredth"}[round(value, 2)]


def scientific(value: float) -> str:
    """Return a small number with two digits: 4.6e−13."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{minus_sign(str(int(exponent)))}"


def spread(values: np.ndarray) -> str:
    """Return mean ± standard deviation."""
    return minus_sign(f"{values.mean():.0f} ± {values.std(ddof=1):.0f}")


def interval(estimate: float, low: float, high: float, digits: int = 0) -> str:
    """Return an estimate with its interval: 155 [70, 239]."""
    return minus_sign(f"{estimate:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]")


class Returns:
    """Greedy returns of a run's agents on fresh episodes, as `softstep eval --json` printed them."""

    def __init__(self, name: str) -> None:
        self._name = name
        stored = json.loads((RESULTS / f"{name}-returns.json").read_text(encoding="utf-8"))
        self.config: dict[str, object] = stored["config"]
        self.episodes: int = stored["episodes"]
        self.means = np.array([agent["mean"] for agent in stored["agents"]])

    def score(self) -> str:
        """Return the mean over agents ± its standard deviation."""
        return f"{number(self.means.mean())} ± {number(self.means.std(ddof=1))}"

    def median(self) -> str:
        """Return the median over agents."""
        return number(float(np.median(self.means)))

    def reached(self, threshold: float) -> int:
        """Return the number of agents whose mean return is at least `threshold`."""
        return int((self.means >= threshold).sum())

    def evaluations(self, **where: int) -> list[float]:
        """Return the returns of the evaluations during training with that `seed` or `env_steps`, the lowest first."""
        table = pl.read_parquet(RESULTS / f"{self._name}-evaluations.parquet")
        return table.filter(**where)["eval_return"].sort().to_list()

    def lowest(self, rank: int) -> str:
        """Return the lowest mean return (rank 0), the second lowest (rank 1), …"""
        return number(float(np.sort(self.means)[rank]))


class Atlas:
    """The summary of the atlas."""

    def __init__(self) -> None:
        self.studies = json.loads((RESULTS / "atlas" / "summary.json").read_text(encoding="utf-8"))["studies"]

    def difference(
        self, study: str, claim: str, kind: Literal["verdicts", "secondary"] = "verdicts", digits: int = 0
    ) -> str:
        """Return a claim's difference with its interval, in final returns or (secondary) between best checkpoints."""
        (row,) = [row for row in self.studies[study][kind] if row["claim"] == claim]
        return interval(row["estimate"], row["low"], row["high"], digits)

    def best(self, study: str) -> str:
        """Return the contender with the highest final return."""
        return max(self.studies[study]["contenders"], key=lambda row: row["mean"])["contender"]


class Comparison:
    """The judged agents of a comparison."""

    def __init__(self, name: str, env: str) -> None:
        self.curves = pl.read_parquet(RESULTS / f"{name}-curves.parquet")
        self.floor = return_criteria(env).floor
        self.steps = int(self.curves["env_steps"].max())
        self.gradient_steps = int(self.curves["gradient_steps"].max())
        self.seeds = self.curves["seed"].n_unique()
        verdicts = RESULTS / f"{name}-verdict.json"
        rows = json.loads(verdicts.read_text(encoding="utf-8")) if verdicts.is_file() else []
        self.verdicts = {row["claim"]: row for row in rows}

    @functools.cache  # noqa: B019
    def scores(self, when: When) -> dict[str, dict[int, float]]:
        """Return one score per agent, by arm and seed."""
        evaluated = self.curves.filter(pl.col("eval_return").is_finite())
        half = evaluated.filter(pl.col("env_steps") <= self.steps // 2)
        if when == "half":
            count = math.ceil(evaluated["env_steps"].n_unique() / 10)  # as many as at the end
            half = half.filter(pl.col("env_steps").rank("dense", descending=True).over("arm", "seed") <= count)
            means = half.group_by("arm", "seed", maintain_order=True).agg(pl.col("eval_return").mean())
        elif when == "best":
            means = evaluated.group_by("arm", "seed", maintain_order=True).agg(pl.col("eval_return").max())
        else:
            return scores_by_seed(self.curves if when == "end" else half, self.floor)
        scores: dict[str, dict[int, float]] = {}
        for arm, seed, value in means.iter_rows():
            scores.setdefault(arm, {})[seed] = value
        return scores

    def values(self, arm: str, when: When = "end", first_seed: int = 0) -> np.ndarray:
        """Return an arm's scores in the order of the seeds."""
        scores = self.scores(when)[arm]
        return np.array([scores[seed] for seed in sorted(scores) if seed >= first_seed])

    def score(self, arm: str, when: When = "end") -> str:
        """Return mean ± standard deviation of an arm."""
        return spread(self.values(arm, when))

    def median(self, arm: str) -> str:
        return number(float(np.median(self.values(arm))))

    def gap(self, first: str, second: str, when: When = "end", first_seed: int = 0) -> str:
        """Return the mean difference of two arms, paired by seed, with its 95 % interval."""
        paired = paired_difference(*(self.values(arm, when, first_seed) for arm in (first, second)))
        return interval(paired.estimate, paired.low, paired.high)

    def p(self, first: str, second: str) -> str:
        return number(paired_difference(self.values(first), self.values(second)).p, 3)

    def reached(self, arm: str, threshold: float) -> int:
        """Return how many agents of an arm had an evaluation at `threshold` or above."""
        return int((self.values(arm, "best") >= threshold).sum())

    def last(self, arm: str, column: str) -> str:
        """Return mean ± standard deviation of a column at the end of the run."""
        values = self.curves.filter((pl.col("arm") == arm) & (pl.col("env_steps") == self.steps))[column].to_numpy()
        return minus_sign(f"{values.mean():.1f} ± {values.std(ddof=1):.1f}")

    def setting(self, arm: str, column: str) -> float:
        return self.curves.filter(pl.col("arm") == arm)[column].item(0)

    def alpha(self, arm: str) -> str:
        return f"{self.setting(arm, 'learning_rate'):.2g}"

    def tau(self, arm: str) -> str:
        return f"{self.setting(arm, 'tau'):.2g}"

    def period(self, arm: str) -> int:
        return int(self.setting(arm, "period"))

    def log_ratios(self, first: str, second: str, measure: Measure) -> np.ndarray:
        """Return log(first / second) of how far y moves per update, in SDs of y, by seed."""
        move = {"mean": mean_move, "rms": rms_move}[measure]
        agents = by_agent(self.curves.filter(pl.col("arm").is_in([first, second])))
        seeds = sorted(seed for arm, seed in agents if arm == first)
        return np.array([math.log(move(agents[first, seed]) / move(agents[second, seed])) for seed in seeds])

    def ratio(self, first: str, second: str) -> float:
        """Return the geometric mean over seeds of how much farther y moves in the first arm."""
        return float(np.exp(self.log_ratios(first, second, "mean").mean()))

    def moves(self, first: str, second: str, measure: Measure = "mean") -> str:
        """Return that ratio with its interval: × 0.0096 [0.0085, 0.011]."""
        logs = self.log_ratios(first, second, measure)
        estimate, low, high = (f"{value:.2g}" for value in np.exp([logs.mean(), *mean_interval(logs)]))
        return f"× {estimate} [{low}, {high}]"

    def seeds_for_margin(self, margin: float) -> float:
        """Return to how many seeds, in tens, the interval of the headline claim would leave a margin below it."""
        row = self.verdicts["no-smaller-alpha-matches-soft"]
        low, high = row["interval"]
        return round(row["n"] * ((high - low) / 2 / (row["estimate"] - margin)) ** 2, -1)

    def verdict(self, claim: str) -> str:
        return str(self.verdicts[claim]["verdict"])

    def distance(self, claim: str) -> float:
        return float(self.verdicts[claim]["estimate"])

    def p_holm(self, claim: str) -> str:
        p = float(self.verdicts[claim]["p_holm"])
        return scientific(p) if p < 0.01 else f"{p:.2f}"


class Map:
    """The agents of a study over α and c."""

    def __init__(self, name: str) -> None:
        text = (ROOT / "studies" / f"{name}.toml").read_text(encoding="utf-8")
        self.spec = Spec.from_toml(text, source=f"{name}.toml")
        self.agents = summarize_agents(pl.read_parquet(RESULTS / f"{name}.parquet"), self.spec)
        self.cells = summarize_cells(self.agents)

    def returns(self, alpha: float, c: float) -> np.ndarray:
        return self.agents.filter((pl.col("alpha") == alpha) & (pl.col("c") == c))["final_return"].to_numpy()

    def cell(self, alpha: float, c: float) -> str:
        """Return mean ± standard deviation over the seeds of a cell."""
        return spread(self.returns(alpha, c))

    def means(self, alphas: Iterable[float] = (), cs: Iterable[float] = ()) -> list[float]:
        """Return the means of the cells with one of these α and one of these c, in ascending order; empty means all."""
        chosen = self.cells
        for name, values in (("alpha", [float(alpha) for alpha in alphas]), ("c", [float(c) for c in cs])):
            chosen = chosen.filter(pl.col(name).is_in(values)) if values else chosen
        return sorted(chosen["mean"].to_list())

    def best(self, *, target: bool) -> str:
        """Return the cell with the highest mean, with a target network or without: `0.0003: −46 ± 142`."""
        sides = self.cells.filter((pl.col("c") > 0) == target).sort("mean", descending=True)
        return self.cell(sides["alpha"][0], sides["c"][0])

    @functools.cache  # noqa: B019
    def predictors(self, clip: float = -math.inf) -> dict[str, Predictor]:
        """Return how well each number predicts unseen cells, the best first; returns below `clip` count as `clip`."""
        return {predictor.name: predictor for predictor in rank_predictors(self.agents, clip)}

    def percent(self, name: str, clip: float = -math.inf) -> str:
        return number(100 * self.predictors(clip)[name].r2) + " %"

    def three(self, name: str) -> str:
        """Return the predictor's row of a table: over rows and columns, over rows, over columns."""
        predictor = self.predictors()[name]
        return " | ".join(number(value, 2) for value in (predictor.r2, predictor.r2_rows, predictor.r2_columns))

    def reproducible(self, name: str, clip: float = -math.inf) -> str:
        """Return the share of the reproducible variance with its interval: 0.31 [0.23, 0.43]."""
        found = self.predictors(clip)[name]
        share, low, high = (number(value, 2) for value in (found.reproducible, found.low, found.high))
        return f"{share} [{low}, {high}]"

    def noise_share(self) -> str:
        """Return the share of the variance between the cells' means that the spread of their seeds explains."""
        noise = float((self.cells["sd"] ** 2).mean()) / self.spec.seeds
        return number(100 * noise / float(self.cells["mean"].var())) + " %"

    def spans(self) -> list[float]:
        """Return max − min of the cells' means in every group of at least three cells with equal (1−c)α."""
        groups: dict[str, list[float]] = {}
        for alpha, c, mean in self.cells.select("alpha", "c", "mean").iter_rows():
            groups.setdefault(f"{(1 - c) * alpha:.3g}", []).append(mean)
        return [max(group) - min(group) for group in groups.values() if len(group) >= 3]

    def verdict(self) -> StudyVerdict:
        return judge_study(self.agents, self.spec)[0]

    def judging_mean(self, alpha: float, c: float) -> str:
        """Return a cell's mean over the judging seeds alone."""
        judging = self.agents.filter(pl.col("seed") >= self.spec.base.seed + self.spec.selection)
        return number(float(judging.filter((pl.col("alpha") == alpha) & (pl.col("c") == c))["final_return"].mean()))


PICTURES = {
    "lander": (
        "Lunar Lander: soft update, or just a smaller step?",
        "the course lab's settings; greedy return over 30 episodes per evaluation",
    ),
    "cartpole": (
        "CartPole: the same question, another answer",
        "α = 0.001, τ = 0.001; best-soft and best-alpha chosen on other seeds",
    ),
    "demo": (
        "The demo: six seeds and 250 000 steps settle nothing",
        "LunarLander-v3 with the course lab's settings; greedy return over 5 episodes per evaluation",
    ),
}
"""Title and note of every picture of curves."""


def picture(name: str) -> str:
    """Return a picture of curves, drawn from its table."""
    title, note = PICTURES[name]
    curves = pl.read_parquet(RESULTS / f"{name}-curves.parquet")
    return curves_svg(curves, title=title, note=note, details={"blended": "α 0.001, with itself"})
