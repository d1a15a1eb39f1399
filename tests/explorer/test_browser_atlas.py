"""The atlas room in a real browser: its map, your own pair on it, and the words and table beside it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from explorer.browsing import MARKS, Visit
from explorer.serving import Explorer
from playwright.sync_api import Browser, Page

from softstep.explorer.rooms.endpoints import answer
from softstep.explorer.static_site import export

pytestmark = MARKS

NAMES = answer("atlas", {})["maps"]
PAIRS_ONLY = [name for name in answer("atlas", {})["environments"] if name not in NAMES]


def wait_for_text(page: Page, selector: str, text: str) -> None:
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.textContent.includes(text)", arg=[selector, text]
    )


def drawn_maps(page: Page) -> list[Any]:
    """Return the numbers of the heat maps, once they are drawn."""
    page.wait_for_function("() => document.getElementById('atlas-map')?.data?.length > 0")
    script = "() => document.getElementById('atlas-map').data.filter(trace => trace.type === 'heatmap').map(t => t.z)"
    return list(page.evaluate(script))


def wait_for_point(page: Page, name: str, alpha: float, c: float) -> dict[str, Any]:
    """Wait until the room shows what the endpoint answers for a pair, and return that answer."""
    expected = answer("atlas-point", {"env": name, "alpha": alpha, "c": c})
    for text in expected["measured"]:
        wait_for_text(page, "#atlas-measured", text)
    wait_for_text(page, "#atlas-without", expected["without"])
    for text in expected["advice"]:
        wait_for_text(page, "#atlas-advice", text)
    return expected


def handle_on_map(page: Page) -> tuple[float, float]:
    """Return α and the place on the map's other axis at which the handle stands."""
    x, y = page.evaluate(
        """() => { const plot = document.getElementById('atlas-map'), {style} = document.querySelector('.handle');
        const {xaxis, yaxis, _size} = plot._fullLayout;
        return [xaxis.p2d(parseFloat(style.left) - _size.l), yaxis.p2d(parseFloat(style.top) - _size.t)]; }"""
    )
    return float(x), float(y)


def test_the_environments_can_be_switched_and_each_shows_its_map(visit: Visit) -> None:
    page = visit.go("atlas")
    for name in [*NAMES, NAMES[0]]:
        page.select_option("#control-env", name)
        wait_for_text(page, "#atlas-map + *, .figure .note", name)
        expected = answer("atlas-map", {"env": name})
        page.wait_for_function(
            "mean => document.getElementById('atlas-map').data?.[0].z[0][0] === mean", arg=expected["mean"][0][0]
        )
        assert [row for rows in drawn_maps(page) for row in rows] == expected["mean"]
        wait_for_text(page, "#atlas-scope", expected["says"][0])
        wait_for_point(page, name, 0.001, 0.99)
        page.wait_for_function("name => location.hash.includes(`env=${name}`)", arg=name)


def test_an_environment_without_a_map_shows_its_pairs_and_yours(visit: Visit) -> None:
    page, name = visit.go("atlas?alpha=0.001&c=0.99"), PAIRS_ONLY[0]
    page.select_option("#control-env", name)
    expected = answer("atlas-map", {"env": name})
    circles = "document.getElementById('atlas-map').data?.find(trace => trace.name === 'pairs drawn at random')"
    page.wait_for_function(f"() => {circles}")
    drawn = page.evaluate(f"[{circles}].map(({{ x, y, marker }}) => [x, y, marker.color])[0]")
    assert drawn == [expected["pairs"][column] for column in ("learning_rate", "tau", "mean")]
    point = wait_for_point(page, name, 0.001, 0.99)
    assert len(point["measured"]) == 4
    assert handle_on_map(page) == pytest.approx((0.001, 0.01), rel=0.02)
    page.locator("#atlas-table summary").click()
    rows = page.locator("#atlas-table tbody tr").all()
    best = max(range(len(rows)), key=lambda i: expected["pairs"]["mean"][i])
    assert rows[0].locator("td").last.inner_text() == expected["pairs"]["short"][best]
    handle = page.locator(".handle")
    handle.press("ArrowUp")
    page.wait_for_function("() => document.getElementById('control-c-value').value !== '0.99'")


