"""The floors: who may import whom, and who may touch jax, files and the command line."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import softstep

PACKAGE = Path(softstep.__file__).parent
FLOORS = (
    {"target", "config", "presets", "transition", "errors", "files"},
    {"theory", "conventions", "records", "stats"},
    {"kernels", "learner", "envs"},
    {"training", "runs"},
    {"worker", "policies", "comparison", "studies"},
    {"report", "explorer"},
    {"cli", "__main__", "__init__"},
)
"""The folders and files directly in the package, from the ground floor up."""
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}
SIDE_DOORS = {"adapters"}  # import only `target` and their own framework

MAY_IMPORT_JAX = {"kernels", "learner", "envs", "training", "policies", "comparison.first_steps",
                  "comparison.random_minibatches", "comparison.tracked_networks", "comparison.equivalence"}  # fmt: skip
MAY_TOUCH_FILES = {
    "files",  # writes them whole or not at all
    "runs",  # run folders
    "kernels.native",  # keeps machine code beside JAX's programs
    "training.probe",  # reads the shipped reference agents
    "cli.arguments",  # reads --config
    "cli.studies",  # reads the spec
    "theory.mdp",  # reads a decision process from the user's file
    "report",  # writes pictures and TensorBoard's events
    "explorer",  # serves its own page
}
FILE_CALLS = {
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "mkdir",
    "unlink",
    "rename",
    "replace_file",
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def part(module: str) -> str:
    """The floor's name for a module: its first word."""
    return module.split(".")[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in `tree`, for types alone too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            ours = [name for name in whole if name.removeprefix("softstep.") in MODULES]
            yield from ours or [str(node.module)]


def own_imports(module: str) -> set[str]:
    """The modules of the package that `module` imports."""
    found = {name.removeprefix("softstep.") for name in imports(MODULES[module]) if name.startswith("softstep.")}
    return {name for name in found if name in MODULES}


LAZY = {"__init__"}  # names its modules for type checkers and loads them when asked


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor_and_imports_only_downwards_or_sideways(module: str) -> None:
    if part(module) in SIDE_DOORS:
        assert own_imports(module) <= {"target", *(m for m in MODULES if part(m) in SIDE_DOORS)}
        return
    assert part(module) in FLOOR, f"give {module} a floor"
    above = {name for name in own_imports(module) if FLOOR[part(name)] > FLOOR[part(module)]}
    assert not above


def test_there_are_no_cycles() -> None:
    graphlib.TopologicalSorter({module: own_imports(module) for module in MODULES if module not in LAZY}).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_no_function_imports_the_package(module: str) -> None:
    for function in ast.walk(MODULES[module]):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            assert not [name for name in imports(function) if part(name) == "softstep"]


def test_theory_and_the_learner_never_meet() -> None:
    graph = {module: own_imports(module) for module in MODULES if module not in LAZY}

    def below(module: str) -> set[str]:
        return set().union({module}, *(below(name) for name in graph[module]))

    for module in graph:
        if part(module) == "theory":
            assert not [name for name in below(module) if part(name) == "learner"]
        if FLOOR.get(part(module), 9) in (2, 3):
            assert not [name for name in below(module) if part(name) == "theory"]


@pytest.mark.parametrize("module", MODULES)
def test_only_the_parts_and_the_loops_import_jax(module: str) -> None:
    wanted = {"jax", "jaxlib", "optax", "equinox", "gymnax"} & {part(name) for name in imports(MODULES[module])}
    assert not wanted or {module, part(module)} & (MAY_IMPORT_JAX | SIDE_DOORS)


@pytest.mark.parametrize("module", MODULES)
def test_the_words_need_the_standard_library_and_numpy_alone(module: str) -> None:
    if FLOOR.get(part(module)) == 0:
        import sys

        foreign = {part(name) for name in imports(MODULES[module])} - set(sys.stdlib_module_names)
        assert foreign <= {"numpy", "softstep"}


@pytest.mark.parametrize("module", MODULES)
def test_files_are_touched_by_the_store_and_the_faces_alone(module: str) -> None:
    calls = [node.func for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)]
    names = {f.id if isinstance(f, ast.Name) else f.attr for f in calls if isinstance(f, (ast.Name, ast.Attribute))}
    assert not names & FILE_CALLS or {module, part(module)} & (MAY_TOUCH_FILES | SIDE_DOORS)


@pytest.mark.parametrize("module", MODULES)
def test_the_command_line_is_read_by_the_cli_and_the_starter_of_processes_alone(module: str) -> None:
    reads = [n for n in ast.walk(MODULES[module]) if isinstance(n, ast.Attribute) and n.attr == "argv"]
    assert not reads or module in {"cli.main", "runs.worker_env"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_pickled(module: str) -> None:
    unsafe = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
    assert not unsafe & {part(name) for name in imports(MODULES[module])}
    options = [k for n in ast.walk(MODULES[module]) if isinstance(n, ast.Call) for k in n.keywords]
    assert not [k for k in options if k.arg == "allow_pickle" and getattr(k.value, "value", True)]
