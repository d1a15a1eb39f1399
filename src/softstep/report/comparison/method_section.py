"""The method section of a comparison's page: what the arms are, how they were compared, and the limits of that."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from softstep.comparison.judge import MIN_SEEDS
from softstep.comparison.scores import ReturnCriteria
from softstep.config import Config
from softstep.report.comparison.background import acting_part
from softstep.report.shared.formatting import MISSING, format_count, format_setting, format_short
from softstep.report.shared.markup import badge, bullets, section, table
from softstep.report.shared.palette import ArmStyle
from softstep.settings import ALGORITHMS_WITH, Agent
from softstep.target import TargetUpdate

MEANINGS = {
    "soft": "a target network that keeps a share c of itself and takes a share 1 − c of the online network",
    "smaller-alpha": "one network, its own target, at the smaller step (1 − c)·α: the claim taken literally",
    "blended": "one network that is averaged with its own step: W ← c·W + (1 − c)·W_new",
    "same-alpha": "one network, its own target, at the same α: shows what the target network contributes",
    "hard": "a target network that is a full copy, renewed every N gradient steps, with the same mean lag as soft",
    "best-alpha": "one network, its own target, at the best of α and smaller ones, chosen on other seeds",
    "best-soft": "soft at the best of several 1 − c, chosen on other seeds",
    "critic-target": "as soft, but only the critics have a target network",
    "actor-target": "as soft, but only the actor has a target network",
}
"""Each arm in plain words."""


def method_section(config: Config, fixed: ReturnCriteria | None, styles: Mapping[str, ArmStyle]) -> str:
    """Return the section with a table of the arms and a list of the rules of the comparison.

    Args:
        config: The run's configuration.
        fixed: The declared margin and floor, if there are any.
        styles: Colours and letters of the arms.
    """
    agents = {agent.arm: agent for agent in config.agents()}
    rows = [
        [f"{badge(style)} {escape(arm)}", *_settings(agents.get(arm), config), escape(MEANINGS.get(arm, ""))]
        for arm, style in styles.items()
    ]
    actor = ["actor's α", "actor's 1 − c"] if config.continuous else []
    arms = table(["arm", "α", "1 − c", "period", *actor, "what it is"], rows, css="worded")
    return section("Method and limits", arms, bullets(_rules(config, fixed)))


def _rules(config: Config, fixed: ReturnCriteria | None) -> tuple[str, ...]:
    margin = (
        f"Differences in return below δ = {format_short(fixed.margin)} do not matter. This margin was declared before"
        f" the run, and so was the score of an agent that diverges, {format_short(fixed.floor)}."
        if fixed
        else "No margin was declared for this environment."
    )
    return (
        acting_part(config),
        "Differences are taken within a seed: all arms of a seed start from the same parameters.",
        f"All agents are evaluated greedily on the same episode seeds, {format_count(config.eval_episodes, 'episode')}"
        " per evaluation. No agent trains on these episodes.",
        margin,
        "Intervals are Student’s t at 95 %. p-values come from a sign-flip test that is exact up to 20 pairs; they are"
        " adjusted by Holm for the number of claims.",
        "A claim of equality rests on an interval within the margin, not on a large p.",
        "Divergence is a result: a diverged agent scores the floor and is never left out.",
        f"Results from fewer than {MIN_SEEDS} pairs of seeds are called exploratory, whatever they show.",
        "This is one environment with one set of hyper-parameters; others may rank the arms differently. The exact"
        " results, which are the first steps, do not depend on them.",
    )


def _settings(agent: Agent | None, config: Config) -> list[str]:
    """Return α, 1 − c and the period of an arm, then α and 1 − c of its actor; without a target there is no 1 − c."""
    if agent is None:
        return [MISSING] * (5 if config.continuous else 3)
    settings = [format_setting(agent.learning_rate), MISSING, MISSING]
    if agent.target.kind != "none":
        settings[1:] = format_setting(agent.target.tau), str(agent.target.period)
    if agent.actor_learning_rate is not None and agent.actor_tau is not None:
        followed = TargetUpdate(agent.actor_tau, agent.target.period).kind != "none"
        has_target = followed and config.algorithm in ALGORITHMS_WITH["actor_tau"]
        settings += [
            format_setting(agent.actor_learning_rate),
            format_setting(agent.actor_tau) if has_target else MISSING,
        ]
    return settings
