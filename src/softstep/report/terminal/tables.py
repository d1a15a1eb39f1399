"""What a run says of itself in the terminal: its target update before it starts, one row per arm when it has ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from softstep.config import Agent, Config
from softstep.report.shared.curves import ArmSummary, mean_sd, summaries
from softstep.report.shared.palette import arm_styles
from softstep.target import TargetUpdate

if TYPE_CHECKING:
    import polars as pl

    from softstep.stats import ReturnStatistics

KINDS = {"soft": "soft", "hard": "hard", "none": "absent"}
"""How each kind of target is called."""

MOST_ARMS = 12
"""Arms that get a line each; of more, as a study has, the ranges are told."""


def echo_target(config: Config) -> list[str]:
    """Lines that say what the target update means: α, τ and c, period, kind, half-life on both clocks."""
    agents = {agent.arm: agent for agent in config.agents()}
    if not config.arms:
        return _one_target(next(iter(agents.values())), config.env_steps_per_gradient_step)
    if len(agents) > MOST_ARMS:
        return _ranges([*agents.values()], config.env_steps_per_gradient_step)
    rows: list[tuple[str, ...]] = [("", "α", "τ", "c", "period", "target", "half-life")]
    rows += [_target_row(agent, config.env_steps_per_gradient_step) for agent in agents.values()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, "period and half-life: gradient steps, then environment steps in brackets"]


def _one_target(agent: Agent, env_steps: float) -> list[str]:
    target = agent.target
    meaning = {
        "none": "absent: the network is its own target",
        "hard": f"hard: a full copy every {target.period} gradient steps ({target.period * env_steps:g} env. steps)",
        "soft": f"soft: T ← {number(target.c)}·T + {number(target.tau)}·Q after every"
        + (" gradient step" if target.period == 1 else f" {target.period} gradient steps"),
    }[target.kind]
    half_life = "0: a copy is instant" if target.kind == "hard" else _half_life(target, env_steps, " gradient steps")
    settings = f"α = {number(agent.learning_rate)}   τ = {number(target.tau)}   c = {number(target.c)}"
    return [
        f"{settings}   period {target.period}",
        f"target {meaning}",
        *([] if target.kind == "none" else [f"half-life {half_life}"]),
    ]


def _ranges(agents: Sequence[Agent], env_steps: float) -> list[str]:
    """From the least to the most of what many arms differ in."""
    rates, weights = {agent.learning_rate for agent in agents}, {agent.target.c for agent in agents}
    half_lives = [agent.target.half_life for agent in agents if agent.target.kind == "soft"]
    kinds = [KINDS[kind] for kind in KINDS if any(agent.target.kind == kind for agent in agents)]
    told = [f"α {_from_to(rates)}   c {_from_to(weights)}   targets: {', '.join(kinds)}"]
    if half_lives:
        low, high = min(half_lives), max(half_lives)
        ends = f"{low * env_steps:.4g} to {high * env_steps:.4g}"
        told.append(f"half-life {low:.4g} to {high:.4g} gradient steps ({ends} environment steps)")
    return told


def _from_to(values: Collection[float]) -> str:
    low, high = number(min(values)), number(max(values))
    return low if len(values) == 1 else f"{low} to {high} ({len(values)} values)"


def _target_row(agent: Agent, env_steps: float) -> tuple[str, ...]:
    target = agent.target
    period = "–" if target.kind == "none" else f"{target.period} ({target.period * env_steps:g})"
    half_life = _half_life(target, env_steps) if target.kind == "soft" else "–"
    settings = (number(agent.learning_rate), number(target.tau), number(target.c))
    return (agent.arm, *settings, period, KINDS[target.kind], half_life)


def _half_life(target: TargetUpdate, env_steps: float, unit: str = "") -> str:
    env_unit = " environment steps" if unit else ""
    return f"{target.half_life:.4g}{unit} ({target.half_life * env_steps:.4g}{env_unit})"


def summary_table(curves: pl.DataFrame, config: Config) -> Table:
    """One row per arm: its numbers, and means ± standard deviations over seeds at the end of the run."""
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
        cells = [number(arm.learning_rate), number(arm.tau), str(arm.period), plus_minus(arm.train_return)]
        cells += [rounded(mean_sd(arm.best_eval)[0])] * evaluated
        cells += [rounded(mean_sd(arm.episodes)[0]), f"{int(arm.diverged.sum())}/{len(arm.seeds)}"]
        table.add_row(name, *cells, _small(arm.target_gap), _small(arm.y_drift))
    return table


def _caption(config: Config, evaluated: bool) -> str:
    seeds = "1 seed" if config.seeds == 1 else f"{config.seeds} seeds"
    greedy = " Best greedy: a seed's best evaluation, mean over seeds." if evaluated else ""
    return (
        f"{config.env}, {seeds}. Final return: mean of the last 100 training episodes, ± standard deviation over"
        f" seeds.{greedy} ‖Q−T‖: distance of the two networks; |Δy|: how far y moves in one update; both the mean"
        " over seeds of a run's median record."
    )


def number(value: float) -> str:
    """A setting in full but without rounding noise: 0.001, 5e-06, 0.995."""
    return f"{value:.10g}"


def rounded(value: float) -> str:
    """A result: whole above 100, else three digits; – where there is none."""
    if not np.isfinite(value):
        return "–"
    return (f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}").replace("-", "−")


def plus_minus(values: np.ndarray) -> str:
    """Mean ± standard deviation over seeds, whole where the mean is above 10; the mean alone of one seed, – of none."""
    mean, sd = mean_sd(values)
    if not np.isfinite(sd):
        return rounded(mean)
    both = f"{mean:.0f} ± {sd:.0f}" if abs(mean) >= 10 else f"{mean:.3g} ± {sd:.2g}"
    return both.replace("-", "−")


def _small(values: np.ndarray) -> str:
    """Two digits, short: 0.31, 0.012, 6.7e-4."""
    mean, _ = mean_sd(values)
    if not np.isfinite(mean):
        return "–"
    if mean == 0 or 0.001 <= abs(mean) < 1e4:
        return f"{mean:.2g}"
    return f"{mean:.1e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def find(arms: list[ArmSummary], name: str) -> ArmSummary | None:
    """The arm called `name`, where there is one."""
    return next((arm for arm in arms if arm.arm == name), None)


def return_table(agents: Sequence[Agent], rows: Sequence[ReturnStatistics], episodes: int) -> Table:
    """One row per agent."""
    table = Table(box=box.SIMPLE_HEAD, caption=f"greedy returns over {episodes} held-out episodes, the same for all")
    table.caption_justify = "left"
    for head in ("arm", "seed", "mean", "95 % interval", "IQM", "standard deviation"):
        table.add_column(head, justify="left" if head == "arm" else "right")
    for agent, row in zip(agents, rows, strict=True):
        interval = f"{rounded(row.low)} to {rounded(row.high)}"
        table.add_row(agent.arm, str(agent.seed), rounded(row.mean), interval, rounded(row.iqm), rounded(row.sd))
    return table
