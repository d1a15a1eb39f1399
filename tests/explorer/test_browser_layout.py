"""Every room on a phone and on a projector, in a real browser: what is seen at once, and how large it is.

These tests need Chromium and are skipped without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from explorer.browsing import MARKS, TICKS, Visit
from explorer.serving import Explorer
from playwright.sync_api import Browser, Page

from softstep.explorer.static_site import export

pytestmark = MARKS

FIGURES = {
    "one-network": ["paths", "steps", "rate"],
    "two-networks": ["paths", "first", "ledger", "staircase", "response", "sudden"],
    "stability": ["map", "trajectory", "eigenvalues"],
    "noise": ["map", "ratio", "run"],
    "atlas": ["map"],
    "live": ["arms", "return", "gap", "drift"],
    "reports": ["frame"],
}
"""The names of each room's figures in the address of its projector, in their order."""
WITH_SLIDERS = [room for room in FIGURES if room != "reports"]
PHONES = [(360, 740, 3), (390, 844, 2)]
PROJECTORS = [(1280, 720), (1920, 1080)]

LETTERS = """least => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const apart = '.skip, .meaning, script, style, option, msub > :nth-child(2), msup > :nth-child(2)';
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const isSeen = element.checkVisibility({visibilityProperty: true}) && !element.closest(apart);
    const size = parseFloat(getComputedStyle(element).fontSize);
    if (walker.currentNode.data.trim() && isSeen && size < least) found.push([walker.currentNode.data, size]);
  }
  return found;
}"""
"""Texts in smaller type than `least` pixels; the subscripts of formulas and what only screen readers read are apart."""

TARGETS = """least => [...document.querySelectorAll('button, select, summary, input, a')]
  .filter(node => node.checkVisibility({visibilityProperty: true}) && !node.matches('.skip, p a'))
  .map(node => ({ node, box: (node.matches('[type=radio], [type=checkbox]') ? node.closest('label') : node)
    .getBoundingClientRect() }))
  .filter(({ box }) => Math.min(box.width, box.height) < least - 0.01)
  .map(({ node, box }) => [node.outerHTML.slice(0, 80), box.width, box.height])"""
"""What can be touched and is less than `least` pixels wide or high; links in a sentence are apart."""

CUT_OFF = """() => [...document.querySelectorAll('.plot')].flatMap(plot => {
  const outer = plot.getBoundingClientRect();
  return [...plot.querySelectorAll('.xtitle, .ytitle, .xtick text, .ytick text, .cbaxis text, .cbtitle text')]
    .filter(text => {
      const box = text.getBoundingClientRect();
      return box.left < outer.left - 1 || box.right > outer.right + 1 || box.top < outer.top - 1
        || box.bottom > outer.bottom + 1;
    }).map(text => [plot.id, text.textContent]);
})"""
"""Words and numbers on axes that stick out of their figure."""

IN_VIEW = """selector => {
  const node = [...document.querySelectorAll(selector)].find(node => node.checkVisibility());
  const { left, right, top, bottom } = node.getBoundingClientRect();
  const cover = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  const isSeen = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
  return isSeen && (node === cover || node.contains(cover));
}"""
"""Whether the first shown element of a selector is in the window as a whole, and nothing lies on it."""

DRAWN = """() => [...document.querySelectorAll('.plot')].filter(plot => plot.clientWidth)
  .every(plot => plot.data?.length >= 0 && Math.abs(plot._fullLayout.width - plot.clientWidth) < 1)"""
"""Whether all figures that are shown are drawn, at their present size."""


