"""The command as a user meets it: what it prints, what it refuses, how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import softstep
from softstep.cli.arguments import parse
from softstep.cli.main import main
from softstep.runs import checkpoints, run_folder

FAILING_ENV = """
import gymnasium
import numpy as np

class Failing(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    steps = 0

    def reset(self, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        if self.steps > 1500:
            raise ValueError("the motor is on fire")
        return np.zeros(2, np.float32), 1.0, self.steps % 20 == 0, False, {}

gymnasium.register("Failing-v0", Failing)
"""

TINY = ["--total-steps", "2000", "--learning-starts", "100", "--checkpoint-every", "500", "--no-tensorboard"]


def softstep_command(*arguments: str, cwd: Path, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "softstep", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    done = softstep_command("train", "CartPole-v1", *TINY, "--seeds", "2", "--out", "run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "out.jsonl").write_text(done.stdout)
    return folder


def test_json_lines_tell_records_progress_and_the_end(finished):
    lines = [json.loads(line) for line in (finished / "out.jsonl").read_text().splitlines()]
    assert {"record", "end"} <= {line["kind"] for line in lines}
    assert lines[-1]["finished"] is True
    assert {line["seed"] for line in lines if line["kind"] == "record"} == {0, 1}


def test_eval_prints_statistics_of_every_agent(finished, capsys):
    assert main(["eval", str(finished / "run"), "--episodes", "5", "--json"]) == 0
    agents = json.loads(capsys.readouterr().out)["agents"]
    assert [a["seed"] for a in agents] == [0, 1]
    assert all(a["low"] <= a["mean"] <= a["high"] for a in agents)
    direct = softstep.evaluate(finished / "run", 5)
    assert [a["mean"] for a in agents] == pytest.approx(direct.returns.mean(1))


def test_runs_lists_the_run(finished, capsys):
    assert main(["runs", str(finished)]) == 0
    assert "CartPole-v1" in capsys.readouterr().out


def test_echo_says_alpha_tau_c_period_half_life(tmp_path):
    done = softstep_command("train", "CartPole-v1", *TINY, "--target.tau", "0.001", "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("α = 0.001", "τ = 0.001", "c = 0.999", "period 1", "soft", "692.8 gradient steps", "2771"):
        assert word in done.stdout
    assert "100%" in done.stderr


def test_presets_and_files_and_flags_override_in_that_order(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text('{"gamma": 0.9, "target": {"period": 3}, "batch_size": 32}')
    command = parse("train", ["--preset", "lab", "--config", str(file), "--batch-size", "16"])
    settings = command.settings
    assert (settings.target.tau, settings.target.period) == (0.001, 3)
    assert (settings.gamma, settings.batch_size, settings.initializer) == (0.9, 16, "glorot")


def test_every_field_of_the_configuration_is_a_flag_with_its_unit(capsys):
    with pytest.raises(SystemExit) as end:
        main(["train", "--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for flag in ("--target.tau", "--target.period", "--learning-rate", "--batch-size", "--total-steps", "--out",
                 "--config", "--exploration.steps", "--env-module", "--block-width", "--eval-every"):  # fmt: skip
        assert flag in text
    assert "Gradient steps from one update of the target to the next" in text
    assert "(environment steps per agent)" in text


USAGE_ERRORS = [
    (["train", "LunarLandr-v3"], "LunarLander-v3"),
    (["train", "LunarLander-v2"], "did you mean 'LunarLander-v3'"),
    (["train", "Pendulum-v1"], "needs Discrete"),
    (["train", "gymnax:CartPoe-v1"], "did you mean 'CartPole-v1'"),
    (["train", "evil:Env-v0"], "is not gymnasium, gymnax or envpool"),
    (["train"], "which environment"),
    (["trian", "CartPole-v1"], "did you mean 'train'"),
    (["train", "CartPole-v1", "--learning-rat", "1"], "--learning-rate"),
    (["train", "CartPole-v1", "--target.tau", "0"], "outside (0, 1]"),
    (["train", "CartPole-v1", "--target.tau", "1.5"], "outside (0, 1]"),
    (["train", "CartPole-v1", "--target.period", "0"], "at least 1"),
    (["train", "CartPole-v1", "--batch-size", "64", "--memory-size", "32"], "larger than memory_size"),
    (["train", "CartPole-v1", "--learning-rate", "-1"], "above 0"),
    (["train", "CartPole-v1", "--seed", "-1"], "at least 0"),
    (["train", "CartPole-v1", "--total-steps", "-5"], "at least 1"),
    (["train", "CartPole-v1", "--total-steps", "many"], "many"),
    (["train", "CartPole-v1", "--optimizer", "adamm"], "did you mean"),
    (["train", "CartPole-v1", "--optimizer-options", "bet", "0.9"], "has no 'bet'"),
    (["train", "CartPole-v1", "--env-module", "no_such_module"], "cannot be imported"),
    (["train", "CartPole-v1", "--network", "no_colon"], "module:function"),
    (["train", "CartPole-v1", "--config", "absent.json"], "absent.json"),
    (["train", "CartPole-v1", "--preset", "slow"], "slow"),
    (["train", "CartPole-v1", "--workers", "0"], "workers"),
    (["train", "--resume", "nowhere"], "is not a run folder"),
    (["compare", "CartPole-v1", "--target.tau", "1"], "not a soft update"),
    (["eval", "nowhere"], "is not a run folder"),
    (["eval", ".", "--episodes", "0"], ""),
    (["watch", "nowhere"], "is not a run folder"),
    (["runs", "nowhere"], "is not a folder"),
    (["theory", "--alpha", "0.1"], "either --c"),
    (["theory", "--alpha", "0.1", "--c", "0.9", "--tau", "0.1"], "either --c"),
    (["theory", "--alpha", "0.1", "--tau", "2"], "outside (0, 1]"),
    (["theory", "--alpha", "0", "--c", "0.5"], "alpha"),
    (["theory", "--alpha", "0.1", "--c", "0.5", "--problem", "bothh"], "unknown"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), USAGE_ERRORS, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_bad_input_gets_a_clear_message_and_exit_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    told = capsys.readouterr().err
    assert code == 2
    assert message in " ".join(told.replace("│", " ").split())
    assert "Traceback" not in told
    assert not [p for p in tmp_path.rglob("*") if p.is_file()], "something half-written was left behind"


def test_an_existing_run_is_kept_without_force_and_when_the_new_one_cannot_be(finished, capsys):
    before = (finished / "run" / "config.json").read_bytes()
    assert main(["train", "CartPole-v1", "--out", str(finished / "run")]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["train", "NoSuch-v1", "--out", str(finished / "run"), "--force"]) == 2
    assert (finished / "run" / "config.json").read_bytes() == before


def test_an_environment_that_raises_keeps_the_checkpoint_and_passes_the_error_on(tmp_path):
    (tmp_path / "broken_motor.py").write_text(FAILING_ENV)
    arguments = ["train", "Failing-v0", "--env-module", "broken_motor", *TINY, "--out", "run"]
    done = softstep_command(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "failed at environment step 1501" in done.stderr
    assert "the motor is on fire" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "run").glob("checkpoint-*-000000001000.safetensors"))


def test_ctrl_c_saves_exits_130_and_can_be_resumed(tmp_path):
    arguments = [
        "train",
        "CartPole-v1",
        "--total-steps",
        "300000",
        "--checkpoint-every",
        "2000",
        "--record-every",
        "500",
        "--out",
        "run",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "softstep", *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list((tmp_path / "run").glob("checkpoint-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: parent and workers together
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continue with: softstep train --resume" in errors
    run = softstep.Run(run_folder.open_run(tmp_path / "run"))
    assert not run.summary["finished"]
    assert len(run.curves)
    reached = checkpoints.steps_reached(run.folder)[0]
    assert reached > 2000
    assert main(["train", "CartPole-v1", "--resume", str(tmp_path / "run")]) == 2


def test_help_loads_nothing_heavy(tmp_path):
    code = (
        "import sys; from softstep.cli.main import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "study run" in done.stdout
    loaded = {
        name for name in ("jax", "polars", "plotly", "gymnasium", "ray", "starlette") if f"'{name}'" in done.stderr
    }
    assert not loaded


def test_theory_explains_a_pair_and_writes_its_page(tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["theory", "--alpha", "0.1", "--tau", "0.1", "--problem", "only_target", "--out", str(page)]) == 0
    assert "0.999069598709" in capsys.readouterr().out  # the growth rate of THEORY's example at c = .9
    assert "<html" in page.read_text()[:500]


def test_watch_writes_a_gif(finished):
    assert main(["watch", str(finished / "run"), "--seed", "1"]) == 0
    assert (finished / "run" / "watch-0-1.gif").read_bytes()[:6] == b"GIF89a"
