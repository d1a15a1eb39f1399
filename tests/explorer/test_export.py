"""The exported page: every number is an endpoint's answer, every slider value has one, and no server is needed."""

from __future__ import annotations

import json
import re

import pytest

from softstep.explorer.http import assets
from softstep.explorer.rooms.endpoints import ENDPOINTS, answer
from softstep.explorer.rooms.parameters import read
from softstep.explorer.rooms.stories import STORIES
from softstep.explorer.static_site import export, js_bundle

SMALL = {
    name: grid._replace(axes={axis: values[:2] for axis, values in grid.axes.items()})
    for name, grid in export.GRIDS.items()
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export.export_explorer(tmp_path_factory.mktemp("pages") / "new" / "folder", SMALL).parent


def payload(text: str, call: str) -> object:
    """Return the JSON in `call(...)` or `call = ...;`."""
    return json.loads(re.fullmatch(re.escape(call) + r"(.*?)\)?;\n", text, re.DOTALL).group(1))


def test_every_data_file_holds_the_answers_of_its_endpoint(exported):
    manifest = payload((exported / "data" / "grids.js").read_text("utf-8"), "window.softstepGrids = ")
    assert set(manifest) == set(ENDPOINTS)
    count = 0
    for name, grid in SMALL.items():
        files = sorted((exported / "data").glob(f"{name}.*js"))
        files = [file for file in files if re.fullmatch(re.escape(name) + r"(\.\d+)*\.js", file.name)]
        assert len(files) == 2 ** manifest[name]["split"]
        for file in files:
            chunk = file.name.removesuffix(".js")
            answers = payload(file.read_text("utf-8"), f'softstepChunk("{chunk}", ')
            for key, exported_answer in answers.items():
                indices = [int(i) for i in key.split(",")] if key else []
                assert [name, *key.split(",")[: grid.split]] == chunk.split(".") or not grid.split
                axes = manifest[name]["axes"]
                values = {axis["name"]: axis["values"][i] for axis, i in zip(axes, indices, strict=True)}
                assert exported_answer == export.rounded(answer(name, {**grid.fixed, **values}))
                count += 1
    assert count == sum(2 ** len(grid.axes) for grid in SMALL.values())


def test_numbers_are_rounded_to_eight_digits():
    assert export.rounded({"a": [1 / 3, None, 2, "x"], "b": 1e-17 / 3}) == {
        "a": [0.33333333, None, 2, "x"],
        "b": 3.3333333e-18,
    }


def test_every_endpoint_is_exported_and_every_story_is_true_on_the_grid():
    assert set(export.GRIDS) == set(ENDPOINTS)
    for name, grid in export.GRIDS.items():
        kind = ENDPOINTS[name].parameters
        assert set(grid.axes) | set(grid.fixed) <= set(kind.__struct_fields__)
        for axis, values in grid.axes.items():
            assert [getattr(read(kind, {axis: value}), axis) for value in values] == list(values)
    axes = export.GRIDS["stability-point"].axes
    for story in STORIES:
        assert story.problem in axes["problem"]
        assert story.gamma in axes["gamma"]
        nearest = {
            axis: min(axes[axis], key=lambda value, axis=axis: abs(value - getattr(story, axis)))
            for axis in ("alpha", "c")
        }
        exported_pair = answer("stability-point", {"problem": story.problem, "gamma": story.gamma, **nearest})
        exact_pair = answer("stability-point", {key: getattr(story, key) for key in ("problem", "gamma", "alpha", "c")})
        assert exported_pair["stable"] == exact_pair["stable"]


def test_the_page_needs_no_server(exported):
    index = (exported / "index.html").read_text("utf-8")
    script = (exported / "static" / "app.js").read_text("utf-8")
    assert 'data-source="static"' in index
    assert 'type="module"' not in index
    for source in re.findall(r'(?:src|href)="([^"#]+)"', index):
        assert (exported / source).is_file(), source
    assert not re.findall(r"^(?:import|export)\b(?!\()", script, re.MULTILINE)
    for text in (index, script):
        assert set(re.findall(r"https?://[\w./]+", text)) <= {"http://www.w3.org/1998/Math/MathML"}


def test_the_bundle_holds_the_pages_modules_in_order():
    modules = {str(path.relative_to(assets.STATIC)) for path in assets.STATIC.rglob("*.js")} | {"palette.js"}
    script = js_bundle.bundle("app.js", assets.module)
    bundled = re.findall(r'^modules\["([^"]+)"\] = ', script, re.MULTILINE)
    assert len(bundled) == len(set(bundled))
    rooms = ("one_network", "two_networks", "stability", "noise", "atlas")
    assert {f"rooms/{room}.js" for room in rooms} < set(bundled) <= modules
    assert not {"rooms/live.js", "rooms/reports.js"} & set(bundled)
    for i, name in enumerate(bundled):  # a module comes after those it imports
        body = script.split(f'modules["{name}"] = ')[1].split("\nmodules[")[0]
        assert set(re.findall(r'modules\["([^"]+)"\];', body)) <= set(bundled[:i])


def test_a_small_bundle():
    texts = {
        "app.js": 'import { one, two as zwei } from "./lib/a.js";\nimport * as b from "./lib/b.js";\nrun(one, b);\n',
        "lib/a.js": 'import { three } from "./b.js";\nexport const one = three;\nexport function two() {}\n',
        "lib/b.js": "export const three = 3;\nexport class Four {}\nexport async function five() {}\n",
    }
    script = js_bundle.bundle("app.js", texts.__getitem__)
    assert (
        script.index('modules["lib/b.js"] =')
        < script.index('modules["lib/a.js"] =')
        < script.index('modules["app.js"] =')
    )
    assert 'const { one, two: zwei } = modules["lib/a.js"];' in script
    assert "return { three, Four, five };" in script
    with pytest.raises(ValueError, match="cannot bundle 'export default"):
        js_bundle.bundle("app.js", lambda path: "export default 3;\n")