def test_the_contenders_of_the_atlas_are_listed(visit: Visit) -> None:
    page = visit.go(f"atlas?env={PAIRS_ONLY[0]}")
    expected = answer("atlas-contenders", {"env": PAIRS_ONLY[0]})
    wait_for_text(page, "#atlas-contenders", expected["says"][1])
    rows = [row.locator("th, td").all_inner_texts() for row in page.locator("#atlas-contenders tbody tr").all()]
    assert rows == [
        [row[key] for key in ("name", "judged", "best_checkpoint", "selection", "settings")]
        for row in expected["contenders"]
    ]
    wait_for_text(page, "#atlas-without", answer("atlas-contenders", {"env": PAIRS_ONLY[0]})["says"][0])


def test_a_slider_moves_the_pair_and_its_words(visit: Visit) -> None:
    page = visit.go(f"atlas?env={NAMES[0]}&alpha=0.001&c=0.99")
    drawn_maps(page)
    wait_for_point(page, NAMES[0], 0.001, 0.99)
    slider = page.locator("#control-alpha")
    slider.focus()
    for _ in range(30):
        slider.press("ArrowRight")
    alpha = float(page.input_value("#control-alpha-value"))
    assert alpha > 0.001
    wait_for_point(page, NAMES[0], alpha, 0.99)
    assert handle_on_map(page) == pytest.approx((alpha, 0.01), rel=0.02)
    page.locator("#control-c").press("Home")
    assert page.input_value("#control-c-value") == "0"
    point = wait_for_point(page, NAMES[0], alpha, 0.0)
    assert "no target network" in point["without"]
    low, high = answer("atlas-map", {"env": NAMES[0]})["edges"]["no_target"]
    assert low < handle_on_map(page)[1] < high


def test_the_handle_moves_with_the_arrow_keys_and_leaves_the_row_without_a_target_network(visit: Visit) -> None:
    page = visit.go("atlas?alpha=0.001&c=0")
    drawn_maps(page)
    wait_for_point(page, NAMES[0], 0.001, 0.0)
    handle = page.locator(".handle")
    handle.press("Shift+ArrowDown")
    wait_for_text(page, "#atlas-advice", "τ = 0.316")
    assert float(page.input_value("#control-c-value")) == pytest.approx(1 - 1 / math.sqrt(10), abs=1e-3)
    for _ in range(2):
        handle.press("Shift+ArrowUp")
    wait_for_text(page, "#atlas-without", "Your pair has no target network")
    handle.press("ArrowRight")
    page.wait_for_function("() => document.getElementById('control-alpha-value').value === '0.00106'")


def test_pointing_at_a_cell_shows_its_seeds_and_clicking_puts_the_pair_there(visit: Visit) -> None:
    page = visit.go(f"atlas?env={NAMES[-1]}&alpha=0.001&c=0.99")
    drawn_maps(page)
    expected = answer("atlas-map", {"env": NAMES[-1]})
    j, i = expected["tau"].index(1.0), len(expected["alpha"]) - 1
    x, y = page.evaluate(
        """([alpha, position]) => { const plot = document.getElementById('atlas-map');
        const {xaxis, yaxis, _size} = plot._fullLayout, box = plot.getBoundingClientRect();
        return [box.left + _size.l + xaxis.d2p(alpha), box.top + _size.t + yaxis.d2p(position)]; }""",
        [expected["alpha"][i], expected["position"][j]],
    )
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    wait_for_text(page, ".hoverlayer", f"({expected['seeds'][j][i]} seeds)")
    page.mouse.click(x, y)
    wait_for_point(page, NAMES[-1], expected["alpha"][i], 0.0)


