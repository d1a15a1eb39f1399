"""The page in a real browser: every room draws the theory's numbers, reacts to its controls, and is accessible.

These tests need Chromium and are skipped without it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from axe_core_python.sync_playwright import Axe
from explorer.browsing import MARKS, TICKS, Visit
from explorer.serving import Explorer
from playwright.sync_api import Browser, Page, Route

from softstep import envs, theory
from softstep.explorer.live.live_config import BASES

ROOMS = ("one-network", "two-networks", "stability", "noise", "atlas", "live", "reports")

TITLES = """() => [...document.querySelectorAll('.ytitle')].map(title => {
  const lines = [...title.querySelectorAll('tspan.line')].map(line => line.textContent);
  return lines.join(' ') || title.textContent;
})"""
"""The titles of vertical axes, the lines of each joined by a space."""

pytestmark = MARKS


# ---- every room, in both themes, narrow and wide ----


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("room", [*ROOMS, "live?env=Pendulum-v1"])
def test_a_room_opens_without_errors_is_accessible_and_fits(
    browser: Browser, explorer: Explorer, room: str, width: int, scheme: Any
) -> None:
    visit = Visit(browser, explorer, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = visit.go(room)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)
    page.evaluate(Axe().axe_script)
    violations = page.evaluate("axe.run(document, {iframes: false})")["violations"]
    assert not [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in violations]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not visit.problems
    visit.context.close()


def test_a_report_runs_in_its_sandbox(visit: Visit) -> None:
    frame = visit.go("reports").frame_locator("iframe")
    assert frame.locator("#p").inner_text() == "drawn"
    assert visit.page.locator("iframe").get_attribute("sandbox") == "allow-scripts allow-downloads"


# ---- the numbers on the screen ----


def test_two_networks_are_drawn_with_the_numbers_of_the_theory(visit: Visit) -> None:
    visit.go("two-networks?alpha=0.5&c=0.9&a=0.9&b=1&start=1&steps=12")
    drawn = visit.drawn("two-networks-paths")
    curves = {name[0]: np.array(trace["y"]) for name, trace in drawn.items() if len(trace["y"]) == 13}
    run = theory.LinearTD.scalar(0.9, 1.0).simulate(0.5, 0.9, 12, q0=[1.0])
    drawn_curves = list(curves.values())
    for expected in (run.Q[:, 0], run.T[:, 0]):
        assert any(np.allclose(expected, curve, rtol=1e-12) for curve in drawn_curves)
    single = 1 * (1 - 0.1 * 0.5 * 0.1) ** np.arange(13)
    (x,) = [curve for curve in drawn_curves if np.allclose(curve, single, rtol=1e-12)]
    (t,) = [curve for curve in drawn_curves if np.allclose(curve, run.T[:, 0], rtol=1e-12)]
    assert t[1] == pytest.approx(x[1], rel=1e-15) == pytest.approx(0.995)
    assert abs(t[2] - x[2]) > 1e-3


def test_the_soft_update_of_one_network_lies_on_the_smaller_step_at_all_settings(visit: Visit) -> None:
    visit.go("one-network?alpha=0.7&c=0.6")
    for alpha, c in (("0.7", "0.6"), ("1", "0.9"), ("0.2", "0.25")):
        visit.type("alpha", alpha)
        visit.type("c", c)
        visit.page.wait_for_timeout(600)
        drawn = visit.drawn("one-network-steps")
        curves = [np.array(trace["y"], float) for trace in drawn.values() if len(trace["y"]) > 2]
        pairs = [(i, j) for i in range(len(curves)) for j in range(i) if curves[i].shape == curves[j].shape]
        assert any(np.allclose(curves[i], curves[j], rtol=1e-9, atol=1e-12) for i, j in pairs)
    visit.type("alpha", "1")
    visit.page.wait_for_timeout(400)
    assert "1" in visit.page.inner_text("#one-network-relation")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("at=0", "step 0 of 40"),
        ("", "step 1 of 40"),
        ("c=0.995&at=415", "step 415 of 415"),
        ("at=9999", "step 40 of 40"),
        ("at=-3", "step 0 of 40"),
        ("c=0.995&at=6.6&steps=12", "step 7 of 12"),
    ],
)
def test_the_address_puts_the_room_at_a_step(visit: Visit, address: str, shown: str) -> None:
    page = visit.go(f"two-networks?{address}")
    page.wait_for_function("text => document.querySelector('.step-number').textContent === text", arg=shown)
    step = int(shown.split()[1])
    ledger = visit.drawn("two-networks-ledger")
    assert len(ledger["arrived in T"]["x"]) == step
    page.click("button[aria-label='First step']")
    page.click("button[aria-label='Next step']")
    page.wait_for_function("() => document.querySelector('.step-number').textContent.startsWith('step 1 of')")


def test_play_shows_a_long_run_within_half_a_minute(visit: Visit) -> None:
    page = visit.go("two-networks?c=0.995&at=0")
    visit.drawn("two-networks-ledger")
    page.click("button[aria-label='Play the steps']")
    page.wait_for_function("() => document.querySelector('.step-number').textContent === 'step 22 of 415'")


def test_the_words_fit_the_mode(visit: Visit) -> None:
    for variant, says in (("every-step", "the same path"), ("lookahead", "no single learning rate does the same")):
        page = visit.go(f"one-network?variant={variant}")
        page.wait_for_function(
            "text => document.getElementById('one-network-relation')?.textContent.includes(text)", arg=says
        )
        words = page.inner_text(".opening") + page.inner_text(".formulas")
        assert "exactly" not in words
        assert ("k" in variant) == ("every 5 steps" in words)


LOGARITHMIC = (
    "stability?c=0.9",
    "stability?problem=target_destroys",
    "noise",
    "noise?c=0.999&alpha=0.01",
    "two-networks",
    "atlas",
)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("address", LOGARITHMIC)
def test_tick_labels_are_numbers_that_do_not_overlap(
    browser: Browser, explorer: Explorer, address: str, width: int
) -> None:
    visit = Visit(browser, explorer, viewport={"width": width, "height": 900})
    page = visit.go(address)
    page.wait_for_function("() => [...document.querySelectorAll('.plot')].every(plot => plot.data?.length)")
    page.wait_for_timeout(500)
    labels = page.evaluate(TICKS)
    assert len(labels) >= 2
    for axis in labels:
        assert not set("μnkMG") & set("".join(axis["texts"])), axis
        assert axis["closest"] >= 0, axis
    visit.context.close()


def test_a_slider_moved_with_the_keyboard_updates_the_figure_and_the_address(visit: Visit) -> None:
    visit.go("two-networks")
    before = visit.drawn("two-networks-paths")
    slider = visit.page.locator("#control-c")
    slider.focus()
    for _ in range(40):
        slider.press("ArrowRight")
    visit.page.wait_for_timeout(800)
    assert visit.drawn("two-networks-paths") != before
    assert "c=0.9" in visit.page.url
    c = visit.page.input_value("[id='control-c-value']")
    visit.page.reload()
    visit.page.wait_for_selector("#room-two-networks")
    assert visit.page.input_value("[id='control-c-value']") == c


def test_a_room_opened_just_after_a_control_was_moved_is_not_left_again(visit: Visit) -> None:
    page = visit.go("two-networks?alpha=0.5")
    page.wait_for_function("() => document.getElementById('two-networks-paths')?.data?.length > 0")
    page.evaluate(
        """() => {
          const slider = document.getElementById("control-alpha");
          slider.stepUp();
          slider.dispatchEvent(new Event("input"));
          for (const end = performance.now() + 300; performance.now() < end;); // the control's new value is now due
          location.hash = "#/noise";
        }"""
    )
    page.wait_for_selector("#room-noise")
    page.wait_for_timeout(300)
    assert page.url.endswith("#/noise")


def test_a_control_moved_while_the_page_still_loads_keeps_its_value(visit: Visit) -> None:
    held = list[Route]()
    visit.page.route("**/rooms/live.js", lambda route: held.append(route))  # the last module of the page comes late
    visit.page.clock.install()
    page = visit.go("two-networks?c=0.5")
    visit.drawn("two-networks-paths")
    page.clock.pause_at(page.evaluate("() => Date.now()") / 1000 + 60)  # the address is not written yet
    page.locator("#control-c").press("ArrowRight")
    c = page.input_value("#control-c-value")
    assert c != "0.5"
    held.pop().continue_()
    page.wait_for_selector("#rooms a[href='#/live']")
    assert page.input_value("#control-c-value") == c
    page.clock.resume()
    page.wait_for_url(lambda address: address.endswith(f"c={c}"))


def test_a_value_out_of_range_shows_the_reason_beside_its_control(visit: Visit) -> None:
    visit.go("two-networks")
    visit.drawn("two-networks-paths")
    visit.type("c", "7")
    visit.page.wait_for_function("() => document.getElementById('control-c-error').textContent.includes('7')")
    visit.tolerated = "422"  # the browser logs it too


# ---- the live agent ----


def shown_return(page: Page, name: str) -> float:
    """Return the mean return that an arm shows; NaN before the first."""
    text = page.inner_text(f"#live-facts-{name}").replace("−", "-")
    number = text.removeprefix("return ").partition(",")[0]
    return float(number) if number.replace(".", "").replace("-", "").isdigit() else float("nan")


def wait_until(condition: Any, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.2)


def test_the_live_agents_return_rises_and_its_sliders_take_effect(visit: Visit, explorer: Explorer) -> None:
    page = visit.go("live?env=CartPole-v1&arms=soft~0.001~0.99~on")
    assert page.is_disabled("#live-play")
    visit.drawn("live-drift")
    assert page.locator(".ytick").count() == 0  # no axes before there are numbers
    page.click("#live-start")
    wait_until(lambda: shown_return(page, "soft") > 10)
    early = shown_return(page, "soft")
    wait_until(lambda: shown_return(page, "soft") > 4 * early)
    (run,) = explorer.live._runs.values()
    visit.type("alpha-soft", "0.02")
    page.locator("#live-card-soft input[type=radio][value=off]").check(force=True)
    wait_until(lambda: run._frame is not None and run._frame["arms"][0]["tau"] == 1.0)
    assert run._frame is not None
    assert run._frame["arms"][0]["learning_rate"] == 0.02
    page.locator("#live-card-soft input[type=radio][value=on]").check(force=True)
    wait_until(lambda: run._frame is not None and run._frame["arms"][0]["tau"] == pytest.approx(0.01))
    page.click("#live-play")
    wait_until(lambda: page.inner_text("#live-play") == "Play")
    assert page.evaluate(TITLES) == ["return", "‖Q − T‖", "mean |Δy|, in units of return"]
    assert all(axis["closest"] >= 0 for axis in page.evaluate(TICKS))
    gap = visit.drawn("live-gap")
    assert len(next(iter(gap.values()))["x"]) > 2
    page.click("#live-save")
    wait_until(lambda: "Saved as" in page.inner_text("#live-status"))
    page.goto(f"{explorer.url}/#/noise")
    wait_until(lambda: len(explorer.live) == 0)  # leaving the room stops the agent


def test_the_page_names_the_actions_of_every_environment_that_the_server_trains(visit: Visit) -> None:
    visit.go("live")
    known = visit.page.evaluate("async () => (await import('./static/rooms/live_environments.js')).ENVIRONMENTS")
    assert list(known) == list(BASES)
    for env, base in BASES.items():
        spec = envs.describe(base)
        assert base.algorithm.upper() in known[env]["label"]
        if spec.action_bounds is None:
            assert len(known[env]["actions"]) == spec.num_actions
        else:
            limits = tuple(component["limit"] for component in known[env]["components"])
            assert (limits, tuple(-limit for limit in limits)) == (spec.action_bounds.high, spec.action_bounds.low)


def test_sac_learns_pendulum_and_its_action_and_value_are_shown(visit: Visit, explorer: Explorer) -> None:
    page = visit.go("live?env=Pendulum-v1&arms=soft~0.001~0.99~on")
    assert "step size of the critics" in page.inner_text("#live-card-soft")
    assert "its step size and that of the temperature stay" in page.inner_text("#live-note")
    page.click("#live-start")
    wait_until(lambda: shown_return(page, "soft") < -700)
    wait_until(lambda: shown_return(page, "soft") > -400)
    (run,) = explorer.live._runs.values()
    visit.type("alpha-soft", "0.002")
    wait_until(lambda: run._frame is not None and run._frame["arms"][0]["learning_rate"] == 0.002)
    page.click("#live-play")
    wait_until(lambda: page.inner_text("#live-play") == "Play")
    rows = shown_rows(page)
    assert run._frame is not None
    shown = run._frame["arms"][0]
    assert list(rows) == ["torque", "min Q"]
    assert -2 <= rows["torque"] <= 2
    assert np.isfinite(rows["min Q"])
    assert len(shown["action"]) == len(shown["q_values"]) == 1
    page.click("#live-stop")
    wait_until(lambda: len(explorer.live) == 0)


def shown_rows(page: Page) -> dict[str, float]:
    """Return the names and numbers in the table of the soft arm."""
    names = page.locator("#live-card-soft .q-values th").all_inner_texts()
    numbers = page.locator("#live-card-soft .q-values td.tabular").all_inner_texts()
    return {name: float(number.replace("−", "-")) for name, number in zip(names, numbers, strict=True)}


def test_the_continuous_lander_is_drawn_with_its_action_and_value(visit: Visit, explorer: Explorer) -> None:
    page = visit.go("live?env=LunarLanderContinuous-v3&arms=soft~0.001~0.99~on")
    blank = page.evaluate(CANVAS)
    page.click("#live-start")
    wait_until(lambda: "environment steps" in page.inner_text("#live-status"))
    wait_until(lambda: page.evaluate(CANVAS) != blank)
    rows = shown_rows(page)
    assert list(rows) == ["main engine", "side engines", "min Q"]
    assert all(-1 <= rows[name] <= 1 for name in ("main engine", "side engines"))
    page.click("#live-stop")
    wait_until(lambda: len(explorer.live) == 0)


CANVAS = "() => document.querySelector('#live-card-soft canvas').toDataURL()"


def test_the_address_never_starts_training(visit: Visit, explorer: Explorer) -> None:
    visit.go("live?env=LunarLander-v3&seed=3&arms=soft~0.01~0.9~on,same-alpha")
    visit.page.wait_for_timeout(1_000)
    assert len(explorer.live) == 0
    assert visit.page.input_value("[id='control-alpha-soft-value']") == "0.01"


def test_twenty_pages_are_served_at_once(browser: Browser, explorer: Explorer) -> None:
    visits = [Visit(browser, explorer) for _ in range(20)]
    for i, visit in enumerate(visits):
        visit.go(ROOMS[i % 5])
    for visit in visits:
        visit.page.wait_for_function("() => [...document.querySelectorAll('.plot')].some(plot => plot.data?.length)")
        assert not visit.problems
        visit.context.close()


def test_another_site_can_neither_read_nor_send_commands(browser: Browser, explorer: Explorer, tmp_path: Path) -> None:
    visit = Visit(browser, explorer)
    evil = tmp_path / "evil.html"
    evil.write_text(f"<form id=f method=post action='{explorer.url}/live'></form><p>evil</p>")
    visit.page.goto(evil.as_uri())
    script = """async url => {
      const tries = [fetch(url + "/reports", {credentials: "include"}),
        fetch(url + "/live", {method: "POST", body: "{}", credentials: "include", mode: "no-cors"})];
      const done = await Promise.allSettled(tries);
      return done.map(({status, value}) => status === "rejected" || value.type === "opaque");
    }"""
    assert visit.page.evaluate(script, explorer.url) == [True, True]
    visit.page.evaluate("document.getElementById('f').submit()")
    visit.page.wait_for_timeout(500)
    assert len(explorer.live) == 0
    visit.context.close()


def test_a_saved_image_is_a_slide_with_title_and_legend(visit: Visit) -> None:
    page = visit.go("noise?alpha=0.5&c=0.9")
    figure = page.locator("figure").first
    figure.locator(".main-svg").first.wait_for()
    page.wait_for_function("() => document.querySelector('figure .legend li')")
    with page.expect_download() as download:
        figure.get_by_role("button", name="SVG").click()
    slide = ElementTree.parse(download.value.path()).getroot()
    assert (slide.get("width"), slide.get("height")) == ("1280", "720")
    words = "".join(slide.itertext())
    for text in (figure.locator("h2").inner_text(), *figure.locator(".legend li").all_inner_texts()):
        assert text in words
