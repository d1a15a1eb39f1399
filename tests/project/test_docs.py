"""The documentation site builds offline, contains every page, and loads nothing from other servers."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import pytest
from mkdocs.exceptions import PluginError
from support import imported

from softstep.explorer.cell.room_state import ROOMS
from softstep.explorer.static_site.export import GRIDS

ROOT = Path(__file__).parents[2]

HOOKS = imported(ROOT / "mkdocs_hooks.py")
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


def test_the_rooms_in_the_pages_show_a_measured_state_of_the_exported_explorer(site: Path) -> None:
    frames = {}
    for page in site.rglob("*.html"):
        for source in re.findall(r"<iframe class=\"room\" src=\"([^\"]+)\"", page.read_text(encoding="utf-8")):
            path, _, address = html.unescape(source).partition("#/")
            assert (page.parent / path).resolve() == site / "rooms" / "index.html"
            frames.setdefault(address, page.parent.name)
    assert {address.partition("?")[0] for address in frames} == {"one-network", "two-networks", "stability", "noise"}
    for address in frames:
        room, _, query = address.partition("?")
        state = dict(parse_qsl(query))
        axes = {axis: values for name in ROOMS[room] for axis, values in GRIDS[name].axes.items()}
        for name, text in state.items():
            if name in axes:
                values = axes[name]
                assert (text if isinstance(values[0], str) else float(text)) in values, (address, name)


@pytest.mark.parametrize("comment", ["noise?alpha=x", "noise?beta=1", "attic", "two-networks?c=1"])
def test_a_room_or_a_state_that_does_not_exist_fails_the_build(comment: str) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="page.md"), url="page/")
    match = HOOKS.ROOM.search(f"text\n<!-- room: {comment} -->\n")
    with pytest.raises(PluginError, match=rf"page.md: <!-- room: {re.escape(comment)} -->: "):
        HOOKS.frame_of(match, page)


def test_notebooks_are_pages_with_their_stored_output(site: Path) -> None:
    for path in (ROOT / "examples").glob("*.ipynb"):
        page = html.unescape(
            re.sub(r"<[^>]+>", "", (site / "examples" / path.stem / "index.html").read_text(encoding="utf-8"))
        )
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        lines = [line for cell in cells for output in cell.get("outputs", ()) for line in output.get("text", ())]
        assert lines
        assert [line for line in lines if line.strip() and line.strip() not in page] == []


def test_the_teachers_page_has_a_slide_of_every_room() -> None:
    figures = imported(ROOT / "docs/figures/draw.py").FIGURES
    page = (ROOT / "docs/teachers.md").read_text(encoding="utf-8")
    assert {address.partition("?")[0] for address, _ in figures.values()} == set(ROOMS)
    for name, (_, title) in figures.items():
        slide = ElementTree.parse(ROOT / f"docs/figures/{name}.svg").getroot()
        assert (slide.get("width"), slide.get("height")) == ("1280", "720")
        assert title in "".join(slide.itertext())
        assert f"](figures/{name}.svg)" in page
