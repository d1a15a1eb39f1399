"""JAX's settings, whoever sets them, reach neither a run's bits nor, through softstep, the user's own code."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import small

import softstep
import softstep.runs.api
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.jax_settings.pinned import pinned, settings_differ, unpinned
from softstep.jax_settings.table import PER_PROCESS, PINNED
from softstep.runs import checkpoints, run_folder
from softstep.runs.api import Run
from softstep.worker.in_process import run_blocks_here

OTHER = {
    "jax_enable_x64": True,
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_enable_custom_prng": True,
    "jax_default_matmul_precision": "bfloat16",
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_disable_jit": True,
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_debug_key_reuse": True,
    "jax_check_tracer_leaks": True,
}
"""Another value of every setting that is pinned."""

OTHER_PER_PROCESS = {
    "jax_random_seed_offset": 5,
    "jax_disable_most_optimizations": True,
    "jax_optimization_level": "O0",
    "jax_exec_time_optimization_effort": 0.5,
    "jax_use_direct_linearize": False,
}
"""Another value of every setting that a whole process must have."""

ENVIRONMENTS = ("CartPole-v1", "gymnax:CartPole-v1")

MODULE = """
import gymnasium, jax, jax.numpy as jnp, numpy as np

jax.config.update("jax_enable_x64", True)
TABLE = jnp.arange(4.0)


