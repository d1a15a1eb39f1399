"""Write the tables and pictures of the atlas's pages from the tables in docs/results/atlas.

    python studies/atlas_pages.py

A page has a generated table between two markers that name it; the words around it are written by hand.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import atlas
import polars as pl

from softstep.files import write_atomically
from softstep.report.media.curves_svg import curves_svg
from softstep.report.shared.formatting import format_result, format_setting, minus_sign

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "atlas"
PAGE = RESULTS / "README.md"
"""The page of all environments; that of one environment is beside its table."""

BLOCK = re.compile(r"(<!-- atlas: (?P<name>[a-z-]+) -->\n).*?(<!-- atlas: end -->)", re.DOTALL)
SHORT_NAMES = {"learning_rate": "α", "target.tau": "τ", "target.period": "period", "learning_rate_decay": "α decays to",
               "max_grad_norm": "clipping", "double_q": "double Q"}  # fmt: skip
PICTURED = ("soft", "none", "hard", "harmonic", "layer-norm", "three-step")
"""Contenders in the picture of an environment; nine curves could not be told apart."""
FIXED = ("c", "normalization", "target_scope", "n_step", "target.schedule")
"""Settings that are the same for all candidates of a contender and that its name states."""

Row = Mapping[str, Any]


def settings_of(study: Any, contender: str, candidate: int) -> Mapping[str, Any]:
    """Return the settings of a contender's candidate, whose numbers begin at 1."""
    return study.spec.contenders[contender].candidates[candidate - 1]


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def interval(row: Row, estimate: str = "estimate") -> str:
    """Return a number with its interval: 24 [−24, 73]."""
    low, high = format_result(row["low"]), format_result(row["high"])
    return f"{format_result(row[estimate])} [{low}, {high}]"


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return a candidate's settings in short: α = 0.001, τ = 0.005."""
    shown = {name: value for name, value in settings.items() if name not in FIXED}
    return ", ".join(f"{SHORT_NAMES.get(name, name)} = {_value_text(value)}" for name, value in shown.items())


def _value_text(value: Any) -> str:
    if value is None:
        return "no"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return minus_sign(format_setting(value)) if isinstance(value, (int, float)) else str(value)


def verdict_of(summary: Row, claim: str) -> Row | None:
    """Return a claim's verdict in a study, if the study has the claim."""
    return next((row for row in summary["verdicts"] if row["claim"] == claim), None)


def within_margin(means: Mapping[Any, float], margin: float) -> list[Any]:
    """Return the names whose mean is less than the margin below the best, the best first."""
    best = max(means.values())
    return sorted((name for name, mean in means.items() if mean > best - margin), key=lambda name: -means[name])


def overview(summary: Row, studies: Mapping[str, Any]) -> str:
    """Return the table of all environments: does a target help, by how much, which kind, which τ."""
    rows = []
    for name, study in summary["studies"].items():
        verdict = verdict_of(study, "soft-beats-none")
        means = {row["contender"]: row["mean"] for row in study["contenders"]}
        kinds = within_margin(means, study["margin"])
        rows.append([
            f"[{study['env']}]({name}.md)", verdict["verdict"] if verdict else "–",
            interval(verdict) if verdict else "–", f"{study['margin']:g}",
            best_checkpoint_difference(study, "soft-beats-none"),
            ", ".join(f"`{kind}` {format_result(means[kind])}" for kind in kinds), tau_range(studies[name]),
        ])  # fmt: skip
    heads = [
        "environment",
        "does a target help?",
        "by how much (`soft` − `none`)",
        "δ",
        "of best checkpoints",
        "within δ of the best",
        "which τ",
    ]
    return table(heads, rows)


def tau_range(study: Any) -> str:
    """Return the τ of the winner of `soft`, and of its candidates whose selection score is within δ of the winner's."""
    winner = next(winner for winner in study.winners if winner.contender == "soft")
    candidates = study.spec.contenders["soft"].candidates
    scores = dict(enumerate(winner.scores))
    near = sorted(candidates[number]["target.tau"] for number in within_margin(scores, study.spec.criteria.margin))
    chosen = format_setting(candidates[winner.candidate - 1]["target.tau"])
    span = f": {format_setting(near[0])} to {format_setting(near[-1])}" if len(near) > 1 else ""
    return f"{chosen} ({len(near)} of {len(candidates)} within δ{span})"


