"""The figures of a run's report on a page of their own, for any run: trained, compared, finished or stopped."""

from __future__ import annotations

import math

from softstep.errors import ConfigError
from softstep.report.comparison import plotted_data
from softstep.report.comparison.measured_sections import (
    arm_switches,
    gap_section,
    learning_section,
    moves_section,
    scores_section,
    solved_section,
)
from softstep.report.shared.curves import arms_of
from softstep.report.shared.formatting import format_count, format_thousands
from softstep.report.shared.json_tables import as_columns
from softstep.report.shared.markup import document, downloads, embedded_tables, page_header, provenance
from softstep.report.shared.palette import arm_styles
from softstep.runs import versions
from softstep.runs.api import Run


def run_page(run: Run) -> str:
    """Return the page as HTML: what was measured, the curves for download, and the configuration.

    Raises:
        ConfigError: The run has no records yet.
    """
    curves, config = run.curves, run.config
    if curves.is_empty():
        raise ConfigError(f"{run.path} has no records yet: train it for at least record_every = {config.record_every}")
    styles = arm_styles(arms_of(curves))
    fixed = plotted_data.declared_or_none(config, None, None)
    scores = plotted_data.seed_scores(curves, fixed.floor if fixed else math.nan)
    sections = "".join((
        '<div id="measured">',
        arm_switches(styles),
        learning_section(curves, styles),
        scores_section(scores, styles, fixed),
        moves_section(plotted_data.with_relative_moves(curves), config, styles),
        gap_section(curves, styles),
        solved_section(curves, config, styles),
        "</div>",
        downloads({"curves": "one row per agent and record"}),
        provenance("Configuration", config.to_json(), versions.versions(config, versions.recorded_device(run.path))),
    ))  # fmt: skip
    facts = (
        format_count(len(styles), "arm"),
        f"{format_count(config.seeds, 'seed')} each",
        f"{format_thousands(int(curves['env_steps'].max()))} environment steps",  # type: ignore[arg-type]
    )
    header = page_header(config.env, facts, "the tables")
    return document(f"softstep: {config.env}", header + sections + embedded_tables({"curves": as_columns(curves)}))
