"""Bundle the page's modules into one classic script: browsers refuse to load modules into a page opened as a file.

Only the forms of import and export that the page uses are supported, each on a line of its own.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

_IMPORT = re.compile(r'^import (?:\* as (\w+)|\{ ([^}]+) \}) from "([^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
_UNSUPPORTED = re.compile(r"^(?:import|export)\b(?!\()", re.MULTILINE)


def bundle(entry: str, read: Callable[[str], str]) -> str:
    """Return a script that runs module `entry` and everything it imports, each module once and in its own scope.

    `read` returns the text of a module for its path. ValueError for an unsupported form of import or export.
    """
    parts: dict[str, str] = {}
    _add(entry, read, parts)
    return '"use strict";\nconst modules = {};\n' + "".join(parts.values())


def _add(path: str, read: Callable[[str], str], parts: dict[str, str]) -> None:
    """Add the modules that `path` imports to `parts`, then `path` itself."""
    if path in parts:
        return
    text = read(path)
    folder = posixpath.dirname(path)
    for _, _, source in _IMPORT.findall(text):
        _add(posixpath.normpath(posixpath.join(folder, source)), read, parts)

    def declaration(match: re.Match[str]) -> str:
        whole, names, source = match.groups()
        module = f'modules["{posixpath.normpath(posixpath.join(folder, source))}"]'
        return f"const {whole} = {module};" if whole else f"const {{ {names.replace(' as ', ': ')} }} = {module};"

    exports = ", ".join(_EXPORT.findall(text))
    script = _EXPORT.sub("", _IMPORT.sub(declaration, text))
    if unsupported := _UNSUPPORTED.search(script):
        line = script[unsupported.start() :].splitlines()[0]
        raise ValueError(f"{path}: cannot bundle {line!r}: write one supported import or export per line")
    parts[path] = f'modules["{path}"] = (() => {{\n{script}\nreturn {{ {exports} }};\n}})();\n'
