"""The server: access control, the form of its errors, and that no request crashes it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from explorer.serving import Explorer, serve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softstep.errors import ConfigError
from softstep.explorer.http.guard import MAX_BODY
from softstep.explorer.http.server import bind
from softstep.explorer.live.live_config import BASES
from softstep.explorer.rooms.endpoints import ENDPOINTS


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "first").mkdir()
    (folder / "first" / "report.html").write_text("<h1>A report</h1>")
    (folder / "secret.html").write_text("not a report")
    return folder


@pytest.fixture(scope="module")
def explorer(runs: Path) -> Iterator[Explorer]:
    with serve(runs) as explorer:
        yield explorer.enter()


# ---- access ----


def test_the_link_works_once_and_sets_a_cookie_that_scripts_cannot_read(tmp_path: Path) -> None:
    with serve(tmp_path) as explorer:
        assert explorer.client.get("/").status_code == 403
        assert explorer.client.get("/?token=wrong").status_code == 403
        first = explorer.client.get(explorer.link)
        assert first.status_code == 303
        assert first.headers["location"] == "/"
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert explorer.client.get("/").status_code == 200
        assert httpx.get(explorer.link).status_code == 403


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/openapi.json", "/reports", "/live/x/events"])
def test_nothing_is_served_without_the_cookie(explorer: Explorer, path: str) -> None:
    assert httpx.get(explorer.url + path).status_code == 403
    name = next(iter(explorer.client.cookies))
    assert httpx.get(explorer.url + path, cookies={name: "x" * 43}).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", ""])
def test_an_unknown_host_is_refused(explorer: Explorer, host: str) -> None:
    assert explorer.client.get("/", headers={"host": host}).status_code in (400, 403)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", None])
def test_a_post_from_another_site_is_refused(explorer: Explorer, origin: str | None) -> None:
    with httpx.Client(base_url=explorer.url, cookies=explorer.client.cookies) as bare:
        headers = {} if origin is None else {"origin": origin}
        for path in ("/api/filter", "/live", "/live/x/stop"):
            assert bare.post(path, json={}, headers=headers).status_code == 403


def test_another_site_cannot_read(explorer: Explorer) -> None:
    assert explorer.client.get("/reports", headers={"origin": "http://evil.example"}).status_code == 403
    with httpx.Client(base_url=explorer.url, cookies=explorer.client.cookies) as bare:
        assert bare.get("/reports", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_every_response_has_a_strict_content_security_policy(explorer: Explorer) -> None:
    for path in ("/", "/static/app.js", "/openapi.json", "/nothing"):
        policy = explorer.client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
    assert httpx.get(explorer.url).headers["x-content-type-options"] == "nosniff"


# ---- errors ----


def test_an_invalid_parameter_is_named_with_a_one_line_reason(explorer: Explorer) -> None:
    response = explorer.post("/api/filter", {"c": 7})
    assert response.status_code == 422
    error = response.json()["error"]
    assert error["parameter"] == "c"
    assert "7" in error["reason"]
    assert "\n" not in error["reason"]


def test_the_two_networks_under_the_harmonic_schedule_equal_a_plain_loop(explorer: Explorer) -> None:
    """With 1 − c = 0.6 and γ = 0.7, T takes 0.6 of Q until step 16, and 10/t afterwards."""
    values = {"alpha": 0.3, "c": 0.4, "a": 0.8, "b": 1.1, "start": 2.0, "steps": 50}
    response = explorer.post("/api/two-networks", values | {"schedule": "harmonic", "gamma": 0.7})
    assert response.status_code == 200
    result, q, t, x = response.json(), 2.0, 2.0, 2.0
    for step in range(1, 51):
        q += 0.3 * (0.8 * t - 1.1 * q)
        t += (0.6 if step <= 16 else 10 / step) * (q - t)
        x += 0.6 * 0.3 * (0.8 - 1.1) * x
        assert [result[name][step] for name in "QTX"] == pytest.approx([q, t, x], rel=1e-12)
    assert result["says"] == "Here T slows down: 1 − c = 0.6 until step 16.67, and 10/t after it."
    assert result["follows"] is False
    constant = explorer.post("/api/two-networks", values | {"gamma": 0.7}).json()
    assert result["T"][16] == pytest.approx(constant["T"][16], rel=1e-12)
    assert result["T"][50] != pytest.approx(constant["T"][50], rel=1e-3)


@pytest.mark.parametrize(
    ("path", "values", "parameter"),
    [
        ("/api/two-networks", {"schedule": "cosine"}, "schedule"),
        ("/api/two-networks", {"schedule": "harmonic", "gamma": 1.0}, "gamma"),
        ("/live", {"arms": [{"schedule": "cosine"}]}, "schedule"),
        ("/live", {"arms": [{"schedule": "harmonic", "gamma": 0.9}]}, "gamma"),
    ],
)
def test_a_schedule_that_is_none_is_refused_by_name(
    explorer: Explorer, path: str, values: dict[str, object], parameter: str
) -> None:
    response = explorer.post(path, values)
    error = response.json()["error"]
    assert (response.status_code, error["parameter"]) == (422, parameter)
    assert "\n" not in error["reason"]


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b'{"c": NaN}', b'{"c": 1e999}', b"\xff\xfe", b"[" * 50_000, b'{"c": "\\ud800"}']
)
def test_a_body_that_is_not_an_object_is_refused(explorer: Explorer, body: bytes) -> None:
    assert explorer.client.post("/api/filter", content=body).status_code == 422


def test_a_large_body_is_refused_with_and_without_a_declared_length(explorer: Explorer) -> None:
    large = b" " * (MAX_BODY + 1)
    assert explorer.client.post("/api/filter", content=large).status_code == 413
    assert explorer.client.post("/api/filter", content=(large[i::2] for i in range(2))).status_code == 413


@pytest.mark.parametrize(
    ("settings_", "parameter"),
    [
        ({"env": "gymnax:CartPole-v1"}, "env"),
        ({"env": "os:system"}, "env"),
        ({"env": "MountainCarContinuous-v0"}, "env"),
        ({"env": "LunarLander-v3", "env_args": {"continuous": True}}, "env_args"),
        ({"env": "Pendulum-v1", "algorithm": "td3"}, "algorithm"),
        ({"env": "Pendulum-v1", "arms": [{"actor_learning_rate": 1}]}, "actor_learning_rate"),
        ({"env": "Pendulum-v1", "arms": [{"c": 1}]}, "c"),
        ({"seed": -1}, "seed"),
        ({"arms": []}, "arms"),
        ({"arms": [{"alpha": 0}]}, "alpha"),
        ({"arms": [{"name": "a"}] * 5}, "arms"),
        ({"arms": [3]}, "arms"),
        ({"arms": [{"nam": "a"}]}, "nam"),
        ({"arms": [{"name": "a"}, {"name": "a"}]}, "settings"),
        ({"out": "/tmp/x"}, "out"),
    ],
)
def test_invalid_live_runs_are_refused(explorer: Explorer, settings_: dict, parameter: str) -> None:
    response = explorer.post("/live", settings_)
    assert (response.status_code, response.json()["error"]["parameter"]) == (422, parameter)
    assert len(explorer.live) == 0


def test_the_description_offers_every_environment_and_says_whose_alpha_and_c_they_are(explorer: Explorer) -> None:
    schemas = explorer.client.get("/openapi.json").json()["components"]["schemas"]
    assert set(schemas["RunParameters"]["properties"]["env"]["enum"]) == set(BASES)
    for name in ("alpha", "c"):
        assert "of SAC, the critics'" in schemas["ArmParameters"]["properties"][name]["description"]


@pytest.mark.parametrize("path", ["/api/nothing", "/live/nothing/play", "/live/nothing/change"])
def test_unknown_paths_are_not_found(explorer: Explorer, path: str) -> None:
    assert explorer.post(path).status_code == 404


def test_reports_are_listed_and_sandboxed_and_no_other_file_is_served(explorer: Explorer) -> None:
    (entry,) = explorer.client.get("/reports").json()["reports"]
    assert entry["name"] == "first"
    report = explorer.client.get("/reports/first")
    assert report.text == "<h1>A report</h1>"
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts allow-downloads;")
    for name in ("secret.html", "../secret", "first/report.html", "..%2f..%2fetc%2fpasswd", "%2e%2e/first", "/etc"):
        assert explorer.client.get(f"/reports/{name}").status_code == 404
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py"):
        assert explorer.client.get(path).status_code == 404


# ---- OpenAPI, and every request it allows ----


def test_the_description_names_every_route(explorer: Explorer) -> None:
    described = explorer.client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert {f"/api/{name}" for name in ENDPOINTS} < set(described["paths"])
    assert {"/live", "/live/{id}/events", "/live/{id}/change", "/reports", "/reports/{name}"} < set(described["paths"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def conforming(schema: dict) -> st.SearchStrategy:
    """Generate values of a JSON schema, for the keywords that the description uses."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "number":
            return st.floats(schema["minimum"], schema["maximum"], allow_nan=False)
        case "integer":
            return st.integers(schema["minimum"], min(schema["maximum"], 200))
        case "string":
            return st.text(max_size=schema["maxLength"])
        case "array":
            return st.lists(conforming(schema["items"]), min_size=1, max_size=min(4, schema["maxItems"]))
        case "boolean":
            return st.booleans()
    properties = {name: conforming(inner) for name, inner in schema.get("properties", {}).items()}
    return st.fixed_dictionaries({}, optional=properties)


