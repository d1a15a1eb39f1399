"""What closes a comparison's page: how it was measured and what that leaves open, the numbers, the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from softstep.comparison.scores import ReturnCriteria
from softstep.config import Agent, Config
from softstep.report.shared.axes import short
from softstep.report.shared.markup import badge, counted, paragraph, section, table
from softstep.report.shared.palette import ArmStyle
from softstep.report.terminal.tables import number

MEANINGS = {
    "soft": "a target network that keeps a share c of itself and takes a share 1 − c of the online network",
    "smaller-alpha": "one network, its own target, at the smaller step (1 − c)·α: the claim taken literally",
    "blended": "one network that is averaged with its own step: W ← c·W + (1 − c)·W_new",
    "same-alpha": "one network, its own target, at the same α: what is lost without the target network",
    "hard": "the target network is a full copy, renewed every N gradient steps, of the same mean lag as soft",
    "best-alpha": "one network, its own target, at the best α of several, chosen on other seeds",
    "best-soft": "soft, with the best 1 − c of several, chosen on other seeds",
}
"""What an arm is, in plain words."""

TABLES = {
    "curves": "one row per agent and record",
    "episodes": "one row per finished training episode",
    "scores": "the final greedy return of every agent",
    "verdicts": "claims, estimates, intervals and verdicts",
    "first_steps": "distances between the networks, by update",
}
"""What the page's reader can take away."""


def method(config: Config, fixed: ReturnCriteria | None, styles: Mapping[str, ArmStyle]) -> str:
    """What the arms are, how they were compared, and what that does not show."""
    agents = {agent.arm: agent for agent in config.agents()}
    rows = [
        [f"{badge(style)} {escape(arm)}", *_settings(agents.get(arm)), escape(MEANINGS.get(arm, ""))]
        for arm, style in styles.items()
    ]
    settings = table(["arm", "α", "1 − c", "period", "what it is"], rows, css="worded")
    margin = (
        f"Differences in return below δ = {short(fixed.margin)} do not matter. The margin is declared beforehand, and"
        f" so is the score of an agent that diverged, {short(fixed.floor)}."
        if fixed
        else "No margin was declared for this environment."
    )
    points = (
        "Paired by seed: within a seed, all arms start from the same parameters, and differences are taken there.",
        f"All agents are evaluated greedily on the same episode seeds, {counted(config.eval_episodes, 'episode')} at a"
        " time, which no agent trains on.",
        margin,
        "Intervals are Student's t at 95 %; p is an exact sign-flip test, adjusted by Holm for the number of claims.",
        "A claim of equality rests on its interval lying within the margin, not on a large p.",
        "Divergence is a result: a diverged agent scores the floor and is never left out.",
        "Fewer than 8 pairs of seeds are called exploratory, whatever they show.",
        "One environment and one set of hyper-parameters: another of either may rank the arms differently. What holds"
        " exactly, the first steps, does not depend on them.",
    )
    listed = "".join(f"<li>{escape(point)}</li>" for point in points)
    return section("Method and limits", settings, f"<ul>{listed}</ul>")


def _settings(agent: Agent | None) -> list[str]:
    """α, 1 − c and period of an arm."""
    if agent is None:
        return ["–", "–", "–"]
    own = agent.target.kind == "none"
    return [
        number(agent.learning_rate),
        "–" if own else number(agent.target.tau),
        "–" if own else str(agent.target.period),
    ]


def downloads(tables: Mapping[str, str] = TABLES) -> str:
    """Buttons that save the page's tables, each with what it holds."""
    rows = "".join(
        f"<span>{name.replace('_', ' ')}</span>"
        + "".join(
            f'<button type="button" data-table="{name}" data-format="{kind}">{kind.upper()}</button>'
            for kind in ("csv", "json")
        )
        + f"<small>{told}</small>"
        for name, told in tables.items()
    )
    told = "All numbers are part of this page, in full precision; empty where a value is missing or not finite."
    return section("The numbers", paragraph(told), f'<div class="downloads">{rows}</div>')


def provenance(config: Config, versions: Mapping[str, Any]) -> str:
    """The configuration as JSON and the versions, folded."""
    told = "\n".join(f"{name}: {value}" for name, value in versions.items())
    return section(
        "Configuration and versions",
        f"<details><summary>Configuration</summary><pre>{escape(config.to_json())}</pre></details>",
        f"<details><summary>Versions</summary><pre>{escape(told)}</pre></details>",
    )
