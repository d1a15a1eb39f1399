"""What the site has beside the pages of docs/; `mkdocs.yml` names this module as a hook.

- Files outside docs/ that pages link to. Such a page, for example studies/protocol.md, has its own links in turn, and
  a notebook becomes a page with its stored output.
- Rooms 1 to 5 of the explorer as live pages. A line `<!-- room: noise?alpha=0.5&c=0.9 -->` shows one of them.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import nbformat
import plotly.io as pio
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url
from nbconvert import MarkdownExporter

from softstep.errors import ConfigError
from softstep.explorer.cell.room_state import room_state
from softstep.explorer.static_site.export import export_explorer

LINK = re.compile(r"\]\(([^)#:]+)")
"""A relative link of a page, without its anchor."""
ROOM = re.compile(r"^<!-- room: (?P<address>(?P<room>[a-z-]+)(?:\?(?P<state>\S+))?) -->$", re.MULTILINE)
"""A room of the explorer with its state, as in the explorer's address."""
PLOTLY = "application/vnd.plotly.v1+json"
"""The type of a figure in a notebook's output."""
ROOMS_FOLDER = "rooms"
"""The explorer's folder in the site."""


def repository_path(page: str, root: Path) -> str:
    """Return where a page of the site lies in the repository at `root`."""
    return f"docs/{page}" if (root / "docs" / page).is_file() else page


def linked_file(page: str, link: str, root: Path) -> str | None:
    """Return where the file that a link of `page` means lies in the repository, if there is such a file."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(repository_path(page, root)), link))
    return path if not path.startswith("..") and (root / path).is_file() else None


def site_path(path: str) -> str:
    """Return where a file of the repository lies in the site."""
    return re.sub(r"\.ipynb$", ".md", path.removeprefix("docs/"))


def notebook_page(path: Path) -> str:
    """Return a notebook with its stored output as a page in Markdown; figures of plotly stay live.

    PluginError if it has pictures.
    """
    notebook = nbformat.read(path, as_version=4)
    for output in [output for cell in notebook.cells for output in cell.get("outputs", ())]:
        if figure := output.get("data", {}).pop(PLOTLY, None):
            output.data["text/html"] = pio.to_html(
                figure, include_plotlyjs=f"../../{ROOMS_FOLDER}/static/plotly.js", full_html=False
            )
    page, resources = MarkdownExporter().from_notebook_node(notebook)
    if resources["outputs"]:
        raise PluginError(f"{path}: pictures in a notebook's output have no place in the site yet")
    return str(page)


def on_files(files: Any, config: Any) -> Any:
    """Add every file outside docs/ that a page links to, and those that such pages link to."""
    root = Path(config.config_file_path).parent
    pages = list(files.documentation_pages())
    while pages:
        page = pages.pop()
        for link in LINK.findall(page.content_string):
            path = linked_file(page.src_uri, link, root)
            if path and files.get_file_from_path(site_path(path)) is None:
                source = (
                    {"content": notebook_page(root / path)}
                    if path.endswith(".ipynb")
                    else {"abs_src_path": str(root / path)}
                )
                file = File.generated(config, site_path(path), **source)
                files.append(file)
                if file.is_documentation_page():
                    pages.append(file)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point the links between docs/ and the files outside it at their places in the site."""
    root, folder = Path(config.config_file_path).parent, posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        path = linked_file(page.file.src_uri, match[1], root)
        return f"]({posixpath.relpath(site_path(path), folder or '.')}" if path else match[0]

    return ROOM.sub(lambda match: frame_of(match, page), LINK.sub(rewritten, markdown))


def frame_of(match: re.Match[str], page: Any) -> str:
    """Return the frame that shows a room in a page, above a link to it; PluginError if there is no such room or state.

    Numbers are checked as the explorer checks them.
    """
    numbers = {name: _value(text) for name, text in parse_qsl(match["state"] or "")}
    try:
        room_state(match["room"], numbers)
    except ConfigError as error:
        raise PluginError(f"{page.file.src_uri}: {match[0]}: {error}") from None
    source = f"{get_relative_url(f'{ROOMS_FOLDER}/index.html', page.url)}#/{match['address'].replace('&', '&amp;')}"
    title = f"The room {match['room']} of the explorer"
    return (
        f'<iframe class="room" src="{source}" title="{title}" loading="lazy"'
        ' style="width: 100%; height: 46rem; border: 1px solid var(--md-default-fg-color--lightest)"></iframe>\n\n'
        f'<p><a href="{source}">The same room in a page of its own</a></p>'
    )


def _value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def on_post_build(config: Any) -> None:
    """Write the explorer's rooms into the site."""
    export_explorer(Path(config.site_dir) / ROOMS_FOLDER)
