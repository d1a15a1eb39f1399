"""The page's modules as one classic script, for a page that is opened as a file, where modules may not be loaded.

It knows the forms of import and export that the page uses, one to a line, and refuses others.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

_IMPORT = re.compile(r'^import (?:\* as (\w+)|\{ ([^}]+) \}) from "([^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b(?!\()", re.MULTILINE)


def bundle(entry: str, read: Callable[[str], str]) -> str:
    """A script that runs `entry` and everything it imports, each once, in a scope of its own.

    read: the text of a module by its path. ValueError for a form of import or export that is not known here.
    """
    parts: dict[str, str] = {}
    _add(entry, read, parts)
    return '"use strict";\nconst modules = {};\n' + "".join(parts.values())


def _add(path: str, read: Callable[[str], str], parts: dict[str, str]) -> None:
    """Put the modules that `path` imports, and then it, into `parts`."""
    if path in parts:
        return
    text = read(path)
    folder = posixpath.dirname(path)
    for _, _, source in _IMPORT.findall(text):
        _add(posixpath.normpath(posixpath.join(folder, source)), read, parts)

    def bound(match: re.Match[str]) -> str:
        whole, names, source = match.groups()
        target = f'modules["{posixpath.normpath(posixpath.join(folder, source))}"]'
        return f"const {whole} = {target};" if whole else f"const {{ {names.replace(' as ', ': ')} }} = {target};"

    names = ", ".join(_EXPORT.findall(text))
    plain = _EXPORT.sub("", _IMPORT.sub(bound, text))
    if unknown := _OTHER.search(plain):
        line = plain[unknown.start() :].splitlines()[0]
        raise ValueError(f"{path}: cannot bundle {line!r}: write one import or export to a line")
    parts[path] = f'modules["{path}"] = (() => {{\n{plain}\nreturn {{ {names} }};\n}})();\n'
