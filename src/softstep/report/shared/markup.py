"""Pieces of a page: sections, tables, figures and data that a script reads, safe for words from anywhere."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from html import escape
from importlib import resources

import plotly.graph_objects as go
import plotly.offline

from softstep.report.shared.palette import ArmStyle, css_variables

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""Content security: what is part of the page, and nothing else."""


def document(title: str, body: str) -> str:
    """Return a whole page that includes plotly once; `title` is plain text, `body` is HTML."""
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


def json_script(name: str, text: str) -> str:
    """JSON that a script reads; no `<` in it can end the element, for JSON has one within strings alone."""
    safe = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{safe}</script>\n'


def packed_script(name: str, text: str) -> str:
    """Text that a script unpacks when it is asked for: gzip in base64, a tenth of a long table."""
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return f'<script type="application/gzip;base64" id="{name}">{packed}</script>\n'


def section(title: str, *parts: str) -> str:
    """title: plain text; parts: HTML."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>\n"


def paragraph(text: str) -> str:
    """Plain text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def plot(name: str, figure: go.Figure) -> str:
    """A place for a figure, and the figure."""
    return f'<div class="plot" id="{name}"></div>{json_script(f"{name}-figure", str(figure.to_json()))}'


def badge(style: ArmStyle) -> str:
    """An arm's letter on its colour."""
    return f'<b style="--arm:{style.colour}">{escape(style.letter)}</b>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], css: str = "") -> str:
    """heads: plain text; rows: HTML; css: a class, `worded` where the last column is a sentence."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table class="{css}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def counted(count: int, noun: str) -> str:
    """1 seed, 2 seeds."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