def settle(page: Page) -> None:
    """Wait until everything is drawn."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function(DRAWN)
    page.wait_for_timeout(300)


# ---- a phone ----


@pytest.fixture(params=PHONES, ids=lambda size: f"{size[0]}x{size[1]}")
def phone(browser: Browser, explorer: Explorer, request: pytest.FixtureRequest) -> Iterator[Visit]:
    width, height, ratio = request.param
    visit = Visit(
        browser, explorer, viewport={"width": width, "height": height}, device_scale_factor=ratio, has_touch=True,
        is_mobile=True,
    )  # fmt: skip
    yield visit
    visit.close()


@pytest.mark.parametrize("room", FIGURES)
def test_on_a_phone_everything_fits_can_be_read_and_can_be_touched(phone: Visit, room: str) -> None:
    page = phone.go(room)
    settle(page)
    if room in WITH_SLIDERS:
        page.locator(".room > .controls > .unfold").click()
    page.evaluate("() => { for (const details of document.querySelectorAll('details')) details.open = true; }")
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate(LETTERS, 14) == []
    assert page.evaluate(TARGETS, 40) == []
    assert page.evaluate(CUT_OFF) == []
    assert all(axis["closest"] >= 0 for axis in page.evaluate(TICKS))


@pytest.mark.parametrize("room", WITH_SLIDERS)
def test_on_a_phone_a_slider_and_its_figure_are_seen_at_once(phone: Visit, room: str) -> None:
    page = phone.go(room)
    settle(page)
    figure, sliders = (".scene", ".arm .main") if room == "live" else (".first .frame", ".room > .controls > .main")
    assert page.evaluate(IN_VIEW, figure)
    assert page.evaluate(IN_VIEW, f"{sliders} [id*='-alpha']")
    assert page.evaluate(IN_VIEW, f"{sliders} [id*='-c']")
    if room != "live":  # whose picture moves only while an agent learns
        before = page.evaluate(SHOWN_NUMBERS)
        page.locator("#control-alpha").focus()
        for _ in range(30):
            page.keyboard.press("ArrowLeft")
        page.wait_for_function(f"before => ({SHOWN_NUMBERS})() !== before", arg=before)
    assert page.evaluate("scrollY") == 0


SHOWN_NUMBERS = """() => JSON.stringify(
  [...document.querySelector('.first').querySelectorAll('.plot, .handle')].map(node =>
    node.data?.map(({x, y}) => [x, y]) ?? node.style.left))"""
"""The numbers in the first figure, and where its handle is."""


@pytest.mark.parametrize("room", WITH_SLIDERS)
def test_on_a_phone_the_unfolded_sliders_leave_the_figure_in_view(phone: Visit, room: str) -> None:
    page = phone.go(room)
    settle(page)
    assert page.locator(".room > .controls .control:not(.main)").first.is_hidden()
    page.locator(".room > .controls > .unfold").click()
    page.wait_for_timeout(300)
    assert page.locator(".room > .controls .control:not(.main)").first.is_visible()
    bottom, top, edge = page.evaluate(
        """figure => {
          const box = document.querySelector(figure).getBoundingClientRect();
          return [box.bottom, box.top, document.querySelector('.room > .controls').getBoundingClientRect().top];
        }""",
        ".scene" if room == "live" else ".first .plot",
    )
    assert top >= -1
    assert bottom <= edge
    page.locator(".room > .controls > .unfold").click()
    assert page.locator(".room > .controls .control:not(.main)").first.is_hidden()


def test_on_a_phone_an_error_unfolds_its_control(phone: Visit) -> None:
    phone.tolerated = "422"  # the browser logs every refusal
    page = phone.go("noise?a=99")
    page.wait_for_function("() => document.getElementById('control-a-error').textContent.includes('99')")
    assert page.locator("#control-a-error").is_visible()


# ---- a projector ----


@pytest.mark.parametrize(("width", "height"), PROJECTORS)
@pytest.mark.parametrize("room", FIGURES)
def test_on_a_projector_each_figure_fills_the_screen_in_large_type(
    browser: Browser, explorer: Explorer, room: str, width: int, height: int
) -> None:
    visit = Visit(browser, explorer, viewport={"width": width, "height": height})
    page = visit.go(f"{room}?projector")
    for name in FIGURES[room]:
        settle(page)
        page.wait_for_function("() => document.querySelectorAll('[data-stage]').length === 1")
        stage = page.locator("[data-stage] .plot" if name not in ("arms", "frame") else "[data-stage]")
        assert stage.get_attribute("id") == f"{room}-{name}"
        box = stage.bounding_box()
        assert box is not None
        assert box["width"] * box["height"] >= 0.5 * width * height
        overflow = (
            "[document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
        )
        assert max(page.evaluate(overflow)) <= 0
        assert page.evaluate(LETTERS, 0.8 * height / 36) == []
        assert page.evaluate(CUT_OFF) == []
        assert all(axis["closest"] >= 0 for axis in page.evaluate(TICKS))
        if room in WITH_SLIDERS:
            slider = page.locator(".main [id*='-c'][type=range]").first.bounding_box()
            assert slider is not None
            assert slider["y"] >= box["y"] + (0 if name == "arms" else box["height"])
            assert slider["y"] + slider["height"] <= height
        page.keyboard.press("ArrowRight")
    assert page.locator("[aria-label='Next figure']").is_disabled()
    assert not visit.problems
    visit.context.close()


def test_the_projector_is_entered_stepped_and_left_with_keys_and_buttons(visit: Visit) -> None:
    page = visit.go("noise?alpha=0.3")
    settle(page)
    bar = page.get_by_role("group", name="Projector")
    page.get_by_role("button", name="Projector", exact=True).click()
    assert bar.is_visible()
    bar.get_by_role("button", name="Next figure").click()
    page.wait_for_url("**/#/noise?alpha=0.3&projector=ratio")
    page.reload()
    page.wait_for_selector("#noise-ratio")
    assert "Noise: 2 of 3" in bar.inner_text()
    for key, shown in (("PageDown", "noise-run"), ("ArrowLeft", "noise-ratio"), ("PageUp", "noise-map")):
        page.keyboard.press(key)
        assert page.locator("[data-stage] .plot").get_attribute("id") == shown
    before = page.input_value("#control-alpha-value")
    page.locator("#control-alpha").press("ArrowRight")
    assert page.input_value("#control-alpha-value") != before  # on a slider, the arrow keys move it
    assert page.locator("[data-stage] .plot").get_attribute("id") == "noise-map"
    page.keyboard.press("Escape")
    assert bar.is_hidden()
    page.wait_for_timeout(300)
    assert "projector" not in page.url
    assert page.evaluate("document.activeElement.id") == "projector"
    page.keyboard.press("p")
    assert bar.is_visible()
    page.keyboard.press("p")
    assert bar.is_hidden()


def test_letters_typed_in_a_box_do_not_switch_the_projector(visit: Visit) -> None:
    page = visit.go("one-network?loss=own")
    visit.tolerated = "422"  # exp is known, xp is not
    before = page.input_value("#control-formula")
    page.locator("#control-formula").press_sequentially("p")
    assert page.get_by_role("group", name="Projector").is_hidden()
    assert sorted(page.input_value("#control-formula")) == sorted(f"{before}p")


def test_the_projector_shows_another_figure_while_its_own_does_not_exist(visit: Visit) -> None:
    page = visit.go("one-network?projector=rate")
    settle(page)
    page.get_by_role("button", name="More controls").click()
    page.get_by_text("Every step, with Nesterov momentum").click()
    page.wait_for_function("() => document.querySelector('[data-stage] .plot')?.id === 'one-network-paths'")
    page.evaluate("() => { location.hash = '#/noise'; }")
    page.wait_for_selector("#room-noise")
    assert page.get_by_role("group", name="Projector").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("room", FIGURES)
def test_the_projector_is_accessible_in_both_themes(
    browser: Browser, explorer: Explorer, room: str, scheme: Any
) -> None:
    visit = Visit(browser, explorer, viewport={"width": 1280, "height": 720}, color_scheme=scheme)
    page = visit.go(f"{room}?projector")
    settle(page)
    page.evaluate(Axe().axe_script)
    violations = page.evaluate("axe.run(document, {iframes: false})")["violations"]
    assert not [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in violations]
    visit.context.close()


def test_exported_rooms_have_the_projector_and_fit_a_phone(browser: Browser, tmp_path: Path) -> None:
    grids = {name: grid._replace(axes={axis: values[:1] for axis, values in grid.axes.items()})
             for name, grid in export.GRIDS.items()}  # fmt: skip
    index = export.export_explorer(tmp_path / "site", grids)
    page = browser.new_page(viewport={"width": 360, "height": 740})
    problems = list[str]()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{index.as_uri()}#/noise")
    settle(page)
    assert page.evaluate(IN_VIEW, ".first .plot")
    assert page.evaluate(IN_VIEW, "#control-alpha")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.keyboard.press("p")
    settle(page)
    assert page.locator("[data-stage] #noise-map").is_visible()
    page.wait_for_url("**#/noise?projector=map")
    assert problems == []
    page.close()
