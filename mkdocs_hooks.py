"""Files outside docs/ that its pages link to become files of the site; `mkdocs.yml` names this module as a hook.

A page outside docs/, such as studies/protocol.md, becomes a page of the site with its own links.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

LINK = re.compile(r"\]\(([^)#:]+)")
"""A relative link of a page, without its anchor."""


def repository_path(page: str, root: Path) -> str:
    """Return where a page of the site lies in the repository at `root`."""
    return f"docs/{page}" if (root / "docs" / page).is_file() else page


def site_path(page: str, link: str, root: Path) -> str | None:
    """Return where the file that a link of `page` means lies in the site, if there is such a file."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(repository_path(page, root)), link))
    return path.removeprefix("docs/") if not path.startswith("..") and (root / path).is_file() else None


def on_files(files: Any, config: Any) -> Any:
    """Add every file outside docs/ that a page links to, and those that such pages link to."""
    root = Path(config.config_file_path).parent
    pages = list(files.documentation_pages())
    while pages:
        page = pages.pop()
        for link in LINK.findall(page.content_string):
            path = site_path(page.src_uri, link, root)
            if path and files.get_file_from_path(path) is None:
                file = File.generated(config, path, abs_src_path=str(root / path))
                files.append(file)
                if file.is_documentation_page():
                    pages.append(file)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point the links between docs/ and the files outside it at their places in the site."""
    root, folder = Path(config.config_file_path).parent, posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        path = site_path(page.file.src_uri, match[1], root)
        return f"]({posixpath.relpath(path, folder or '.')}" if path else match[0]

    return LINK.sub(rewritten, markdown)
