"""Draw the figures of the teachers' page: one of each room of the explorer, as the room's button SVG saves it.

    python docs/figures/draw.py

It needs Chromium. The rooms stand as the exercises of docs/teachers.md put them.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from softstep.explorer.static_site.export import export_explorer

HERE = Path(__file__).parent
FIGURES = {
    "one-network": ("one-network?alpha=0.5&c=0.8", "Paths from one start"),
    "two-networks": ("two-networks?alpha=0.5&c=0.9&a=0.9&b=1&at=2", "Q, T and the single network"),
    "ledger": ("two-networks?alpha=0.5&c=0.995&a=0.9&b=1&at=415", "The ledger of T"),
    "stability": ("stability?problem=only_target&alpha=0.1&c=0.9", "Growth per step"),
    "noise": ("noise?alpha=0.5&c=0.9&a=0.9", "Rate against variance"),
    "atlas": ("atlas?env=LunarLander-v3&alpha=0.001&c=0.99", "Mean greedy return at the end of training"),
}
"""The state of the room and the figure's title, by file."""


def main() -> None:
    """Write one SVG per figure beside this file."""
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        index = export_explorer(folder)
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 900}, color_scheme="light")
        for name, (address, title) in FIGURES.items():
            page.goto("about:blank")
            page.goto(f"{index.as_uri()}#/{address}")
            figure = page.locator("figure", has=page.get_by_role("heading", name=title, exact=True))
            figure.scroll_into_view_if_needed()
            figure.locator(".main-svg").first.wait_for()
            page.wait_for_timeout(1_000)  # until the answers of the state have been drawn
            with page.expect_download() as download:
                figure.get_by_role("button", name="SVG").click()
            download.value.save_as(HERE / f"{name}.svg")
        browser.close()


if __name__ == "__main__":
    main()
