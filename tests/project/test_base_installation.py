"""What works with the base's distributions alone, and what everything else says there.

The processes of these tests can import nothing but what pyproject.toml declares; `test_packaging` installs it.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from project.installations import (
    NEED_AN_EXTRA,
    PROJECT,
    ROOT,
    WORK_IN_THE_BASE,
    distributions,
    environment,
    is_one_line_with,
    pip_line,
    python,
)

import softstep
from softstep.cli.main import COMMANDS

COMMAND_LINES = """
import contextlib, io, json, sys
from softstep.cli.main import main

results = {}
for line in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(line)
        except SystemExit as end:  # --help
            code = end.code or 0
    results[" ".join(line)] = [code, out.getvalue(), err.getvalue()]
print(json.dumps(results))
"""

NAMES = """
import json, softstep

outcomes = {}
for name in softstep.__all__:
    try:
        getattr(softstep, name)
    except ModuleNotFoundError as error:
        outcomes[name] = [isinstance(error, softstep.ConfigError), str(error)]
    else:
        outcomes[name] = None
print(json.dumps(outcomes))
"""

NAMES_OF_THE_BASE = {
    "__version__", "Advice", "ConfigError", "EnvironmentFailed", "StoreError", "TargetUpdate", "advise", "conventions",
    "theory", "Transition",
}  # fmt: skip

ADAPTERS = {
    "jax": """
import jax.numpy as jnp
from softstep.adapters.jax import soft_update
print(float(soft_update(jnp.zeros(1), jnp.ones(1), 0.25)[0]))
""",
    "torch": """
import torch
from softstep import TargetUpdate
from softstep.adapters.torch import Target
online = torch.nn.Linear(1, 1)
target = Target(online, TargetUpdate(0.25))
torch.nn.init.zeros_(target.module.weight); torch.nn.init.ones_(online.weight)
target.step()
print(float(target.module.weight.item()))
""",
    "keras": """
import keras
from softstep.adapters.keras import soft_update
def network(first): return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer=first)])
target, online = network("zeros"), network("ones")
soft_update(target, online, 0.25)
print(float(target.get_weights()[0].item()))
""",
    "sb3": """
import stable_baselines3
from softstep import TargetUpdate
from softstep.adapters.sb3 import TargetCallback
print(TargetCallback(TargetUpdate(0.25)).update.tau)
""",
}
"""Code that uses each adapter and prints 0.25."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables of a process that imports nothing but the base."""
    return environment(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def outcomes(base: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Exit code, output and error output of every command line, and of every command's --help."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "dqn.yml").write_text("tau: 0.005\n")
    lines = [*WORK_IN_THE_BASE, *NEED_AN_EXTRA, *(f"{command} --help" for command in COMMANDS)]
    done = python(COMMAND_LINES, base, folder, json.dumps([shlex.split(line) for line in lines]))
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)
    assert {path.name for path in folder.iterdir()} == {"dqn.yml"}  # nothing was begun


def test_the_base_has_at_most_twelve_distributions_with_softstep_itself() -> None:
    assert len(distributions()) + 1 <= 12


def test_gymnax_has_a_tail_that_training_is_spared() -> None:
    assert len(distributions("gymnax") - distributions("train")) > 20


@pytest.mark.parametrize("line", WORK_IN_THE_BASE)
def test_a_command_of_the_base_works(line: str, outcomes: dict[str, Any]) -> None:
    code, out, err = outcomes[line]
    assert (code, err) == (0, "")
    assert out


def test_theory_says_why_there_is_no_page(outcomes: dict[str, Any]) -> None:
    out = outcomes["theory --alpha 1e-3 --c 0.999 --problem only_target"][1]
    assert "α′ = (1−c)α = 1e-06" in out
    assert out.endswith(f"\npage: none, as it needs plotly: {pip_line('train')}\n")


@pytest.mark.parametrize("line", NEED_AN_EXTRA)
def test_any_other_command_says_in_one_line_what_to_install(line: str, outcomes: dict[str, Any]) -> None:
    code, out, err = outcomes[line]
    assert code == 2
    assert is_one_line_with(NEED_AN_EXTRA[line], err), err
    assert not out or line.startswith("theory")  # whose explanation needs no extra


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_or_says_what_to_install(command: str, outcomes: dict[str, Any]) -> None:
    code, out, err = outcomes[f"{command} --help"]
    if any(line.startswith(f"{command} ") for line in WORK_IN_THE_BASE):
        assert (code, err) == (0, "")
    assert (code == 0 and f"softstep {command}" in out) or (code == 2 and is_one_line_with("train", err))


def test_every_command_is_tried(outcomes: dict[str, Any]) -> None:
    tried = [*WORK_IN_THE_BASE, *NEED_AN_EXTRA]
    assert [command for command in COMMANDS if not any(line.startswith(command) for line in tried)] == []


def test_a_public_name_works_or_says_what_to_install(base: dict[str, str], tmp_path: Path) -> None:
    done = python(NAMES, base, tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name for name, error in found.items() if error is None} == NAMES_OF_THE_BASE
    for name in found.keys() - NAMES_OF_THE_BASE:
        is_config_error, message = found[name]
        extra = "web" if name == "explore" else "train"
        assert is_config_error
        assert message.endswith(f": {pip_line(extra)}")
        assert name == "explore" or message.startswith(f"softstep.{name} needs ")


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_without_its_framework_says_what_to_install(name: str, base: dict[str, str], tmp_path: Path) -> None:
    done = python(f"import softstep.adapters.{name}", base, tmp_path)
    assert f"softstep.adapters.{name} needs " in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].endswith(pip_line(name))


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_needs_its_framework_alone(name: str, tmp_path: Path) -> None:
    backend = {"keras": ("keras", "torch")}  # Keras computes with a framework of the user's
    variables = environment(tmp_path, *backend.get(name, (name,))) | {"KERAS_BACKEND": "torch"}
    done = python(ADAPTERS[name], variables, tmp_path)
    assert done.stdout == "0.25\n", done.stderr


def test_beside_training_other_extras_are_named(tmp_path: Path) -> None:
    lines = {f"train {extra}:CartPole-v1": extra for extra in ("gymnax", "envpool")} | {"explore --no-browser": "web"}
    words = json.dumps([line.split() for line in [*lines, "envs"]])
    done = python(COMMAND_LINES, environment(tmp_path, "train"), tmp_path, words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for line, extra in lines.items():
        code, _, err = found[line]
        assert code == 2
        assert is_one_line_with(extra, err), err
    code, out, _ = found["envs"]
    assert code == 0
    assert "LunarLander-v3" in out
    assert f"gymnax:CartPole-v1 needs gymnax: {pip_line('gymnax')}" in out


def test_the_version_is_the_packages(outcomes: dict[str, Any]) -> None:
    assert outcomes["--version"][1] == f"softstep {softstep.__version__}\n"


PAGE = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?:none|`(\w+)`) \| (\d+|–) \|", PAGE, re.MULTILINE)


def test_the_page_lists_every_extra_for_users() -> None:
    assert {extra for extra, _ in ROWS} - {""} == set(PROJECT["optional-dependencies"]) - {"docs", "dev"}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the page has the numbers of Python 3.11")
@pytest.mark.parametrize(("extra", "count"), [(extra, int(count)) for extra, count in ROWS if count != "–"])
def test_the_page_counts_the_distributions(extra: str, count: int) -> None:
    assert len(distributions(*filter(None, [extra]))) + 1 == count
