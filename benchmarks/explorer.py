"""The explorer: start-up time, slider latency, and the cost of the live stream to training."""

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
from collections.abc import Iterator, Sequence
from functools import partial
from http.cookiejar import CookieJar
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks import machine, measure
from benchmarks.measure import ROOT, SOFTSTEP, BenchmarkError, Result, Sample
from benchmarks.table import Row, spread

SLIDERS: dict[str, dict[str, Sequence[Any]]] = {
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
"""Endpoints that answer a slider or the pointer, and the values to request from each."""

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Browser that opens the page; without one, the page is not measured."""

SETTLED = 3.0
"""Seconds to wait for a browser to start and for a page to be drawn."""

LIVE = {"env": "CartPole-v1", "arms": [{"name": "soft"}]}

STREAM_COST = """
import json, sys, time
from softstep.explorer.live.live_config import live_config
from softstep.explorer.live.worker import LiveAgent
frame_seconds = 0.0
class TimedAgent(LiveAgent):
    def _send_frame(self, seconds):
        global frame_seconds
        start = time.perf_counter()
        super()._send_frame(seconds)
        frame_seconds += time.perf_counter() - start
arms = [{"name": n, "alpha": 1e-3, "c": 0.99, "target": True} for n in "abcd"[: int(sys.argv[2])]]
agent = TimedAgent(live_config(sys.argv[1], 0, arms), lambda kind, **values: json.dumps(values))
agent.paused = False
while agent.trainer.gradient_steps < 300:
    agent.advance()
frame_seconds, start = 0.0, time.perf_counter()
while time.perf_counter() - start < float(sys.argv[3]):
    agent.advance()
print(json.dumps({"seconds": frame_seconds, "share": 100 * frame_seconds / (time.perf_counter() - start)}))
"""

NOTES = [
    "page ready: from opening the page in a running Chromium to its first drawn figure; the server has just started.",
    "a slider: 60 requests POST /api/NAME over one connection; the 95th percentile.",
    "with an agent: while a live CartPole agent trains on the same machine and its stream is read.",
    "cost of the stream: time spent on frames (playing, networks, JSON) over the total time of the live process.",
]


def run(*, quick: bool) -> Result:
    """Measure start-up, sliders without and with a training agent, and the cost of the stream."""
    rounds, seconds = (1, 2.0) if quick else (5, 20.0)
    samples = measure.alternate({"server answers": server_start}, rounds)
    pages = measure.alternate({"page ready": page_ready}, rounds) if CHROMIUM else {}
    with running_server() as (opener, url):
        alone = measure.alternate(
            {f"slider {name}": partial(slider_latency, opener, url, name) for name in SLIDERS}, rounds
        )
        with live_training(opener, url):
            beside = measure.alternate(
                {f"slider {name}, with an agent": partial(slider_latency, opener, url, name) for name in SLIDERS},
                rounds,
            )
    stream_sides = {
        f"stream, {env}, {arms} arms": partial(stream_cost, env, arms, seconds)
        for env, arms in (("CartPole-v1", 1), ("LunarLander-v3", 4))
    }
    streams = measure.alternate(stream_sides, 1 if quick else 3)
    starts = spread([s["seconds"] for s in samples["server answers"]])
    rows = [Row("server answers", "s", starts, required=2.0, sense="at most")]
    rows += [
        Row(
            "page ready, after the server",
            "s",
            spread([s["seconds"] for s in side_samples]),
            required=1.5,
            sense="at most",
        )
        for side_samples in pages.values()
    ]
    rows += [
        Row(f"{name}, p95", "s", spread([s["seconds"] for s in side_samples]), required=0.025, sense="at most")
        for name, side_samples in (alone | beside).items()
    ]
    rows += [
        Row(
            f"{name}, share of its time",
            "%",
            spread([s["share"] for s in side_samples]),
            required=10.0,
            sense="at most",
        )
        for name, side_samples in streams.items()
    ]
    return Result("explorer", "The explorer", rows, samples | pages | alone | beside | streams, NOTES)


def page_ready() -> Sample:
    """Return the seconds from opening the page in a running Chromium to its first drawn figure, as the page reports.

    The page is not inspected in the meantime, because a debugger slows down every script it loads.
    """
    with running_server(enter=False) as (_, link), running_browser() as address, sync_playwright() as playwright:
        urllib.request.urlopen(urllib.request.Request(f"{address}/json/new?{link}", method="PUT")).read()
        time.sleep(SETTLED)
        pages = playwright.chromium.connect_over_cdp(address).contexts[0].pages
        (page,) = (page for page in pages if page.url.startswith("http"))
        return {"seconds": page.evaluate("performance.getEntriesByName('first-figure')[0].startTime") / 1e3}


@contextlib.contextmanager
def running_browser() -> Iterator[str]:
    """Start a browser without a page and yield the address of its developer tools."""
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--remote-debugging-port=0", "--window-size=1280,900"]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            assert process.stderr is not None
            matches = (re.search(r"ws://([\w.:]+)/", line) for line in process.stderr)
            address = next(match[1] for match in matches if match)
            time.sleep(SETTLED)
            yield f"http://{address}"
        finally:
            process.kill()


@contextlib.contextmanager
def running_server(*, enter: bool = True) -> Iterator[tuple[urllib.request.OpenerDirector, str]]:
    """Start a server; yield an opener and the server's URL if entered, else its link, which works once."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(SOFTSTEP), "explore", "--no-browser", "--runs", folder]
        environment = machine.environment(one_thread=False)
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                match = re.search(r"(http://\S+)/\?token=\S+", process.stdout.readline())
                if match is None:
                    raise BenchmarkError("softstep explore did not print a link")
                opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
                if enter:
                    _enter(opener, match[0])
                yield opener, match[1] if enter else match[0]
            finally:
                process.terminate()


def _enter(opener: urllib.request.OpenerDirector, link: str) -> None:
    """Open the link as soon as the server accepts connections."""
    for _ in range(500):
        try:
            opener.open(link).read()
            return
        except urllib.error.URLError:
            time.sleep(0.01)
    raise BenchmarkError("the server of softstep explore did not answer in 500 attempts")


def server_start() -> Sample:
    """Return the seconds from the command to the page's first byte."""
    start = time.perf_counter()
    with running_server():
        return {"seconds": time.perf_counter() - start}


def post(opener: urllib.request.OpenerDirector, url: str, path: str, values: Any) -> Any:
    """Send a POST request as the page does and return the decoded answer."""
    body = json.dumps(values).encode()
    request = urllib.request.Request(url + path, body, {"Origin": url, "Content-Type": "application/json"})
    with opener.open(request) as response:
        return json.loads(response.read())


def slider_latency(opener: urllib.request.OpenerDirector, url: str, name: str) -> Sample:
    """Return the 95th percentile of a slider's response times."""
    choices, latencies = SLIDERS[name], list[float]()
    longest = max(map(len, choices.values()))
    for number in range(60):
        request = {
            key: values[(number * (1 + i) + number // longest) % len(values)]
            for i, (key, values) in enumerate(choices.items())
        }
        start = time.perf_counter()
        post(opener, url, f"/api/{name}", request)
        latencies.append(time.perf_counter() - start)
    return {"seconds": statistics.quantiles(latencies, n=20)[-1]}


@contextlib.contextmanager
def live_training(opener: urllib.request.OpenerDirector, url: str) -> Iterator[None]:
    """Train a live agent and read its stream in a thread."""
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
    """Return the share of a live process's time that its frames take, in per cent."""
    completed = measure.run([sys.executable, "-c", STREAM_COST, env, str(arms), str(seconds)])
    return dict(json.loads(completed.stdout.splitlines()[-1]))
