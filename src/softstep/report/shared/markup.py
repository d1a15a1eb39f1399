"""Parts of an HTML page: document, header, sections, tables, figures, embedded data. All plain text is escaped."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

import plotly.graph_objects as go
import plotly.offline

from softstep.report.shared.palette import ArmStyle, css_variables

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""Content security policy: the page may use what it contains, and nothing else."""


def document(title: str, body: str) -> str:
    """Return a complete page that contains plotly once; `title` is plain text, `body` is HTML."""
    style, script = css_variables() + _package_text("page.css"), _package_text("page.js")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>{body}"
        f'<script id="plotly">{plotly.offline.get_plotlyjs()}</script><script>{script}</script></body></html>\n'
    )


def _package_text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def page_header(title: str, facts: Sequence[str], readable: str) -> str:
    """Return the top of a page: its title, facts in one line, and a switch between light and dark.

    Args:
        title: Plain text.
        facts: Plain texts.
        readable: What can still be read without JavaScript, in the plural.
    """
    return (
        f'<header><h1>{escape(title)}</h1><p class="facts">{escape(" · ".join(facts))}</p>'
        '<button id="theme" type="button" title="light or dark" aria-label="light or dark">◐</button></header>\n'
        f"<noscript><p>The figures and downloads need JavaScript; {escape(readable)} do not.</p></noscript>"
    )


def answer_box(paragraphs: Sequence[str]) -> str:
    """Return the page's answer in a box: plain texts, of which the first stands out and those after two are folded."""
    first, *others = paragraphs or ("",)
    shown, more = "".join(map(paragraph, others[:1])), "".join(map(paragraph, others[1:]))
    rest = folded("The rest of the answer", more) if more else ""
    return f'<div class="answer"><p class="short">{escape(first)}</p>{shown}{rest}</div>\n'


_SECTION = re.compile(r'<section id="([a-z0-9-]+)"><h2>(.*?)</h2>')


def section(title: str, *parts: str) -> str:
    """Return a section; `title` is plain text, the parts are HTML."""
    anchor = "-".join(re.findall(r"[a-z0-9]+", title.lower()))
    return f'<section id="{anchor}"><h2>{escape(title)}</h2>{"".join(parts)}</section>\n'


def table_of_contents(body: str) -> str:
    """Return links to the sections of a page, from its HTML."""
    links = "".join(f'<li><a href="#{anchor}">{title}</a></li>' for anchor, title in _SECTION.findall(body))
    return f'<nav id="contents" aria-label="contents"><ul>{links}</ul></nav>\n'


def folded(title: str, content: str) -> str:
    """Return HTML that is shown on demand, under a title in plain text."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def paragraph(text: str) -> str:
    """Return plain text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def bullets(points: Sequence[str]) -> str:
    """Return plain texts as a list."""
    return f"<ul>{''.join(f'<li>{escape(point)}</li>' for point in points)}</ul>"


def plot(name: str, figure: go.Figure) -> str:
    """Return a figure's data and the element into which the page's script draws it."""
    return f'<div class="plot" id="{name}"></div>{_json_script(f"{name}-figure", str(figure.to_json()))}'


def titled_plot(title: str, name: str, figure: go.Figure) -> str:
    """Return a figure under a title in plain text, for a grid of several."""
    return f"<div><h3>{escape(title)}</h3>{plot(name, figure)}</div>"


def wide(content: str) -> str:
    """Return HTML that keeps a width at which it can be read, and scrolls sideways on a phone."""
    return f'<div class="scroll" tabindex="0"><div class="wide">{content}</div></div>'


def badge(style: ArmStyle) -> str:
    """Return an arm's letter on its colour."""
    return f'<b style="--arm:{style.colour}">{escape(style.letter)}</b>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], css: str = "") -> str:
    """Return a table.

    Args:
        heads: Column titles in plain text.
        rows: Cells in HTML.
        css: A CSS class: `worded` if the last column is a sentence.
    """
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table class="{css}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def downloads(contents: Mapping[str, str]) -> str:
    """Return the section of buttons that save the page's embedded tables; `contents` describes each by name."""
    rows = "".join(
        f"<span>{name.replace('_', ' ')}</span>"
        + "".join(
            f'<button type="button" data-table="{name}" data-format="{kind}">{kind.upper()}</button>'
            for kind in ("csv", "json")
        )
        + f"<small>{escape(content)}</small>"
        for name, content in contents.items()
    )
    caption = "This page contains all numbers in full precision. A cell is empty if its value is missing or not finite."
    return section("The numbers", paragraph(caption), f'<div class="downloads">{rows}</div>')


def provenance(name: str, settings: str, versions: Mapping[str, Any]) -> str:
    """Return the section of folded texts: the settings, called `name`, and the versions."""
    listed = "\n".join(f"{package}: {version}" for package, version in versions.items())
    texts = ((name, settings), ("Versions", listed))
    return section(
        f"{name} and versions",
        *(folded(head, f"<pre>{escape(text)}</pre>") for head, text in texts),
    )


def embedded_tables(tables: Mapping[str, Any]) -> str:
    """Return tables in strict JSON, compressed, for the page's script to save; see `json_tables`."""
    return "".join(_packed_script(f"data-{name}", _json(table)) for name, table in tables.items())


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _json_script(name: str, text: str) -> str:
    """Return JSON for a script; without `<`, which JSON has in strings only, nothing in it can end the element."""
    safe = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{safe}</script>\n'


def _packed_script(name: str, text: str) -> str:
    """Return text that a script unpacks on demand: gzip in base64 is a tenth of a long table."""
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return f'<script type="application/gzip;base64" id="{name}">{packed}</script>\n'
