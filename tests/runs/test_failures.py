"""Failures of the user's code in a run: what the caller is told, what is logged, and which folders stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from softstep.config import Config
from softstep.errors import ConfigError, EnvironmentFailed, WorkerFailed, one_line
from softstep.runs import api, failure_log

MODULE = """
import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

class Stop(BaseException): ...

class Ends(CartPoleEnv):
    steps = 0

    def __init__(self, after, error):
        super().__init__()
        self.after, self.error = after, error

    def step(self, action):
        self.steps += 1
        if self.steps > self.after:
            raise self.error("so long")
        return super().step(action)

gymnasium.register("EndsEarly-v0", Ends, kwargs={"after": 150, "error": ValueError})
gymnasium.register("EndsLate-v0", Ends, kwargs={"after": 250, "error": ValueError})
gymnasium.register("Odd-v0", Ends, kwargs={"after": 150, "error": Stop})
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ending.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def config(env: str) -> Config:
    return Config(env=env, env_modules=("ending",), total_steps=400, checkpoint_every=200, learning_starts=300)


@pytest.mark.parametrize(
    ("env", "kind", "words"),
    [
        ("EndsEarly-v0", EnvironmentFailed, "EndsEarly-v0 failed at environment step 151: ValueError: so long"),
        ("Odd-v0", WorkerFailed, "the worker of block 0 failed: Stop: so long"),
    ],
)
def test_a_failure_before_the_first_checkpoint_leaves_the_folder_free(
    env: str, kind: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words) as caught:
        api.train(config(env), tmp_path / "run")
    assert "ending.py" in str(caught.value.__cause__)  # the worker's traceback
    assert not (tmp_path / "run").exists()


def test_a_failure_after_a_checkpoint_keeps_it_and_logs_the_traceback_beside_it(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed) as caught:
        api.train(config("EndsLate-v0"), tmp_path / "run")
    log = tmp_path / "run" / "error.log"
    assert one_line(caught.value).endswith(f"ValueError: so long (traceback: {log})")
    assert 'raise self.error("so long")' in log.read_text()
    assert list((tmp_path / "run").glob("checkpoint-*-000000000200.safetensors"))


def raised(cause: Exception | None) -> ConfigError:
    error = ConfigError("a line")
    error.__cause__ = cause
    return error


def test_only_errors_with_a_cause_are_logged_and_only_once(tmp_path: Path) -> None:
    failure_log.log_failure(raised(None))
    assert not (tmp_path / "cache").exists()
    error = raised(KeyError("the cause"))
    failure_log.log_failure(error)
    failure_log.log_failure(error)
    (log,) = (tmp_path / "cache" / "softstep" / "failures").iterdir()
    assert one_line(error) == f"a line (traceback: {log})"
    assert "KeyError: 'the cause'" in log.read_text()


def test_logs_do_not_pile_up(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "softstep" / "failures"
    folder.mkdir(parents=True)
    for number in range(50):
        (folder / f"2020{number:02}.log").touch()
    failure_log.log_failure(raised(KeyError()))
    assert len(list(folder.iterdir())) == failure_log.KEPT_LOGS
    assert not (folder / "202000.log").exists()


def test_a_cache_that_cannot_be_written_is_replaced_by_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    error = raised(KeyError())
    failure_log.log_failure(error, tmp_path / "no" / "such")
    assert (tmp_path / "no" / "such" / "error.log").exists()
    error = raised(KeyError())
    failure_log.log_failure(error)
    assert f"(traceback: {tmp_path}/softstep-" in one_line(error)