def test_the_table_has_every_cell_and_marks_the_nearest(visit: Visit) -> None:
    page = visit.go(f"atlas?env={NAMES[0]}&alpha=0.001&c=0.99")
    wait_for_point(page, NAMES[0], 0.001, 0.99)
    page.locator("#atlas-table summary").click()
    expected = answer("atlas-map", {"env": NAMES[0]})
    table = page.locator("#atlas-table .measured").first
    shown = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
    assert shown == expected["short"][::-1]
    assert table.locator("caption").inner_text().startswith(expected["caption"])
    i, j = expected["alpha"].index(0.001), expected["tau"].index(0.01)
    assert table.locator("[aria-current]").all_inner_texts() == [expected["short"][j][i]]


def test_the_file_of_the_map_has_its_cells(visit: Visit) -> None:
    page = visit.go(f"atlas?env={NAMES[-1]}")
    drawn_maps(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="as CSV").click()
    header, *lines = Path(download.value.path()).read_text("utf-8").splitlines()
    expected = answer("atlas-map", {"env": NAMES[-1]})
    assert header == "alpha,c,tau,mean_return,sd,seeds"
    assert len(lines) == sum(mean is not None for row in expected["mean"] for mean in row)
    first = [float(value) for value in lines[0].split(",")]
    assert first == [expected[name][0] for name in ("alpha", "c", "tau")] + [
        expected[name][0][0] for name in ("mean", "sd", "seeds")
    ]


def test_wrong_values_in_the_address_show_the_reason_beside_their_control(visit: Visit) -> None:
    visit.tolerated = "422"  # the browser logs it too
    page = visit.go("atlas?env=Pong&alpha=0.001")
    wait_for_text(page, "#control-env-error", "'Pong' is not offered: choose one of")
    page.select_option("#control-env", NAMES[0])
    wait_for_point(page, NAMES[0], 0.001, 0.99)
    assert page.inner_text("#control-env-error") == ""
    visit.type("alpha", "7")
    wait_for_text(page, "#control-alpha-error", "7 is out of range")
    visit.type("alpha", "0.9")
    wait_for_text(page, "#atlas-measured", "beyond the measured ones")
    assert page.locator(".handle").is_hidden()


def test_the_pair_can_be_trained_in_the_live_room(visit: Visit) -> None:
    page = visit.go("atlas?env=CartPole-v1&alpha=0.003&c=0")
    page.get_by_role("link", name="Watch an agent learn with this pair").click()
    page.wait_for_selector("#room-live")
    assert page.input_value("[id='control-alpha-soft-value']") == "0.003"
    assert page.locator("#live-card-soft input[type=radio][value=off]").is_checked()
    page.get_by_role("link", name="Atlas").last.click()
    page.wait_for_selector("#room-atlas")


@pytest.mark.parametrize("width", [360, 1100])
def test_the_opened_parts_are_accessible_and_fit(browser: Browser, explorer: Explorer, width: int) -> None:
    visit = Visit(browser, explorer, viewport={"width": width, "height": 800})
    page = visit.go("atlas?alpha=0.002&c=0.98")
    drawn_maps(page)
    wait_for_point(page, NAMES[0], 0.002, 0.98)
    for summary in page.locator("summary").all():
        summary.click()
    page.evaluate(Axe().axe_script)
    violations = page.evaluate("axe.run(document)")["violations"]
    assert not [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in violations]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not visit.problems
    visit.context.close()


def test_the_exported_room_shows_the_same(browser: Browser, tmp_path: Path) -> None:
    small = {name: grid for name, grid in export.GRIDS.items() if name.startswith("atlas")}
    rest = {
        name: grid._replace(axes={axis: values[:1] for axis, values in grid.axes.items()})
        for name, grid in export.GRIDS.items()
        if name not in small
    }
    index = export.export_explorer(tmp_path, {**rest, **small})
    page = browser.new_page()
    page.goto(f"{index.as_uri()}#/atlas?env={NAMES[-1]}")
    wait_for_point(page, NAMES[-1], 0.001, 0.99)
    slider = page.locator("#control-c")
    slider.focus()
    slider.press("Home")
    wait_for_point(page, NAMES[-1], 0.001, 0.0)
    page.select_option("#control-env", NAMES[0])
    wait_for_point(page, NAMES[0], 0.001, 0.0)
    assert page.locator("#room-atlas a").count() == 0  # an exported page has no live room
    page.close()
