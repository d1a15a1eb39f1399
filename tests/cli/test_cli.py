"""The `softstep` command as a user meets it: its output, its errors and its exit codes."""

import ast
import importlib
import inspect
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

import softstep
import softstep.cli.options
import softstep.config
import softstep.settings
import softstep.target
from softstep.cli.main import COMMANDS, Command, main, parse
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

TINY = ["--total-steps", "2000", "--learning-starts", "100", "--checkpoint-every", "500", "--log", "none"]


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


def test_json_output_has_records_and_an_end_line(finished):
    lines = [json.loads(line) for line in (finished / "out.jsonl").read_text().splitlines()]
    assert {"record", "end"} <= {line["kind"] for line in lines}
    assert lines[-1]["finished"] is True
    assert {line["seed"] for line in lines if line["kind"] == "record"} == {0, 1}


def test_the_last_progress_counts_every_step(finished):
    lines = [json.loads(line) for line in (finished / "out.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["kind"] == "progress"][-1]
    assert (last["agent_steps"], last["total_agent_steps"]) == (2 * 2000, 2 * 2000)
    assert last["gradient_steps"] == (2000 - 100) / 4


def test_a_run_shorter_than_the_start_of_learning_is_warned_about(tmp_path, capsys):
    out = ["--out", str(tmp_path / "run"), "--log", "none"]
    assert main(["train", "CartPole-v1", "--total-steps", "300", "--learning-starts", "300", *out]) == 0
    assert (
        "warning: total_steps = 300 do not exceed learning_starts = 300: nothing is learned" in capsys.readouterr().err
    )


@pytest.mark.parametrize("command", [["train", "CartPole-v1"], ["compare", "CartPole-v1"], ["train", "--resume"]])
def test_what_is_wrong_with_flags_is_said_before_anything_else(command, finished, capsys):
    command = [*command, str(finished / "run")] if "--resume" in command else [*command, "--out", str(finished / "run")]
    for flags in ([], ["--workers", "0"]):
        if flags or "--resume" not in command:
            assert main([*command, *flags]) == 2
            shown = capsys.readouterr()
            assert shown.out == ""
            assert len(shown.err.splitlines()) == 1


def test_a_study_is_not_told_to_use_a_flag_that_it_has_not(finished, tmp_path, capsys):
    (tmp_path / "study.toml").write_text('env = "CartPole-v1"\n[axes]\nc = [0.0]\n')
    assert main(["study", "run", str(tmp_path / "study.toml"), "--out", str(finished / "run")]) == 2
    errors = capsys.readouterr().err
    assert "exists already: choose another --out" in errors
    assert "--force" not in errors


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


def test_train_prints_alpha_tau_c_period_and_half_life(tmp_path):
    done = softstep_command("train", "CartPole-v1", *TINY, "--target.tau", "0.001", "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("α = 0.001", "τ = 0.001", "c = 0.999", "period 1", "soft", "692.8 gradient steps", "2771"):
        assert word in done.stdout
    assert "100%" in done.stderr


def test_files_override_presets_and_flags_override_files(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text('{"gamma": 0.9, "target": {"period": 3}, "batch_size": 32}')
    command = parse("train", ["--preset", "lab", "--config", str(file), "--batch-size", "16"])
    settings = command.settings
    assert (settings.target.tau, settings.target.period) == (0.001, 3)
    assert (settings.gamma, settings.batch_size, settings.initializer) == (0.9, 16, "glorot")


def field_docstrings(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return the docstring of every field of every dataclass in a module's source that is a flag; "" for none."""
    hidden = re.compile("ClassVar|Suppress")
    docstrings: dict[str, dict[str, str]] = {}
    for cls in ast.parse(inspect.getsource(module)).body:
        if not isinstance(cls, ast.ClassDef):
            continue
        for statement, following in itertools.zip_longest(cls.body, cls.body[1:]):
            if isinstance(statement, ast.AnnAssign) and not hidden.search(ast.unparse(statement.annotation)):
                documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
                text = following.value.value if documented else ""
                docstrings.setdefault(cls.name, {})[ast.unparse(statement.target)] = text
    return docstrings


def help_text(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return `softstep COMMAND --help` without boxes and white space."""
    with pytest.raises(SystemExit) as end:
        main([*command.split(), "--help"])
    assert end.value.code == 0
    return "".join(capsys.readouterr().out.replace("│", " ").split())


def test_every_field_of_the_configuration_is_a_flag_with_its_docstring(capsys):
    text = help_text("train", capsys)
    fields = field_docstrings(softstep.config) | field_docstrings(softstep.settings)
    flags = {
        f"--{name}": doc for name, doc in fields["Config"].items() if name not in ("env", "arms", "changes", "env_args")
    }
    nested = {"--target": None, "--exploration": None, "--env_modules": None}
    flags = {name: doc for name, doc in flags.items() if name not in nested}
    flags |= {f"--exploration.{name}": doc for name, doc in fields["Exploration"].items()}
    flags |= {f"--target.{name}": doc for name, doc in field_docstrings(softstep.target)["TargetUpdate"].items()}
    assert len(flags) > 30
    for name, docstring in flags.items():
        assert docstring, name
        assert name.replace("_", "-") in text
        assert "".join(docstring.split()) in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_a_command_has_a_help_text(command, capsys):
    module = importlib.import_module(f"softstep.cli.{COMMANDS[command].module}")
    text = help_text(command, capsys)
    fields = field_docstrings(module).get(COMMANDS[command].cls, {})
    if hasattr(getattr(module, COMMANDS[command].cls), "DEFAULT_PRESET"):
        fields |= field_docstrings(softstep.cli.options)["RunArguments"]
    if fields.pop("trust", None) is not None:
        fields |= field_docstrings(softstep.cli.options)["TrustFlags"]
    fields.pop("settings", None) if "env" in fields else None
    for name, docstring in fields.items():
        assert docstring, name
        assert "".join(docstring.split()) in text


def test_every_command_class_is_in_the_registry():
    registered = {(entry.module, entry.cls) for entry in COMMANDS.values()}
    assert len(registered) == len(COMMANDS)
    for path in Path(inspect.getfile(softstep.cli)).parent.glob("*.py"):
        module = importlib.import_module(f"softstep.cli.{path.stem}")
        for name, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ == module.__name__ and issubclass(cls, Command) and cls is not Command:
                assert (path.stem, name) in registered


def test_every_line_of_the_registry_names_a_command():
    for entry in COMMANDS.values():
        assert issubclass(getattr(importlib.import_module(f"softstep.cli.{entry.module}"), entry.cls), Command)
        assert len(entry.summary) < 80


def test_a_group_of_commands_has_help_of_its_own(capsys):
    assert main(["study", "--help"]) == 0
    listed = re.findall(r"^  (\w+ \w+) ", capsys.readouterr().out, flags=re.MULTILINE)
    assert listed == [name for name in COMMANDS if name.startswith("study ")]


USAGE_ERRORS = [
    (["train", "LunarLandr-v3"], "LunarLander-v3"),
    (["train", "LunarLander-v2"], "did you mean 'LunarLander-v3'"),
    (["train", "Pendulum-v1"], "needs discrete actions"),
    (["train", "gymnax:CartPoe-v1"], "did you mean 'CartPole-v1'"),
    (["train", "evil:Env-v0"], "is not gymnasium, gymnax or envpool"),
    (["train"], "ENV is missing"),
    (["compare"], "ENV is missing"),
    (["trian", "CartPole-v1"], "did you mean 'train'"),
    (["study"], "'study run' or 'study new'"),
    (["study", "--out", "runs"], "'study' is a group of commands"),
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
    (["train", "CartPole-v1", "--env-module", "my_envs.py"], "leave out .py"),
    (["train", "--env-module", "my_envs", "Mine-v0"], "softstep train Mine-v0 --env-module my_envs"),
    (["train", "my_envs:Mine-v0"], "Mine-v0 --env-module my_envs"),
    (["train", "CartPole-v1", "--network", "no_colon"], "module:function"),
    (["train", "CartPole-v1", "--network", "nets.py:mine"], "leave out .py"),
    (["train", "CartPole-v1", "--config", "absent.json"], "absent.json: No such file or directory"),
    (["study", "run", "absent.toml"], "absent.toml: No such file or directory"),
    (["study", "declare", "."], ".: Is a directory"),
    (["theory", "--alpha", "1", "--c", "0.5", "--mdp", "absent.json"], "as JSON (No such file or directory)"),
    (["advise", "--from", "sb3", "--file", "absent.yml"], "absent.yml: No such file or directory"),
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
def test_wrong_input_is_explained_and_exits_with_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    errors = capsys.readouterr().err
    assert code == 2
    assert message in " ".join(errors.replace("│", " ").split())
    assert "Traceback" not in errors
    assert "Errno" not in errors
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "a partial file was left behind"


def test_an_existing_run_is_kept_without_force_or_if_the_new_configuration_is_invalid(finished, capsys):
    before = (finished / "run" / "config.json").read_bytes()
    assert main(["train", "CartPole-v1", "--out", str(finished / "run")]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["train", "NoSuch-v1", "--out", str(finished / "run"), "--force"]) == 2
    assert (finished / "run" / "config.json").read_bytes() == before


def test_a_failing_environment_keeps_the_checkpoint_and_exits_with_code_1(tmp_path):
    (tmp_path / "broken_motor.py").write_text(FAILING_ENV)
    arguments = ["train", "Failing-v0", "--env-module", "broken_motor", *TINY, "--out", "run"]
    done = softstep_command(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "failed at environment step 1501" in done.stderr
    assert "the motor is on fire" in done.stderr
    assert "Traceback" not in done.stderr
    assert f"(traceback: {tmp_path}/run/error.log)" in done.stderr
    assert 'raise ValueError("the motor is on fire")' in (tmp_path / "run" / "error.log").read_text()
    assert list((tmp_path / "run").glob("checkpoint-*-000000001000.safetensors"))


def test_ctrl_c_saves_the_run_and_exits_with_code_130(tmp_path):
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
    os.killpg(process.pid, signal.SIGINT)  # a terminal signals the parent and its workers together
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continue with: softstep train --resume" in errors
    run = softstep.Run(run_folder.open_run(tmp_path / "run"))
    assert not run.summary["finished"]
    assert len(run.curves)
    reached = checkpoints.steps_reached(run.folder)[0]
    assert reached > 2000
    assert main(["train", "CartPole-v1", "--resume", str(tmp_path / "run")]) == 2


HEAVY = ("numpy", "tyro", "rich", "jax", "polars", "plotly", "gymnasium", "ray", "starlette")


def test_the_list_of_commands_loads_no_library(tmp_path):
    code = (
        "import sys; from softstep.cli.main import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "study run" in done.stdout
    assert not [name for name in HEAVY if f"'{name}'" in done.stderr]


def test_theory_explains_a_pair_and_writes_its_page(tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["theory", "--alpha", "0.1", "--tau", "0.1", "--problem", "only_target", "--out", str(page)]) == 0
    assert "0.999069598709" in capsys.readouterr().out  # the growth rate that docs/tutorial.md rounds
    assert "<html" in page.read_text()[:500]


def test_watch_writes_a_gif(finished, capsys):
    assert main(["watch", str(finished / "run"), "--seed", "1"]) == 0
    assert (finished / "run" / "watch-0-1.gif").read_bytes()[:6] == b"GIF89a"
    assert "--eval-max-steps" not in capsys.readouterr().err
    assert main(["watch", str(finished / "run"), "--seed", "1", "--eval-max-steps", "5"]) == 0
    assert "had not ended after 5 steps and was cut (--eval-max-steps" in capsys.readouterr().err


def test_one_episode_has_no_interval_and_json_says_so_with_null(finished, capsys):
    assert main(["eval", str(finished / "run"), "--episodes", "1", "--json"]) == 0
    agents = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["agents"]
    assert [(agent["low"], agent["high"], agent["sd"]) for agent in agents] == [(None, None, None)] * 2


def test_every_json_file_of_a_run_and_every_line_is_strict(finished):
    texts = [path.read_text(encoding="utf-8") for path in (finished / "run").rglob("*.json")]
    texts += (finished / "out.jsonl").read_text().splitlines()
    assert len(texts) > 5
    for text in texts:
        json.loads(text, parse_constant=pytest.fail)


def test_commands_and_experiments_write_json_by_the_strict_writer():
    package = Path(inspect.getfile(softstep)).parent
    paths = [path for folder in ("cli", "studies", "runs") for path in (package / folder).glob("*.py")]
    others = {path.name for path in paths if "json.dump" in path.read_text(encoding="utf-8")}
    assert others == {"checkpoints.py", "registration.py", "worker_process.py"}  # no floats; orders to workers


def test_eval_counts_the_episodes_that_it_cuts(finished, capsys):
    arguments = ["eval", str(finished / "run"), "--episodes", "3", "--eval-max-steps", "5"]
    assert main([*arguments, "--json"]) == 0
    shown = capsys.readouterr()
    assert [(a["mean"], a["cut"]) for a in json.loads(shown.out)["agents"]] == [(5, 3), (5, 3)]
    assert "6 of 6 evaluation episodes of CartPole-v1 had not ended after 5 steps and were cut" in shown.err
    assert main(["eval", str(finished / "run"), "--eval-max-steps", "0"]) == 2
    assert "eval_max_steps = 0 must be at least 1" in capsys.readouterr().err