class Doubles(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-10, 10, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def look(self):
        assert TABLE.dtype == jnp.arange(2.0).dtype == np.dtype("float64"), "float32 in the user's own code"
        return np.array([self.t / 10, self.t % 3], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.look(), {}

    def step(self, action):
        self.t += 1
        return self.look(), float(action), self.t == 12, False, {}


gymnasium.register("Doubles-v0", Doubles)
"""


def config(env: str, **changes: object) -> Config:
    return small(env=env, total_steps=600, eval_every=300, eval_episodes=2, **changes)


def final(run: Run) -> dict[str, np.ndarray]:
    checkpoint = checkpoints.read_checkpoint(run.folder, 0, with_replay=False)
    assert checkpoint is not None
    return checkpoint.arrays


def assert_same(run: Run, reference: Run) -> None:
    assert run.curves.equals(reference.curves)
    ours, theirs = final(run), final(reference)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


@contextlib.contextmanager
def process_settings(values: dict[str, object]) -> Iterator[None]:
    """Change settings of this whole process, as a user's module does."""
    before = {name: jax.config.values[name] for name in values}
    try:
        for name, value in values.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "reference"
    return softstep.runs.api.train(config(request.param), out, execute=run_blocks_here)


@pytest.fixture(scope="module")
def cartpole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "cartpole"
    return softstep.runs.api.train(small(env="CartPole-v1", total_steps=200), out, execute=run_blocks_here)


def stopped_run(config: Config, out: Path) -> Run:
    """Train until a checkpoint, and stop."""
    asked = iter([False] * 2)
    return softstep.runs.api.train(config, out, execute=run_blocks_here, should_stop=lambda: next(asked, True))


def set_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (OTHER | OTHER_PER_PROCESS).items():
        monkeypatch.setenv(name.upper(), str(int(value) if isinstance(value, bool) else value))


# ---- the table ----


def test_every_setting_is_tried_with_another_value() -> None:
    assert OTHER.keys() == PINNED.keys()
    assert OTHER_PER_PROCESS.keys() == PER_PROCESS.keys()
    assert not [name for name in OTHER if OTHER[name] == PINNED[name]]


def test_the_pinned_values_are_the_defaults_of_jax() -> None:
    code = "import jax, json; print(json.dumps({k: v for k, v in jax.config.values.items()}, default=str))"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    shown = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    defaults = json.loads(shown.stdout)
    assert {name: defaults[name] for name in (*PINNED, *PER_PROCESS)} == {**PINNED, **PER_PROCESS}


@pytest.mark.parametrize("name", PINNED)
def test_a_setting_is_pinned_inside_and_the_users_own_outside_and_in_user_code(name: str) -> None:
    with process_settings({name: OTHER[name]}):
        with pinned():
            assert not settings_differ()
            assert jax.config.values[name] == PINNED[name]
            with unpinned():
                assert jax.config.values[name] == OTHER[name]
                assert settings_differ()
            assert jax.config.values[name] == PINNED[name]
        assert jax.config.values[name] == OTHER[name]
    assert not settings_differ()


def test_settings_of_the_users_own_block_of_code_return_after_an_error() -> None:
    @pinned()
    @pinned()
    @unpinned()
    def fail() -> None:
        assert jnp.arange(2.0).dtype == np.float64
        raise ZeroDivisionError

    with jax.enable_x64(True):
        with pytest.raises(ZeroDivisionError):
            fail()
        assert jnp.arange(2.0).dtype == np.float64
    assert jnp.arange(2.0).dtype == np.float32


# ---- bits ----


def test_a_run_started_under_any_variables_has_the_same_bits(
    reference: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch)
    assert_same(softstep.runs.api.train(reference.config, tmp_path / "run", workers=1), reference)


def test_a_run_resumed_under_other_variables_has_the_same_bits(
    reference: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not stopped_run(reference.config, tmp_path / "run").summary["finished"]
    set_variables(monkeypatch)
    assert_same(softstep.resume(tmp_path / "run", workers=1), reference)


def test_training_and_evaluation_in_the_users_process_do_not_see_its_settings(reference: Run, tmp_path: Path) -> None:
    expected = softstep.evaluate(reference, episodes=3).returns
    with process_settings({name: value for name, value in OTHER.items() if name != "jax_disable_jit"}):
        run = softstep.runs.api.train(reference.config, tmp_path / "run", execute=run_blocks_here)
        np.testing.assert_array_equal(softstep.evaluate(reference, episodes=3).returns, expected)
    assert_same(run, reference)


def test_a_module_that_asks_for_doubles_gets_them_and_the_learner_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doubles.py").write_text(MODULE)
    (tmp_path / "singles.py").write_text(MODULE.replace("True", "False", 1).replace("float64", "float32"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    runs = [
        softstep.runs.api.train(config("Doubles-v0", env_modules=(module,)), tmp_path / module / "run", workers=1)
        for module in ("doubles", "singles")
    ]
    assert_same(*runs)


# ---- what cannot be pinned ----


@pytest.mark.parametrize("name", PER_PROCESS)
def test_settings_of_a_whole_process_are_refused_in_the_users(name: str, cartpole: Run) -> None:
    expected = pytest.raises(ConfigError, match=f"{name} = .*[(]unset {name.upper()}")
    with process_settings({name: OTHER_PER_PROCESS[name]}), expected:
        softstep.evaluate(cartpole, episodes=1)


def softstep_process(platforms: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"JAX_PLATFORMS": platforms, "JAX_RANDOM_SEED_OFFSET": "7"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)


def test_the_command_evaluates_on_the_cpu_as_it_trains(cartpole: Run) -> None:
    result = softstep_process("cuda", "-m", "softstep", "eval", str(cartpole.path), "--episodes", "2")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("platforms", "line"),
    [
        ("cuda", "JAX finds no GPU here, or was installed without support for it"),
        ("tpu", "JAX finds no device for jax_platforms = 'tpu': unset JAX_PLATFORMS, or set it to cpu"),
    ],
)
def test_a_platform_that_is_not_there_is_one_line(cartpole: Run, platforms: str, line: str) -> None:
    evaluation = f"softstep.evaluate({str(cartpole.path)!r})"
    training = "import jax; softstep.train(softstep.Config('CartPole-v1'))"
    for code in (evaluation, training):
        result = softstep_process(
            platforms, "-c", f"import os, softstep; del os.environ['JAX_RANDOM_SEED_OFFSET']; {code}"
        )
        assert f"ConfigError: {line}" in result.stderr.splitlines()[-1]


def test_settings_are_recorded_and_a_resume_under_others_is_refused(cartpole: Run, tmp_path: Path) -> None:
    out = stopped_run(cartpole.config, tmp_path / "run").path
    stored = json.loads((out / "versions.json").read_text())
    assert stored["jax_settings"] == {**PINNED, **PER_PROCESS}
    stored["jax_settings"]["jax_default_prng_impl"] = "rbg"
    run_folder.write_results(run_folder.open_run(out), {"versions.json": json.dumps(stored).encode()})
    with pytest.raises(ConfigError, match="jax_default_prng_impl = 'rbg'"):
        softstep.resume(out)


def test_other_flags_of_xla_give_a_warning(cartpole: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = stopped_run(cartpole.config, tmp_path / "run").path
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    with pytest.warns(UserWarning, match="XLA_FLAGS was unset, is --xla_cpu_enable_fast_math=true"):
        softstep.resume(out, execute=run_blocks_here)


def test_a_setting_that_this_jax_does_not_have_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PER_PROCESS, "jax_dropped_in_a_later_release", 0)  # type: ignore[arg-type]
    with pinned():
        pass
