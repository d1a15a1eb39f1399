"""The page's static files: colours come from the product's palette, and every stylesheet variable is defined."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from softstep.explorer.http import assets
from softstep.report.shared.palette import (
    ACCENT_ON_DARK,
    ARMS,
    DARK_GROUND,
    DARK_INK,
    FALLBACK,
    LIGHT_GROUND,
    LIGHT_INK,
)

CODE = sorted(path for path in assets.STATIC.rglob("*") if path.suffix in (".js", ".css", ".html"))
PALETTE = {
    *(style.colour for style in ARMS.values()),
    *FALLBACK,
    *(LIGHT_GROUND, LIGHT_INK, DARK_GROUND, DARK_INK, ACCENT_ON_DARK),
}


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_no_file_repeats_a_colour_of_the_palette(path: Path) -> None:
    text = path.read_text("utf-8").lower()
    assert not [colour for colour in PALETTE if colour in text]


def test_every_stylesheet_variable_is_defined() -> None:
    files = [path.read_text("utf-8") for path in CODE]
    css = "".join((assets.palette_css(), *files))
    used = set(re.findall(r"var\(--([\w-]+)\)", css))
    set_by_scripts = set(re.findall(r'setProperty\("--([\w-]+)"', css))
    defined = set(re.findall(r"--([\w-]+):", css))
    assert used <= defined | set_by_scripts
    assert {"light-ground", "dark-ground", "light-accent"} <= used


def test_the_palette_module_gives_every_role_the_colour_of_an_arm() -> None:
    text = assets.palette_js().removeprefix("export const palette = ").removesuffix(";\n")
    palette = json.loads(text)
    assert palette["arms"] == {name: style.colour for name, style in ARMS.items()}
    assert set(palette["roles"].values()) <= set(palette["arms"].values())


def test_every_role_in_the_figures_is_in_the_palette() -> None:
    page_colours = {"ground", "ink", "quiet", "line", "grid", "panel", "arm"}
    used = {name for path in CODE for name in re.findall(r"\bcolours\.(\w+)\b(?!\()", path.read_text("utf-8"))}
    assert used - page_colours - {"get"} <= set(assets.ROLES)