@pytest.mark.parametrize("name", ENDPOINTS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_request_crashes_the_server(explorer: Explorer, name: str, data: st.DataObject) -> None:
    path = f"/api/{name}"
    described = explorer.client.get("/openapi.json").json()
    body = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    schema = described["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
    values = data.draw(conforming(schema) | st.dictionaries(st.sampled_from([*schema["properties"], "x"]), JSON))
    response = explorer.client.post(path, content=json.dumps(values).encode())
    assert response.status_code in (200, 422), response.text
    if response.status_code == 422:
        assert set(response.json()["error"]) == {"parameter", "reason"}


# ---- the command ----


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_command_prints_a_link_that_works_and_ends_on_a_signal(tmp_path: Path, number: int, code: int) -> None:
    command = [sys.executable, "-m", "softstep", "explore", "--no-browser", "--runs", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        (link,) = re.findall(r"http://\S+", process.stdout.readline())
        with httpx.Client(follow_redirects=True) as client:
            for _ in range(100):
                try:
                    assert client.get(link).status_code == 200
                    break
                except httpx.ConnectError:
                    time.sleep(0.1)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--port", "99999"], "must be in"), (["--live-agents", "-1"], "at least 0"), (["--host", "256.1.1.1"], "--host")],
)
def test_an_unavailable_address_is_a_one_line_error(flags: list[str], message: str) -> None:
    command = [sys.executable, "-m", "softstep", "explore", "--no-browser", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("host", ["256.1.1.1", "no-such-host.invalid", "a..b", "203.0.113.7"])
def test_a_host_that_is_not_this_machine_is_what_has_to_change(host: str) -> None:
    with pytest.raises(ConfigError, match=r"^cannot serve at .*; choose another --host$"):
        bind(host, 0)


def test_a_taken_port_is_what_has_to_change() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match=r"^cannot serve at .*; choose another --port$"):
            bind("127.0.0.1", taken.getsockname()[1])
