"""The answer of `advise`: in words, in JSON, from flags, from a library's settings, and as a line of `train`."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import softstep
from softstep import conventions, presets
from softstep.advice import atlas
from softstep.advice.library_settings import DEFAULTS, run_settings
from softstep.advice.window import Place
from softstep.cli.advice_line import outside_window
from softstep.cli.main import main
from softstep.cli.monitor import monitored
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.settings import Arm
from softstep.target import TargetUpdate

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "advise.md").read_text(encoding="utf-8")
NUMBERS = ["--gamma", "0.99", "--learning-rate", "1e-3", "--updates", "60000"]
ZOO = """
CartPole-v1:
  n_timesteps: !!float 5e4
  policy: 'MlpPolicy'
  learning_rate: !!float 2.3e-3
  learning_starts: 1000
  gamma: 0.99
  target_update_interval: 10
  train_freq: 256
  gradient_steps: 128
LunarLander-v3:
  n_timesteps: !!float 1e5
  learning_rate: lin_6.3e-4
  gamma: 0.98
  learning_starts: 0
"""


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["advise", *arguments]) == 0
    return capsys.readouterr().out


def as_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(printed([*arguments, "--json"], capsys))


def test_the_answer_begins_with_the_window_and_ends_with_the_regret(capsys):
    out = printed([*NUMBERS, "--tau", "0.005"], capsys)
    command, first = (
        re.search(r"```sh\n(softstep advise .*?)\n", PAGE)[1],
        re.search(r"```text\n(.*?)```", PAGE, re.S)[1],
    )
    assert shlex.split(command)[2:] == [*NUMBERS, "--tau", "0.005"]
    assert out.startswith(first)
    titles = [line for line in out.splitlines() if line and not line.startswith(" ")][2:]
    starts = ("Why not slower", "Why not faster", "Warnings", "The nearest", "How such", "How pairs")
    assert all(title.startswith(start) for title, start in zip(titles, starts, strict=True))
    assert f"{len(atlas.maps(atlas.load()))} environments are a weak test" in out
    assert max(map(len, out.splitlines())) <= 100


def test_the_same_numbers_in_json(capsys):
    answer = as_json([*NUMBERS, "--tau", "0.005", "--period", "2"], capsys)
    advice = softstep.advise(gamma=0.99, learning_rate=1e-3, updates=60_000, tau=0.005, period=2)
    assert answer == json.loads(json.dumps(advice.to_dict())) | {"remarks": []}
    assert (answer["low_per_update"], answer["high_per_update"]) == advice.window.per_update
    assert {reason["basis"] for reason in answer["reasons"]} == {"theorem", "measured", "rule of thumb"}


def test_the_lander_is_named_as_an_exception_and_its_measurement_is_quoted(capsys):
    arguments = ["--gamma", "0.995", "--learning-rate", "1e-3", "--updates", "124980", "--tau", "0.001"]
    out = printed([*arguments, "--env", "LunarLander-v3"], capsys)
    (table,) = [table for table in atlas.load() if table.source.endswith("lander-curves.parquet")]
    (cell,) = [cell for cell in table.cells if cell.tau == 0.001]
    text = " ".join(out.split())
    assert f"Measured near it on LunarLander-v3: {cell.mean:.0f} ± {cell.sd:.0f} at τ = 0.001" in text
    assert "LunarLander-v3 is an exception" in text
    assert "certainly too slow for the level of the values" in text
    assert "CartPole-v1, near" not in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--gamma", "0.99", "--learning-rate", "0.03", "--updates", "20000"], "Probably no τ is both fast enough"),
        (["--gamma", "0.99", "--learning-rate", "1e-4", "--updates", "12475", "--period", "2500"], "Certainly no τ is"),
        (["--gamma", "0.99", "--learning-rate", "1e-3", "--updates", "24500", "--period", "128"], "Probably no τ is"),
        ([*NUMBERS, "--period", "4"], "for one update every 4 gradient steps"),
        ([*NUMBERS, "--optimizer", "sgd"], "Nothing near your settings was measured"),
    ],
)
def test_what_is_said_if_there_is_no_window_or_nothing_near(arguments, expected, capsys):
    assert expected in " ".join(printed(arguments, capsys).split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--gamma", "1", *NUMBERS[2:]], "gamma = 1 must be in [0, 1)"),
        ([*NUMBERS[:4], "--updates", "-5"], "updates = -5 must be at least 1"),
        ([*NUMBERS, "--optimizer", "adma"], "optimizer = 'adma' is unknown"),
        ([*NUMBERS, "--env", "Pong"], "measured are CartPole-v1, LunarLander-v3"),
        ([*NUMBERS, "--tau", "0"], "outside (0, 1]"),
        (NUMBERS[:2], "--learning-rate and --updates are missing"),
        ([*NUMBERS, "--total-steps", "5"], "--total-steps needs the library"),
        ([*NUMBERS, "tau=1"], "NAME=VALUE needs the library"),
        (["--from", "sb3"], "say nothing of total_steps: give --total-steps"),
        (["--from", "cleanrl", "--updates", "100"], "say nothing of gamma: give --gamma"),
        (["--from", "sb3", "learning_rate=fast", "--updates", "100"], "learning_rate = fast is not a number"),
        (["--from", "sb3", "--total-steps", "90"], "ends before the first gradient step"),
        (["--from", "sb33", "--updates", "100"], "library 'sb33' is unknown"),
        (["--from", "sb3", "--entry", "X"], "give --file too"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, expected, capsys):
    assert main(["advise", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert expected in err


def test_a_file_without_the_entry_names_its_entries(tmp_path, capsys):
    (tmp_path / "dqn.yml").write_text(ZOO)
    assert main(["advise", "--from", "sb3", "--file", str(tmp_path / "dqn.yml"), "--entry", "Pong"]) == 2
    assert "is not a section of the file: CartPole-v1, LunarLander-v3" in capsys.readouterr().err


def test_a_file_gives_what_the_flags_give(tmp_path, capsys):
    (tmp_path / "dqn.yml").write_text(ZOO)
    source = ["--from", "sb3", "--file", str(tmp_path / "dqn.yml"), "--entry"]
    flags = ["--gamma", "0.99", "--learning-rate", "2.3e-3", "--updates", "24500", "--tau", "1", "--period", "128"]
    assert as_json([*source, "CartPole-v1"], capsys) == as_json([*flags, "--env", "CartPole-v1"], capsys)
    lander = as_json([*source, "LunarLander-v3", "tau=0.01", "target_update_interval=1"], capsys)
    assert (lander["gamma"], lander["learning_rate"], lander["updates"]) == (0.98, 6.3e-4, 25_000)
    assert lander["remarks"] == ["learning_rate falls linearly from 6.3e-4 to 0: the answer is for its start"]


@given(
    st.sampled_from(["sb3", "sb3-sac", "sb3-td3", "softstep", "lab", "optax"]),
    st.floats(0.5, 0.999), st.floats(1e-5, 0.1), st.integers(10_000, 10**7),
)  # fmt: skip
def test_tau_period_and_pace_are_those_that_convert_reads(library, gamma, alpha, steps):
    needed = {"step_size": 0.01, "env_steps_per_gradient_step": 4} if library == "optax" else {}
    meaning = conventions.read(library, needed)
    run = run_settings(library, needed, gamma=gamma, learning_rate=alpha, total_steps=steps)
    assert (run.tau, run.period) == (meaning.tau, float(meaning.period))
    start = DEFAULTS[library].learning_starts if library in DEFAULTS else 0
    assert run.updates == pytest.approx((steps - start) / float(meaning.env_steps_per_gradient_step))


@pytest.mark.parametrize("name", ["DQN", "SAC", "TD3", "DDPG"])
def test_the_defaults_of_stable_baselines3_are_its_own(name):
    sb3 = pytest.importorskip("stable_baselines3")
    parameters = inspect.signature(getattr(sb3, name).__init__).parameters
    own = DEFAULTS["sb3" if name == "DQN" else f"sb3-{name.lower()}"]
    assert own._asdict() == {field: parameters[field].default for field in own._fields}


@pytest.mark.parametrize(("library", "config"), [("lab", presets.get("lab")), ("softstep", Config())])
def test_our_own_defaults_are_those_of_the_configuration(library, config):
    assert DEFAULTS[library]._asdict() == {field: getattr(config, field) for field in DEFAULTS[library]._fields}


def test_two_names_of_one_quantity_that_disagree_are_refused():
    with pytest.raises(ConfigError, match="disagree about learning_rate"):
        run_settings("sb3", {"learning_rate": 1e-3, "optimizer.lr": 1e-4}, updates=100)
    critics = run_settings("sb3-sac", {"learning_rate": 1e-3, "critic_lr": 1e-4}, updates=100)
    assert critics.learning_rate == 1e-4


def test_a_configuration_of_softstep_is_read_as_it_runs():
    config = presets.get("lab")
    run = run_settings("softstep", conventions.parse_settings(config.to_json(), "json"))
    expected = (config.total_steps - config.learning_starts) / config.env_steps_per_gradient_step
    assert (run.gamma, run.learning_rate, run.tau, run.optimizer) == (0.995, 1e-3, 1e-3, "adam")
    assert run.updates == pytest.approx(expected)


@pytest.mark.parametrize("spelled", [{"target.gamma": None}, {"gamma": None, "discount": 0.9}])
def test_a_name_without_a_value_says_nothing(spelled):
    assert run_settings("softstep", {"gamma": 0.9, "updates": 1} | spelled, updates=100).gamma == 0.9


def test_the_configuration_of_a_run_in_a_file_is_read_and_a_harmonic_one_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "constant.json").write_text(Config(target=TargetUpdate(0.02)).to_json())
    answer = as_json(["--from", "softstep", "--file", str(tmp_path / "constant.json")], capsys)
    assert (answer["gamma"], answer["tau"]) == (0.99, 0.02)
    (tmp_path / "harmonic.json").write_text(Config(target=TargetUpdate(schedule="harmonic")).to_json())
    assert main(["advise", "--from", "softstep", "--file", str(tmp_path / "harmonic.json")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "target.schedule = harmonic: no other library has a tau that falls" in err


INSIDE = Config(total_steps=400_000, target=TargetUpdate(0.02))


def test_train_says_nothing_of_a_tau_inside_the_window_of_arms_or_where_there_is_no_window():
    assert outside_window(INSIDE) is None
    slow = replace(INSIDE, target=TargetUpdate(1e-5))
    for silent in (
        replace(slow, arms=(Arm("a"),)), replace(slow, gamma=1.0), replace(slow, optimizer="yogi"),
        replace(slow, total_steps=500), replace(slow, target=TargetUpdate(schedule="harmonic", tau0=1e-5)),
    ):  # fmt: skip
        assert outside_window(silent) is None


@pytest.mark.parametrize(
    ("target", "env", "place"),
    [
        (TargetUpdate(1e-5), "CartPole-v1", Place.CERTAINLY_SLOW),
        (TargetUpdate(2e-3), "LunarLander-v3", Place.PROBABLY_SLOW),
        (TargetUpdate(0.29), "Mine-v0", Place.FAST),
        (TargetUpdate.none(), "CartPole-v1", Place.NO_TARGET),
        (TargetUpdate.hard(50_000), "CartPole-v1", Place.CERTAINLY_SLOW),
    ],
)
def test_train_says_one_line_of_a_tau_outside_with_a_command_that_agrees(target, env, place, capsys):
    said = outside_window(replace(INSIDE, target=target, env=env))
    assert "\n" not in said.line
    assert place.value in said.line
    assert ("slower targets did best" in said.line) == (env == "LunarLander-v3")
    answer = as_json(shlex.split(said.event["command"])[2:], capsys)
    assert (answer["place"], answer["tau"], answer["period"]) == (place.value, target.tau, target.period)
    assert (answer["low_per_update"], answer["high_per_update"]) == (said.event["low"], said.event["high"])


@pytest.mark.parametrize("json_lines", [False, True])
def test_the_line_or_the_event_is_printed_once_before_training(json_lines, tmp_path, capsys):
    config = replace(INSIDE, target=TargetUpdate.none())
    said = outside_window(config)
    for advice, count in ((said, 1), (None, 0)):
        with monitored(config, tmp_path, json=json_lines, advice=advice):
            shown = capsys.readouterr().out.splitlines()
        found = [line for line in shown if "softstep advise" in line]
        assert len(found) == count
        assert all((json.loads(line) == said.event) if json_lines else (line == said.line) for line in found)


def test_train_passes_its_advice_on_and_compare_does_not(tmp_path, monkeypatch, capsys):
    class Started(ConfigError):
        pass

    received = []

    def start(*args, advice=None, **kwargs):
        received.append(advice)
        raise Started("stopped by the test")

    monkeypatch.setattr("softstep.cli.train.start_run", start)
    monkeypatch.setattr("softstep.cli.compare.start_run", start)
    for command, tau in (("train", "1e-5"), ("train", "0.02"), ("compare", "1e-5")):
        words = [command, "CartPole-v1", "--target.tau", tau, "--total-steps", "400000", "--out", str(tmp_path / "run")]
        assert main([*words, *(["--arms", "soft,same-alpha"] if command == "compare" else [])]) == 2
        assert "stopped by the test" in capsys.readouterr().err
    assert [advice is not None for advice in received] == [True, False, False]


def test_advise_loads_no_jax():
    code = "import sys, softstep; softstep.advise(gamma=.9, learning_rate=1e-3, updates=1e4);"
    code += "import softstep.cli.advise; print([m for m in ('jax', 'polars', 'plotly') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
