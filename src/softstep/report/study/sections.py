"""Sections that the pages of grids and of contenders share."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from softstep.report.shared.markup import paragraph, section, table

Failures = Mapping[str, str]
"""Error messages by agent."""


def failed_section(failures: Failures) -> str:
    """Return the section on agents whose environments raised an error; empty if there are none."""
    if not failures:
        return ""
    rows = [[escape(agent), escape(error)] for agent, error in failures.items()]
    caption = "The environments of these agents raised an error."
    return section("What failed", paragraph(caption), table(["agent", "error"], rows, css="worded"))
