"""A GeoGebra worksheet: objects with formulas in one or two graphics views, as a zip with `geogebra.xml`.

Sources: for elements and attributes "XML" and "Common XML tags and types" of GeoGebra's reference
(geogebra.github.io/docs/reference), and what GeoGebra Classic 5.4.916 itself writes; for commands GeoGebra's manual.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

VIEW_SIZE = 700, 600
"""Width and height of a graphics view in pixels."""
MOMENT = 1980, 1, 1, 0, 0, 0
"""The date of the file in the zip, so that equal constructions are equal files."""


class Look(NamedTuple):
    """How an object is drawn."""

    view: int = 1
    """Number of the graphics view, 1 or 2."""
    colour: str = "#1b2333"
    thickness: int = 5
    """Of a line; of a point, its size."""
    visible: bool = True
    text_at: tuple[int, int] | None = None
    """Position of a text in pixels from the upper left corner of its view."""


class Slider(NamedTuple):
    """A number with a slider."""

    label: str
    value: float
    low: float
    high: float
    step: float
    look: Look
    at: tuple[int, int]
    """Position in pixels from the upper left corner of its view."""


class Formula(NamedTuple):
    """An object that an expression defines: a number, a function or a text."""

    label: str
    expression: str
    kind: str
    """GeoGebra's type of the object: numeric, function, functionnvar or text."""
    look: Look


class Command(NamedTuple):
    """A list that a command makes of its arguments, which are expressions."""

    label: str
    name: str
    arguments: tuple[str, ...]
    look: Look


Item = Slider | Formula | Command


class View(NamedTuple):
    """What a graphics view shows: the plane from (left, bottom) to (right, top), with names of its axes."""

    left: float
    right: float
    bottom: float
    top: float
    axes: tuple[str, str]


def worksheet(title: str, items: Sequence[Item], views: tuple[View, View]) -> bytes:
    """Return the worksheet as a `.ggb` file; every item uses only labels of items before it."""
    root = Element("geogebra", {"format": "5.0", "version": "5.4.916.2", "app": "classic"})
    root.append(_side_by_side())
    for number, view in enumerate(views, 1):
        root.append(_view(number, view))
    kernel = SubElement(root, "kernel")
    SubElement(kernel, "continuous", {"val": "false"})
    SubElement(kernel, "decimals", {"val": "6"})
    construction = SubElement(root, "construction", {"title": title, "author": "softstep", "date": ""})
    for item in items:
        _define(construction, item)
        construction.append(_element(item))
    ElementTree.indent(root)
    return _zipped(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _zipped(xml: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo("geogebra.xml", MOMENT)
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, xml)
    return content.getvalue()


def _side_by_side() -> Element:
    """Return the layout: two graphics views (1 and 16) beside each other, and no list of objects (2)."""
    gui = Element("gui")
    SubElement(gui, "window", {"width": str(2 * VIEW_SIZE[0]), "height": str(VIEW_SIZE[1])})
    perspective = SubElement(SubElement(gui, "perspectives"), "perspective", {"id": "tmp"})
    panes = SubElement(perspective, "panes")
    SubElement(panes, "pane", {"location": "", "divider": "0.5", "orientation": "1"})
    views = SubElement(perspective, "views")
    for identity, visible, location in ((1, True, "3"), (16, True, "1"), (2, False, "3")):
        shown = {"visible": _boolean(visible), "inframe": "false", "stylebar": "false", "location": location}
        place = {"size": str(VIEW_SIZE[0]), "window": "100,100,700,600"}
        SubElement(views, "view", {"id": str(identity), **shown, **place})
    SubElement(perspective, "toolbar", {"show": "true", "items": "0 | 1 | 2 | 7 | 25 17 | 40 41 42"})
    SubElement(perspective, "input", {"show": "true", "cmd": "true", "top": "algebra"})
    SubElement(gui, "font", {"size": "16"})
    return gui


def _view(number: int, view: View) -> Element:
    width, height = VIEW_SIZE
    x_scale, y_scale = width / (view.right - view.left), height / (view.top - view.bottom)
    root = Element("euclidianView")
    SubElement(root, "viewNumber", {"viewNo": str(number)})
    SubElement(root, "size", {"width": str(width), "height": str(height)})
    zero = {"xZero": _number(-view.left * x_scale), "yZero": _number(view.top * y_scale)}
    SubElement(root, "coordSystem", {**zero, "scale": _number(x_scale), "yscale": _number(y_scale)})
    SubElement(root, "evSettings", {"axes": "true", "grid": "true", "pointCapturing": "0"})
    for axis, name in enumerate(view.axes):
        SubElement(root, "axis", {"id": str(axis), "show": "true", "label": name, "showNumbers": "true"})
    return root


def _define(construction: Element, item: Item) -> None:
    """Append what defines the item; a slider is defined by its value."""
    if isinstance(item, Formula):
        SubElement(construction, "expression", {"label": item.label, "exp": item.expression})
    elif isinstance(item, Command):
        command = SubElement(construction, "command", {"name": item.name})
        SubElement(command, "input", {f"a{number}": text for number, text in enumerate(item.arguments)})
        SubElement(command, "output", {"a0": item.label})


def _element(item: Item) -> Element:
    """Return how the item looks, and of a slider its value and range."""
    look = item.look
    kind = "numeric" if isinstance(item, Slider) else item.kind if isinstance(item, Formula) else "list"
    root = Element("element", {"type": kind, "label": item.label})
    if isinstance(item, Slider):
        SubElement(root, "value", {"val": _number(item.value)})
        where = {"absoluteScreenLocation": "true", "width": "220", "x": str(item.at[0]), "y": str(item.at[1])}
        ends = {"min": _number(item.low), "max": _number(item.high)}
        SubElement(root, "slider", {**ends, **where, "fixed": "true", "horizontal": "true", "showAlgebra": "true"})
    shown = {"object": _boolean(look.visible), "label": _boolean(isinstance(item, Slider))}
    SubElement(root, "show", {**shown, "ev": "3"} if look.view == 2 else shown)  # 3: not in view 1, but in view 2
    red, green, blue = (str(int(look.colour[i : i + 2], 16)) for i in (1, 3, 5))
    SubElement(root, "objColor", {"r": red, "g": green, "b": blue, "alpha": "0"})
    if isinstance(item, Slider):
        SubElement(root, "labelMode", {"val": "1"})  # name and value
        SubElement(root, "animation", {"step": _number(item.step), "type": "0", "playing": "false"})
    elif look.text_at is not None:
        SubElement(root, "absoluteScreenLocation", {"x": str(look.text_at[0]), "y": str(look.text_at[1])})
    else:
        SubElement(root, "lineStyle", {"thickness": str(look.thickness), "type": "0"})
        if kind == "list":
            SubElement(root, "pointSize", {"val": str(look.thickness)})
    return root


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _number(value: float) -> str:
    return repr(float(value))
