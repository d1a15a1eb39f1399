"""What a study's page says about agents that were trained in another folder, perhaps on another machine."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import polars as pl

from softstep.report.shared.formatting import MISSING
from softstep.report.shared.markup import paragraph, section, table, wide
from softstep.studies.agents import StudyAgent
from softstep.studies.origins import Origin

PACKAGES = ("softstep", "jaxlib", "llvmlite", "numpy")
"""Packages whose versions are shown; the bits of a curve depend on them."""


def adopted_fact(agents: pl.DataFrame, origins: Sequence[Origin]) -> str | None:
    """Return how many agents were adopted, for the head of the page; None if all were trained in the study's folder."""
    adopted = sum(len(origin.agents) for origin in _shown(agents, origins) if origin.adopted)
    return f"{adopted} of {agents.height} agents trained elsewhere" if adopted else None


def origins_section(agents: pl.DataFrame, origins: Sequence[Origin]) -> str:
    """Return the section on where agents were trained; empty if all were trained in the study's own folder.

    Args:
        agents: the table of `summaries.summarize_agents`.
        origins: where they were trained; agents that are not in the table do not count.
    """
    shown, fact = _shown(agents, origins), adopted_fact(agents, origins)
    if fact is None:
        return ""
    caption = (
        f"{fact}: their curves were adopted from the table of another folder with the same spec or a smaller one, and"
        " were not trained again here. The last bits of floating-point numbers may differ between processors and"
        " between versions of these packages, and learning enlarges such differences, so that this machine might have"
        " computed other curves for the same settings and seeds."
    )
    rows = [
        [
            "another folder" if origin.adopted else "this folder",
            str(len(origin.agents)),
            *(escape(str(text)) for text in _machine(origin)),
        ]
        for origin in shown
    ]
    heads = ["trained in", "agents", "processor", *PACKAGES]
    return section("Agents that were trained elsewhere", paragraph(caption), wide(table(heads, rows)))


def _shown(agents: pl.DataFrame, origins: Sequence[Origin]) -> list[Origin]:
    """Return the origins of the agents in the table."""
    in_table = {StudyAgent(cell, seed) for cell, seed in agents.select("cell", "seed").rows()}
    return [kept for origin in origins if (kept := origin.of(in_table)).agents]


def _machine(origin: Origin) -> list[str]:
    """Return processor and versions."""
    if origin.versions is None:
        return ["not recorded", *(MISSING for _ in PACKAGES)]
    packages = origin.versions.get("packages", {})
    return [origin.versions.get("cpu", MISSING), *(packages.get(name, MISSING) for name in PACKAGES)]
