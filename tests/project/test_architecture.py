"""The floors: who may import whom, who may touch JAX, files and the command line, and how long files may be."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import softstep

PACKAGE = Path(softstep.__file__).parent
ROOT = Path(__file__).parents[2]
FLOORS = (
    {
        "target",
        "config",
        "settings",
        "presets",
        "transition",
        "errors",
        "extras",
        "files",
        "random_streams",
        "search_path",
        "user_code",
        "validation",
    },
    {"theory", "conventions", "records", "stats", "advice"},
    {"kernels", "learner", "envs", "jax_settings"},
    {"training", "runs", "trackers"},
    {"worker", "policies", "comparison", "studies"},
    {"report", "explorer"},
    {"cli", "notebook", "__main__", "__init__"},
)
"""The folders and files directly in the package, from the ground floor up."""
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}
SIDE_DOORS = {"adapters"}  # import only these three and their own framework
FOR_SIDE_DOORS = {"target", "random_streams", "extras"}
GROUND_FLOOR_LIBRARIES = {"numpy", "msgspec"}
"""Importing msgspec takes 12 ms of processor time, which one schema for all settings is worth."""

MAY_IMPORT_JAX = {
    "kernels", "learner", "envs", "training", "policies", "comparison.equivalence", "comparison.first_steps",
    "comparison.random_minibatches", "comparison.tracked_networks", "jax_settings.dispatch", "jax_settings.pinned",
}  # fmt: skip
WITHOUT_JAX = ("runs", "records", "trackers", "theory", "conventions", "advice", "cli.main", "cli.advise")
"""Parts that load no JAX, neither themselves nor through what they import."""
MAY_TOUCH_FILES = {
    "files",  # writes them atomically
    "runs",  # run folders
    "kernels.native",  # keeps machine code beside JAX's programs
    "kernels.xla_call",  # reads the header shipped with jaxlib
    "training.probe",  # reads the shipped reference agents
    "advice.atlas",  # reads the shipped measurements
    "cli.command",  # reads --config and a study's spec
    "theory.mdp",  # reads a decision process from the user's file
    "trackers.tensorboard",  # writes event files
    "report",  # writes pictures
    "explorer",  # serves its own page
}
FILE_CALLS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "unlink", "rename", "replace_file",
}  # fmt: skip
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def part(module: str) -> str:
    """Return the first word of a module's name, by which it has a floor."""
    return module.split(".")[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield every module that `tree` imports anywhere, even if only for type checkers.

    `from package import name` imports the module `package.name` if there is one, else the package's `__init__`.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule.removeprefix("softstep.") in MODULES else str(node.module)


def own_imports(module: str) -> set[str]:
    """Return the modules of the package that `module` imports."""
    imported = {name.removeprefix("softstep.") for name in imports(MODULES[module]) if name.startswith("softstep.")}
    return {name for name in imported if name in MODULES}


GRAPH = {module: own_imports(module) for module in MODULES if module != "__init__"}
"""Imports between modules. The package's own `__init__` loads its public names when they are first used."""


def packages_of(module: str) -> set[str]:
    """Return the packages whose `__init__` runs before the module does."""
    words = module.split(".")
    return {".".join(words[:n]) for n in range(1, len(words))} & MODULES.keys()


def loaded_with(module: str) -> set[str]:
    """Return every module that importing `module` loads."""
    loaded, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name not in loaded:
            loaded.add(name)
            waiting += [*GRAPH[name], *packages_of(name)]
    return loaded


def jax_libraries(module: str) -> set[str]:
    names = {part(name) for name in imports(MODULES[module])}
    return {"jax", "jaxlib", "optax", "equinox", "gymnax"} & names


# ---- floors ----


@pytest.mark.parametrize("module", GRAPH)
def test_every_module_has_a_floor_and_imports_only_downwards_or_sideways(module: str) -> None:
    if part(module) in SIDE_DOORS:
        assert GRAPH[module] <= {*FOR_SIDE_DOORS, *(m for m in MODULES if part(m) in SIDE_DOORS)}
        return
    assert part(module) in FLOOR, f"give {module} a floor"
    above = {name for name in GRAPH[module] if FLOOR[part(name)] > FLOOR[part(module)]}
    assert not above


def test_every_folder_and_file_on_a_floor_exists() -> None:
    assert {part(module) for module in MODULES} == {*FLOOR, *SIDE_DOORS}


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_there_are_no_cycles_even_through_package_inits() -> None:
    graphlib.TopologicalSorter(GRAPH).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_no_function_imports_the_package(module: str) -> None:
    for function in ast.walk(MODULES[module]):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            assert not [name for name in imports(function) if part(name) == "softstep"]


@pytest.mark.parametrize("module", [module for module in GRAPH if part(module) == "theory"])
def test_theory_never_loads_the_learner(module: str) -> None:
    assert not [name for name in loaded_with(module) if part(name) in ("learner", "training")]


@pytest.mark.parametrize("module", [module for module in GRAPH if FLOOR.get(part(module)) in (2, 3)])
def test_learner_and_training_never_load_theory(module: str) -> None:
    assert not [name for name in loaded_with(module) if part(name) == "theory"]


# ---- libraries, files, the command line ----


@pytest.mark.parametrize("module", MODULES)
def test_only_some_parts_import_jax(module: str) -> None:
    assert not jax_libraries(module) or {module, part(module)} & (MAY_IMPORT_JAX | SIDE_DOORS)


@pytest.mark.parametrize("module", [m for m in GRAPH if part(m) in WITHOUT_JAX or m in WITHOUT_JAX])
def test_some_parts_load_no_jax_even_indirectly(module: str) -> None:
    assert not [name for name in loaded_with(module) if jax_libraries(name)]


@pytest.mark.parametrize("module", [module for module in MODULES if FLOOR.get(part(module)) == 0])
def test_the_ground_floor_needs_hardly_any_library(module: str) -> None:
    """`target` needs no library at all, so that every adapter can share it."""
    foreign = {part(name) for name in imports(MODULES[module])} - set(sys.stdlib_module_names)
    assert foreign <= {"softstep", *(GROUND_FLOOR_LIBRARIES if module != "target" else ())}


@pytest.mark.parametrize("module", MODULES)
def test_only_some_parts_touch_files(module: str) -> None:
    calls = [node.func for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)]
    names = {f.id if isinstance(f, ast.Name) else f.attr for f in calls if isinstance(f, (ast.Name, ast.Attribute))}
    assert not names & FILE_CALLS or {module, part(module)} & (MAY_TOUCH_FILES | SIDE_DOORS)


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_and_the_start_of_workers_read_the_command_line(module: str) -> None:
    reads = [n for n in ast.walk(MODULES[module]) if isinstance(n, ast.Attribute) and n.attr == "argv"]
    assert not reads or module in {"cli.main", "runs.worker_env"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_pickled(module: str) -> None:
    unsafe = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
    assert not unsafe & {part(name) for name in imports(MODULES[module])}
    options = [k for n in ast.walk(MODULES[module]) if isinstance(n, ast.Call) for k in n.keywords]
    assert not [k for k in options if k.arg == "allow_pickle" and getattr(k.value, "value", True)]


# ---- sizes ----


def sources(*endings: str) -> list[Path]:
    folders = (PACKAGE, ROOT / "tests", ROOT / "benchmarks", ROOT / "examples")
    return sorted(path for folder in folders for ending in endings for path in folder.rglob(f"*{ending}"))


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(".py", ".js", ".css")}
    assert not {str(path): lines for path, lines in lengths.items() if lines > MAX_FILE_LINES}


def test_no_function_is_too_long() -> None:
    functions = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in sources(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert not {name: lines for name, lines in functions.items() if lines > MAX_FUNCTION_LINES}
