"""The explorer: how fast it starts, how fast a slider is answered, and what the live stream costs training."""

from __future__ import annotations

import collections
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.cookiejar import CookieJar
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks import machine, measure
from benchmarks.measure import ROOT, SOFTSTEP, Failed, Result, Sample
from benchmarks.table import Row, spread

SLIDERS = {
    "one-network": {"alpha": [0.1, 0.5, 1.0], "c": [0.5, 0.9]},
    "two-networks": {"alpha": [0.1, 0.5, 1.0], "c": [0.5, 0.9]},
    "filter": {"c": [0.5, 0.9, 0.99, 0.995]},
    "stability-point": {"alpha": [0.01, 0.1, 0.5], "c": [0.5, 0.9, 0.99]},
    "stability-map": {
        "gamma": [0.9 + i / 1000 for i in range(60)],
        "problem": ["baird"],
        "resolution": [13],
        "tolerance": [0.05],
    },
    "noise": {"alpha": [0.1, 0.5, 1.0], "c": [0.5, 0.9]},
}
"""Endpoints behind a slider or the pointer, and values that a hand passes over."""

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The browser that the page is opened in; without one it is not measured."""

SETTLED = 3.0
"""Seconds after which a browser has started, and a page has long been drawn."""

LIVE = {"env": "CartPole-v1", "arms": [{"name": "soft"}]}

STREAM_COST = """
import json, sys, time
from softstep.explorer.live.live_config import live_config
from softstep.explorer.live.worker import LiveAgent
shown = 0.0
class Watched(LiveAgent):
    def _send_frame(self, seconds):
        global shown
        begun = time.perf_counter()
        super()._send_frame(seconds)
        shown += time.perf_counter() - begun
arms = [{"name": n, "alpha": 1e-3, "c": 0.99, "target": True} for n in "abcd"[: int(sys.argv[2])]]
agent = Watched(live_config(sys.argv[1], 0, arms), lambda kind, **values: json.dumps(values))
agent.paused = False
while agent.trainer.gradient_steps < 300:
    agent.advance()
shown, begun = 0.0, time.perf_counter()
while time.perf_counter() - begun < float(sys.argv[3]):
    agent.advance()
print(json.dumps({"seconds": shown, "share": 100 * shown / (time.perf_counter() - begun)}))
"""

NOTES = [
    "page ready: from asking a running Chromium for the page to its first figure drawn; a server just started.",
    "a slider: POST /api/NAME over a kept connection, 60 of them; the 95th percentile.",
    "with an agent: while a live CartPole agent trains on the same machine and its stream is read.",
    "the stream's cost: time spent on pictures (playing, networks, JSON) over all time of the live process.",
]


def run(*, quick: bool) -> Result:
    """Starts, sliders alone and beside a training agent, the stream's cost."""
    rounds, seconds = (1, 2.0) if quick else (5, 20.0)
    samples = measure.alternate({"server answers": server_start}, rounds)
    pages = measure.alternate({"page ready": page_ready}, rounds) if CHROMIUM else {}
    with served() as (opener, url):
        alone = measure.alternate({f"slider {name}": partial(slider, opener, url, name) for name in SLIDERS}, rounds)
        with training(opener, url):
            beside = measure.alternate(
                {f"slider {name}, with an agent": partial(slider, opener, url, name) for name in SLIDERS}, rounds
            )
    lives = {
        f"stream, {env}, {arms} arms": partial(stream_cost, env, arms, seconds)
        for env, arms in (("CartPole-v1", 1), ("LunarLander-v3", 4))
    }
    streams = measure.alternate(lives, 1 if quick else 3)
    starts = spread([s["seconds"] for s in samples["server answers"]])
    rows = [Row("server answers", "s", starts, required=2.0, sense="at most")]
    rows += [
        Row("page ready, after the server", "s", spread([s["seconds"] for s in taken]), required=1.5, sense="at most")
        for taken in pages.values()
    ]
    rows += [
        Row(f"{name}, p95", "s", spread([s["seconds"] for s in taken]), required=0.025, sense="at most")
        for name, taken in (alone | beside).items()
    ]
    rows += [
        Row(f"{name}, share of its time", "%", spread([s["share"] for s in taken]), required=10.0, sense="at most")
        for name, taken in streams.items()
    ]
    return Result("explorer", "The explorer", rows, samples | pages | alone | beside | streams, NOTES)


