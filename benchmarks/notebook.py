"""The rooms in a notebook: from a moved slider to the answer in the page, in JupyterLab in a headless Chromium."""

from __future__ import annotations

import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks import measure
from benchmarks.measure import ROOT, BenchmarkError, Result, Sample
from benchmarks.table import Row, spread

sys.path.insert(0, str(ROOT / "tests"))

from explorer.browsing import CHROMIUM
from explorer.jupyter import OpenNotebook, serve_lab

MOVES = 60
"""Positions of a slider in a sample."""

ROOMS = {
    "one-network": ("one-network-paths", "descent"),
    "two-networks": ("two-networks-paths", "apart"),
    "noise": ("noise-map", "V1"),
}
"""The rooms whose first slider is moved; the figure by which each is ready, and a name in the slider's answer."""

MOVE = """async ([moves, pause, name]) => {
  const slider = document.querySelector('.room input[type=range]');
  const milliseconds = [];
  for (let i = 0; i < moves; i += 1) {
    const start = performance.now();
    const answered = new Promise((resolve) => addEventListener('message', function listen({ data }) {
      if (data.kind !== 'reply' || !Object.hasOwn(data.answer ?? {}, name)) return;
      removeEventListener('message', listen);
      resolve(performance.now() - start);
    }));
    slider.value = String(400 + i);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    milliseconds.push(await answered);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return milliseconds;
}"""
"""Move the first slider of the room, and return how long each answer took. Between two moves the page draws."""
PAUSE = 250
"""Milliseconds from an answer to the next move."""

NOTES = [
    "a slider: 60 moves of the room's first slider; from its event to the answer in the page, through JupyterLab's"
    " websocket, the kernel and back; the 95th percentile. Drawing comes after that.",
]


def run(*, quick: bool) -> Result:
    """Measure the first slider of some rooms."""
    if CHROMIUM is None:
        raise BenchmarkError("no Chromium is installed (Debian: apt-get install chromium)")
    sides = {f"slider {room} in a notebook": partial(slider_latency, room) for room in ROOMS}
    samples = measure.alternate(sides, 1 if quick else 3)
    rows = [
        Row(f"{name}, p95", "s", spread([s["seconds"] for s in side]), required=0.05, sense="at most")
        for name, side in samples.items()
    ]
    return Result("notebook", "The rooms in a notebook", rows, samples, NOTES)


def slider_latency(room: str) -> Sample:
    """Return the 95th percentile, and the median, of the time from a slider's event to the answer in the page."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        serve_lab(Path(folder) / "lab") as lab,
        sync_playwright() as playwright,
    ):
        lab.write("room", f"import softstep\nsoftstep.notebook.room({room!r})")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        notebook = OpenNotebook(browser, lab, "room", viewport={"width": 1280, "height": 900})
        notebook.page.set_default_timeout(60_000)
        notebook.run_all()
        frame, (figure, name) = notebook.frame(), ROOMS[room]
        frame.wait_for_function("id => document.getElementById(id)?.data?.length > 0", arg=figure)
        frame.evaluate(MOVE, [5, PAUSE, name])
        latencies = [milliseconds / 1e3 for milliseconds in frame.evaluate(MOVE, [MOVES, PAUSE, name])]
        notebook.close()
        browser.close()
    return {"seconds": statistics.quantiles(latencies, n=20)[-1], "median": statistics.median(latencies)}
