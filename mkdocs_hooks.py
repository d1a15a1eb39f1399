"""Files outside docs/ that its pages link to become files of the site; `mkdocs.yml` names this module as a hook."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

LINK = re.compile(r"\]\(([^)#:]+)\)")
"""A relative link of a page."""


def outside(page: str, link: str, root: Path) -> str | None:
    """Return the file that a link of `page` means, relative to `root`, if there is one outside docs/."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return path if not path.startswith(("docs/", "..")) and (root / path).is_file() else None


def on_files(files: Any, config: Any) -> Any:
    """Add every file outside docs/ that a page links to."""
    root = Path(config.config_file_path).parent
    for page in list(files.documentation_pages()):
        for link in LINK.findall(page.content_string):
            path = outside(page.src_uri, link, root)
            if path and files.get_file_from_path(path) is None:
                files.append(File.generated(config, path, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point the links to those files at their copies in the site."""
    root, folder = Path(config.config_file_path).parent, posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        path = outside(page.file.src_uri, match[1], root)
        return f"]({posixpath.relpath(path, folder or '.')})" if path else match[0]

    return LINK.sub(rewritten, markdown)
