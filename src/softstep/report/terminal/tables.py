"""Tables for the terminal: the target update before a run starts, and one row per arm or agent when it has ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from softstep.config import Config
from softstep.report.shared.curves import mean_sd, summaries
from softstep.report.shared.formatting import (
    MISSING,
    format_count,
    format_mean_sd,
    format_result,
    format_setting,
    format_two_digits,
)
from softstep.report.shared.palette import arm_styles
from softstep.settings import Agent
from softstep.target import TargetUpdate

if TYPE_CHECKING:
    import polars as pl

    from softstep.stats import ReturnStatistics

KINDS = {"soft": "soft", "hard": "hard", "none": "absent"}
"""The word for each kind of target."""

MOST_ARMS = 12
"""Largest number of arms that get a line each; more arms, as in a study, are summarised by their ranges."""


def echo_target(config: Config) -> list[str]:
    """Return lines that describe the target update: α, τ and c, period, kind, and half-life on both clocks."""
    agents = {agent.arm: agent for agent in config.agents()}
    if not config.arms:
        return _one_target(next(iter(agents.values())), config.env_steps_per_gradient_step)
    if len(agents) > MOST_ARMS:
        return _ranges([*agents.values()], config.env_steps_per_gradient_step)
    rows: list[tuple[str, ...]] = [("", "α", "τ", "c", "period", "target", "half-life")]
    rows += [_target_row(agent, config.env_steps_per_gradient_step) for agent in agents.values()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, "period and half-life: in gradient steps, with environment steps in brackets"]


def _one_target(agent: Agent, env_steps: float) -> list[str]:
    """Describe the target of one agent; `env_steps` are environment steps per gradient step."""
    target = agent.target
    if target.schedule == "harmonic":
        return _harmonic_target(agent, env_steps)
    meaning = {
        "none": "absent: the network is its own target",
        "hard": f"hard: a full copy every {target.period} gradient steps ({target.period * env_steps:g} env. steps)",
        "soft": f"soft: T ← {format_setting(target.c)}·T + {format_setting(target.tau)}·Q after every"
        + (" gradient step" if target.period == 1 else f" {target.period} gradient steps"),
    }[target.kind]
    half_life = "0: a copy is instant" if target.kind == "hard" else _half_life(target, env_steps, " gradient steps")
    alpha, tau, c = map(format_setting, (agent.learning_rate, target.tau, target.c))
    return [
        f"α = {alpha}   τ = {tau}   c = {c}   period {target.period}",
        f"target {meaning}",
        *([] if target.kind == "none" else [f"half-life {half_life}"]),
    ]


def _harmonic_target(agent: Agent, env_steps: float) -> list[str]:
    """Describe a harmonic target; `env_steps` are environment steps per gradient step."""
    target, alpha = agent.target, format_setting(agent.learning_rate)
    fall = target.harmonic_steps / target.tau
    each = "every gradient step" if target.period == 1 else f"every {target.period} gradient steps"
    return [
        f"α = {alpha}   τ = min({format_setting(target.tau)}, {format_setting(target.harmonic_steps)}/t)"
        f"   period {target.period}",
        f"target harmonic (experimental): T ← (1 − τ)·T + τ·Q after {each}, t gradient steps so far",
        f"τ falls after {fall:.4g} gradient steps ({fall * env_steps:.4g} environment steps)",
    ]


def _ranges(agents: Sequence[Agent], env_steps: float) -> list[str]:
    """Describe many arms by the ranges of their settings."""
    rates = {agent.learning_rate for agent in agents}
    constant = [agent.target for agent in agents if agent.target.schedule == "constant"]
    half_lives = [target.half_life for target in constant if target.kind == "soft"]
    kinds = [word for kind, word in KINDS.items() if any(target.kind == kind for target in constant)]
    kinds += ["harmonic"] if len(constant) < len(agents) else []
    weights = {target.c for target in constant}
    shown = f"   c {_range(weights)}" if weights else ""
    lines = [f"α {_range(rates)}{shown}   targets: {', '.join(kinds)}"]
    if half_lives:
        low, high = min(half_lives), max(half_lives)
        ends = f"{low * env_steps:.4g} to {high * env_steps:.4g}"
        lines.append(f"half-life {low:.4g} to {high:.4g} gradient steps ({ends} environment steps)")
    return lines


def _range(values: Collection[float]) -> str:
    low, high = format_setting(min(values)), format_setting(max(values))
    return low if len(values) == 1 else f"{low} to {high} ({len(values)} values)"


def _target_row(agent: Agent, env_steps: float) -> tuple[str, ...]:
    target = agent.target
    period = MISSING if target.kind == "none" else f"{target.period} ({target.period * env_steps:g})"
    half_life = _half_life(target, env_steps) if target.kind == "soft" else MISSING
    alpha, tau, c = map(format_setting, (agent.learning_rate, target.tau, target.c))
    if target.schedule == "harmonic":
        fall = f"{format_setting(target.harmonic_steps)}/t"
        return (agent.arm, alpha, f"min({tau}, {fall})", MISSING, period, "harmonic", MISSING)
    return (agent.arm, alpha, tau, c, period, KINDS[target.kind], half_life)


def _half_life(target: TargetUpdate, env_steps: float, unit: str = "") -> str:
    env_unit = " environment steps" if unit else ""
    return f"{target.half_life:.4g}{unit} ({target.half_life * env_steps:.4g}{env_unit})"


def summary_table(curves: pl.DataFrame, config: Config) -> Table:
    """Return one row per arm: its settings, and means ± standard deviations over seeds at the end of the run."""
    arms = summaries(curves)
    styles = arm_styles([arm.arm for arm in arms])
    evaluated = any(np.isfinite(arm.best_eval).any() for arm in arms)
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, caption=_caption(config, evaluated))
    table.caption_justify = "left"
    table.add_column("arm", no_wrap=True)
    heads = ["α", "τ", "per-\niod", "final\nreturn"] + ["best\ngreedy"] * evaluated
    for head in [*heads, "epi-\nsodes", "di-\nverged", "‖Q−T‖", "|Δy|"]:
        table.add_column(head, justify="right", no_wrap=True)
    for arm in arms:
        name = Text(f"{styles[arm.arm].letter} {arm.arm}", style=f"bold {styles[arm.arm].colour}")
        cells = [format_setting(arm.learning_rate), format_setting(arm.tau), str(arm.period)]
        cells.append(format_mean_sd(arm.train_return))
        cells += [format_result(mean_sd(arm.best_eval)[0])] * evaluated
        cells += [format_result(mean_sd(arm.episodes)[0]), f"{int(arm.diverged.sum())}/{len(arm.seeds)}"]
        cells += [format_two_digits(mean_sd(values)[0]) for values in (arm.target_gap, arm.y_drift)]
        table.add_row(name, *cells)
    return table


def _caption(config: Config, evaluated: bool) -> str:
    best_greedy = " Best greedy: the best evaluation of each seed, then the mean over seeds." if evaluated else ""
    return (
        f"{config.env}, {format_count(config.seeds, 'seed')}. Final return: mean of the last 100 training episodes,"
        f" ± standard deviation over seeds.{best_greedy} ‖Q−T‖: distance between the two networks. |Δy|: how far y"
        " moves in one update, in units of return. Both: the median over a run's records, then the mean over seeds."
    )


def return_table(
    agents: Sequence[Agent], rows: Sequence[ReturnStatistics], episodes: int, *, best: bool = False
) -> Table:
    """Return one row per agent: the statistics of its greedy returns over `episodes` held-out episodes.

    With `best` the caption says that the weights are those of its best evaluation in training.
    """
    weights = "; the weights are those of each agent's best evaluation in training" if best else ""
    caption = f"greedy returns over {episodes} held-out episodes, the same for all agents{weights}"
    table = Table(box=box.SIMPLE_HEAD, caption=caption)
    table.caption_justify = "left"
    for head in ("arm", "seed", "mean", "95 % interval", "IQM", "standard deviation"):
        table.add_column(head, justify="left" if head == "arm" else "right")
    for agent, row in zip(agents, rows, strict=True):
        interval = f"{format_result(row.low)} to {format_result(row.high)}"
        cells = (format_result(row.mean), interval, format_result(row.iqm), format_result(row.sd))
        table.add_row(agent.arm, str(agent.seed), *cells)
    return table
