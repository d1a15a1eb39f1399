"""Fixtures for tests of the page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from explorer.browsing import CHROMIUM, Visit
from explorer.serving import Explorer, serve
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "a-run").mkdir()
    report = "<!doctype html><title>t</title><p id=p>waiting</p><script>p.textContent = 'drawn'</script>"
    (folder / "a-run" / "report.html").write_text(report)
    with serve(folder) as explorer:
        yield explorer.enter()


@pytest.fixture
def visit(browser: Browser, explorer: Explorer) -> Iterator[Visit]:
    visit = Visit(browser, explorer, viewport={"width": 1280, "height": 900})
    yield visit
    visit.close()
