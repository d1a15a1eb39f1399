"""The documentation site builds offline, contains every page, and loads nothing from other servers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RECIPE = re.search(r"^docs:.*\n\t(.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by the very line of `make docs`, so that what fails there fails here."""
    assert RECIPE is not None
    out = tmp_path_factory.mktemp("docs") / "site"
    command = RECIPE[1].replace("$(BIN)", str(Path(sys.executable).parent))
    done = subprocess.run(f"{command} --site-dir {out}", shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_make_docs_is_strict_and_hides_nothing() -> None:
    assert RECIPE is not None
    assert "mkdocs build --strict" in RECIPE[1]
    assert "quiet" not in RECIPE[1]


def test_every_link_between_pages_and_files_has_its_end(site: Path) -> None:
    for page in site.rglob("*.html"):
        hrefs = re.findall(r"<a[^>]* href=\"([^\"#?]+)", page.read_text(encoding="utf-8"))
        for link in [href for href in hrefs if ":" not in href]:
            end = site / link[1:] if link.startswith("/") else page.parent / link
            assert end.exists(), (page, link)


def test_every_page_of_docs_is_a_page_of_the_site(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        path = page.relative_to(ROOT / "docs").with_suffix("")
        folder = path.parent if path.name in ("index", "README") else path
        assert (site / folder / "index.html").is_file(), path


def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|iframe)[^>]*src=\"(https?:[^\"]*)|<link rel=\"stylesheet\"[^>]*href=\"(https?:[^\"]*)"
    )
    for page in site.rglob("*.html"):
        assert not loads.findall(page.read_text()), page


def test_the_api_page_has_formulas_and_errors(site: Path) -> None:
    page = (site / "api" / "index.html").read_text()
    for text in ("soft_update", "Lillicrap et al. 2015", 'class="doc doc-object doc-class"', "ValueError"):
        assert text in page
