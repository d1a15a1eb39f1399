"""The documentation site builds offline, contains every page, and loads nothing from other servers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


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
