"""Visits to the explorer with a real browser, and the marks of tests that need one."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest
from explorer.serving import Explorer
from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MARKS = [
    pytest.mark.heavy,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"),
]
"""Marks of these tests: they are heavy, and skipped without Chromium."""


AT_ANY_TIME = re.compile(r"events|/icon\.svg$")
"""Addresses that a page may still be loading when it is left."""


class Visit:
    """A browser page of the explorer, with the errors and warnings that occurred on it."""

    def __init__(self, browser: Browser, explorer: Explorer, **options: Any) -> None:
        self.context = browser.new_context(**options)
        cookies = [{"name": c.name, "value": c.value or "", "url": explorer.url} for c in explorer.client.cookies.jar]
        self.context.add_cookies(cookies)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(120_000)  # a machine may be busy
        self.url, self.problems, self.tolerated = explorer.url, list[str](), "nothing"
        self.page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on(
            "requestfailed", lambda r: None if AT_ANY_TIME.search(r.url) else self.problems.append(f"failed: {r.url}")
        )

    def close(self) -> None:
        """Close the page, on which nothing but what is tolerated may have gone wrong."""
        self.context.close()
        assert not [problem for problem in self.problems if self.tolerated not in problem]

    def go(self, room: str) -> Page:
        self.page.goto(f"{self.url}/#/{room}")
        self.page.wait_for_selector(f"#room-{room.partition('?')[0]}")
        return self.page

    def drawn(self, figure: str) -> dict[str, dict[str, Any]]:
        """Wait until a figure is drawn, then return its traces by name."""
        self.page.wait_for_function("id => document.getElementById(id)?.data?.length > 0", arg=figure)
        traces = self.page.evaluate(
            "id => document.getElementById(id).data.map(t => ({name: t.name, x: Array.from(t.x ?? []),"
            " y: Array.from(t.y ?? [])}))",
            figure,
        )
        return {str(trace["name"]): trace for trace in traces}

    def type(self, control: str, value: str) -> None:
        box = self.page.locator(f"[id='control-{control}-value']")
        box.fill(value)
        box.press("Enter")
        box.blur()


TICKS = """() => [...document.querySelectorAll('.plot')].flatMap(plot =>
  [['.xtick text', 'left', 'right'], ['.ytick text', 'top', 'bottom']].map(([selector, start, end]) => {
    const texts = [...plot.querySelectorAll(selector)];
    const boxes = texts.map(text => text.getBoundingClientRect()).sort((a, b) => a[start] - b[start]);
    const gaps = boxes.slice(1).map((box, i) => box[start] - boxes[i][end]);
    return { plot: plot.id, texts: texts.map(text => text.textContent), closest: Math.min(1e9, ...gaps) };
  }))"""
"""For each axis, its labels and the smallest gap between two of them, in pixels."""