def contenders_table(summary: Row, study: Any) -> str:
    """Return the contenders of one environment on the judging seeds, the best first."""
    rows = []
    for row in sorted(summary["contenders"], key=lambda row: -row["mean"]):
        settings = settings_of(study, row["contender"], row["candidate"])
        rows.append([
            f"`{row['contender']}`", settings_text(settings), format_result(row["selection_score"]),
            interval(row, "mean"), format_result(row["mean_return"]), format_result(row.get("fresh_return", math.nan)),
        ])  # fmt: skip
    heads = [
        "contender",
        "its winner",
        "on selection seeds",
        "final return, judged",
        "mean over the run",
        "best checkpoint",
    ]
    return table(heads, rows)


def verdicts_table(summary: Row, _: Any) -> str:
    """Return the verdicts on the claims of one environment."""
    rows = [
        [f"`{row['claim']}`", row["verdict"], interval(row), f"{row['p_holm']:.2g}", f"{row['improvement']:.2f}",
         best_checkpoint_difference(summary, row["claim"])]
        for row in summary["verdicts"]
    ]  # fmt: skip
    heads = ["claim", "verdict", "difference, 95 % interval", "p after Holm", "P(better)", "of best checkpoints"]
    return table(heads, rows)


def best_checkpoint_difference(summary: Row, claim: str) -> str:
    """Return how far the best checkpoints of a claim's sides differ on fresh episodes, which is not judged."""
    row = next((row for row in summary.get("secondary", ()) if row["claim"] == claim), None)
    return interval(row) if row else "–"


def candidates_table(_: Row, study: Any) -> str:
    """Return all candidates of one environment with their scores on the selection seeds, the best first."""
    rows = []
    for winner in study.winners:
        order = sorted(range(len(winner.scores)), key=lambda number: -winner.scores[number])
        settings = study.spec.contenders[winner.contender].candidates
        listed = "; ".join(f"{format_result(winner.scores[i])} ({settings_text(settings[i])})" for i in order)
        rows.append([f"`{winner.contender}`", listed])
    return table(["contender", "mean on the selection seeds (settings), the best first"], rows)


def together_table(summary: Row, group: str) -> str:
    """Return the contenders over environments."""
    together = summary["over_environments"].get(group)
    if together is None:
        return "Not enough environments yet.\n"
    order = sorted(together["iqm"], key=lambda name: -together["iqm"][name]["estimate"])
    rows = [
        [f"`{name}`", _two_digits(together["iqm"][name]), _two_digits(together["improvement"].get(name))]
        for name in order
    ]
    return table(["contender", "interquartile mean of normalized returns", "P(`soft` is better)"], rows)


def _two_digits(row: Row | None) -> str:
    return "–" if row is None else minus_sign(f"{row['estimate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]")


def filled(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """Return a page with its generated tables."""
    return BLOCK.sub(lambda block: f"{block[1]}{blocks[block['name']]()}{block[3]}", text)


def picture(study: Any, title: str) -> str:
    """Return the learning curves of the winners on the judging seeds as SVG."""
    names = {winner.cell: winner.contender for winner in study.winners if winner.contender in PICTURED}
    judged = study.table.filter(
        pl.col("cell").is_in(list(names)) & (pl.col("seed") >= study.spec.judging_seeds.start)
    ).with_columns(arm=pl.col("cell").replace(names))
    shown = ("learning_rate", "target.tau", "target.period")  # the others are in the table
    details = {
        winner.contender: settings_text(
            {
                name: value
                for name, value in settings_of(study, winner.contender, winner.candidate).items()
                if name in shown
            }
        )
        for winner in study.winners
    }
    return curves_svg(judged.drop("cell"), title=title, details={name: details[name] for name in names.values()})


def pages() -> dict[Path, str]:
    """Return the text of every page and picture by its path."""
    summary = json.loads((RESULTS / "summary.json").read_text(encoding="utf-8"))
    studies = {name: atlas.read_finished(name) for name in summary["studies"]}
    texts = {}
    for name, study in studies.items():
        of_study, page = summary["studies"][name], RESULTS / f"{name}.md"
        blocks = {
            "contenders": lambda s=of_study, f=study: contenders_table(s, f),
            "verdicts": lambda s=of_study, f=study: verdicts_table(s, f),
            "candidates": lambda s=of_study, f=study: candidates_table(s, f),
        }
        texts[page] = filled(page.read_text(encoding="utf-8"), blocks)
        texts[RESULTS / f"{name}.svg"] = picture(study, f"{study.spec.base.env}: winners on the judging seeds")
    shared = {
        "overview": lambda: overview(summary, studies),
        "q-learning": lambda: together_table(summary, "dqn"),
        "all": lambda: together_table(summary, "all"),
    }
    texts[PAGE] = filled(PAGE.read_text(encoding="utf-8"), shared)
    return texts


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        write_atomically(path, text.encode())


if __name__ == "__main__":
    main()