def page_ready() -> Sample:
    """Seconds from asking for the page to its first figure drawn, told by the page, in a Chromium that runs already.

    Nobody inspects the page meanwhile: a debugger makes every script it loads slower.
    """
    with served(enter=False) as (_, link), chromium() as address, sync_playwright() as playwright:
        urllib.request.urlopen(urllib.request.Request(f"{address}/json/new?{link}", method="PUT")).read()
        time.sleep(SETTLED)
        pages = playwright.chromium.connect_over_cdp(address).contexts[0].pages
        (page,) = (page for page in pages if page.url.startswith("http"))
        return {"seconds": page.evaluate("performance.getEntriesByName('first-figure')[0].startTime") / 1e3}


@contextlib.contextmanager
def chromium() -> Iterator[str]:
    """A running browser without a page; the address of its tools."""
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--remote-debugging-port=0", "--window-size=1280,900"]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            assert process.stderr is not None
            told = (re.search(r"ws://([\w.:]+)/", line) for line in process.stderr)
            address = next(found[1] for found in told if found)
            time.sleep(SETTLED)
            yield f"http://{address}"
        finally:
            process.kill()


@contextlib.contextmanager
def served(*, enter: bool = True) -> Iterator[tuple[urllib.request.OpenerDirector, str]]:
    """A running server: entered, and where it is; or its link, which works once."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(SOFTSTEP), "explore", "--no-browser", "--runs", folder]
        environment = machine.environment(one_thread=False)
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                found = re.search(r"(http://\S+)/\?token=\S+", process.stdout.readline())
                if found is None:
                    raise Failed("softstep explore printed no link")
                opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
                if enter:
                    _enter(opener, found[0])
                yield opener, found[1] if enter else found[0]
            finally:
                process.terminate()


def _enter(opener: urllib.request.OpenerDirector, link: str) -> None:
    """Open the link as soon as the server listens."""
    for _ in range(500):
        try:
            opener.open(link).read()
            return
        except urllib.error.URLError:
            time.sleep(0.01)
    raise Failed("the server does not answer")


def server_start() -> Sample:
    """Seconds from the command to the page's first byte."""
    begun = time.perf_counter()
    with served():
        return {"seconds": time.perf_counter() - begun}


def post(opener: urllib.request.OpenerDirector, url: str, path: str, values: Any) -> Any:
    """A POST as the page sends it."""
    body = json.dumps(values).encode()
    request = urllib.request.Request(url + path, body, {"Origin": url, "Content-Type": "application/json"})
    with opener.open(request) as response:
        return json.loads(response.read())


def slider(opener: urllib.request.OpenerDirector, url: str, name: str) -> Sample:
    """The 95th percentile of a slider's answers."""
    values, taken = SLIDERS[name], list[float]()
    longest = max(map(len, values.values()))
    for number in range(60):
        asked = {
            key: of[(number * (1 + i) + number // longest) % len(of)] for i, (key, of) in enumerate(values.items())
        }
        begun = time.perf_counter()
        post(opener, url, f"/api/{name}", asked)
        taken.append(time.perf_counter() - begun)
    return {"seconds": statistics.quantiles(taken, n=20)[-1]}


@contextlib.contextmanager
def training(opener: urllib.request.OpenerDirector, url: str) -> Iterator[None]:
    """A live agent that trains, and somebody who reads its stream."""
    run = post(opener, url, "/live", LIVE)["id"]
    reader = opener.open(f"{url}/live/{run}/events")
    post(opener, url, f"/live/{run}/play", {})
    for line in reader:
        if b'"env_steps": ' in line and b'"gradient_steps": 0' not in line:
            break
    drain = threading.Thread(target=lambda: collections.deque(reader, maxlen=0), daemon=True)
    drain.start()
    yield
    post(opener, url, f"/live/{run}/stop", {})
    drain.join()


def stream_cost(env: str, arms: int, seconds: float) -> Sample:
    """What share of a live process's time its pictures take."""
    done = measure.run([sys.executable, "-c", STREAM_COST, env, str(arms), str(seconds)])
    return dict(json.loads(done.stdout.splitlines()[-1]))
