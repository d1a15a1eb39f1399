"""`SOFTSTEP_KERNELS=0` turns every kernel off, is recorded, and reaches the worker processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import advance, make_driver, small

import softstep
import softstep.runs.api
from softstep.cli.main import main
from softstep.errors import ConfigError
from softstep.kernels import native, support, switch
from softstep.runs import run_folder, versions, worker_env

HOST = {"env": "CartPole-v1", "batch_size": 16, "learning_starts": 16}
"""A run that acts, differentiates and steps by kernels when it may."""


@pytest.fixture
def set_switch(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Set the environment variable, or delete it with None."""

    def set_to(value: str | None) -> None:
        if value is None:
            monkeypatch.delenv(switch.VARIABLE, raising=False)
        else:
            monkeypatch.setenv(switch.VARIABLE, value)

    return set_to


@pytest.mark.parametrize(
    ("value", "state"), [(None, "on"), ("", "on"), ("1", "on"), ("0", "off (SOFTSTEP_KERNELS=0)")], ids=str
)
def test_only_0_turns_the_kernels_off(set_switch: Any, value: str | None, state: str) -> None:
    set_switch(value)
    assert switch.state() == state
    assert support.kernels_supported() == switch.switched_on() == (state == "on")
    assert switch.environment() == {"SOFTSTEP_KERNELS": "1" if state == "on" else "0"}


@pytest.mark.parametrize("value", ["2", "off", "false", "no", " 0", "00", "True"])
def test_any_other_value_is_refused_in_one_line(set_switch: Any, value: str) -> None:
    set_switch(value)
    for read in (switch.switched_on, switch.state, switch.environment, support.kernels_supported):
        with pytest.raises(ConfigError, match=r"^SOFTSTEP_KERNELS = '.*' must be 0 \(.*\) or 1 \(.*\)$") as error:
            read()
        assert repr(value) in str(error.value)


def test_a_refused_value_leaves_folders_as_they_were(set_switch: Any, tmp_path: Path, capsys: Any) -> None:
    config = small()
    existing = run_folder.create(tmp_path / "existing", config)
    set_switch("off")
    for name in ("new", "existing"):
        assert main(["train", config.env, "--out", str(tmp_path / name), "--force"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [existing.path]
    assert run_folder.open_run(existing.path).config == config


def learned(config: softstep.Config) -> Any:
    """A driver that has taken two gradient steps and acted with the result."""
    driver = make_driver(config)
    advance(driver, config, config.warmup + 2)
    assert int(driver.state.learner.gradient_steps[0]) == 2
    return driver


def test_training_does_not_compile_machine_code_when_they_are_off(
    set_switch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, compile_function = list[str](), native.compile_function

    def watched(name: str, specialization: Any, emit: Any) -> Any:
        compiled.append(name if name != "handler" else specialization[0])
        return compile_function(name, specialization, emit)

    monkeypatch.setattr(native, "compile_function", watched)
    config = small(**HOST, hidden=(11,))  # sizes that no other test has compiled kernels for
    set_switch("0")
    learned(config)
    assert compiled == []
    set_switch("1")
    learned(config)
    assert set(compiled) == {"act", "q_steps", "serve", "post", "wait"}


def test_runs_can_read_it_without_jax_or_llvm() -> None:
    code = (
        "import sys; from softstep.runs import run_folder, versions; versions.switch.state();"
        "assert not {'jax', 'llvmlite'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- in runs ----


@pytest.mark.parametrize(("value", "recorded", "code"), [("0", "off (SOFTSTEP_KERNELS=0)", False), ("1", "on", True)])
def test_a_run_records_it_and_its_workers_obey(
    set_switch: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, recorded: str, code: bool
) -> None:
    set_switch(value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run = softstep.runs.api.train(small(**HOST, total_steps=100), tmp_path / "run", workers=1)
    assert json.loads((run.path / "versions.json").read_text())["kernels"] == recorded
    assert any(worker_env.cache_dir().glob("softstep-*.o")) == code


def test_processes_that_do_not_inherit_the_environment_get_the_setting(set_switch: Any) -> None:
    for value, expected in ((None, "1"), ("0", "0")):
        set_switch(value)
        assert worker_env.settings()["SOFTSTEP_KERNELS"] == expected


@pytest.mark.parametrize(("before", "after"), [("0", "1"), (None, "0"), ("0", "0"), (None, "1")], ids=str)
def test_a_resume_under_another_setting_is_reported(
    set_switch: Any, tmp_path: Path, before: str | None, after: str
) -> None:
    set_switch(before)
    run, old = run_folder.create(tmp_path / "run", small()), switch.state()
    set_switch(after)
    expected = [] if old == switch.state() else [f"use of kernels was {old}, is {switch.state()}"]
    assert versions.version_changes(run.path, run.config) == expected


def test_a_run_from_before_the_switch_had_the_kernels_on(set_switch: Any, tmp_path: Path) -> None:
    run = run_folder.create(tmp_path / "run", small())
    file = run.path / "versions.json"
    recorded = json.loads(file.read_text())
    del recorded["kernels"]
    file.write_text(json.dumps(recorded))
    set_switch(None)
    assert versions.version_changes(run.path, run.config) == []
    set_switch("0")
    assert versions.version_changes(run.path, run.config) == ["use of kernels was on, is off (SOFTSTEP_KERNELS=0)"]
