"""Settings that do not fit actor-critic: one line that names the value and the fix, exit code 2, no file left."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from softstep import presets
from softstep.cli.compare import Compare
from softstep.cli.main import main
from softstep.cli.train import Train
from softstep.comparison.plan import ComparisonPlan
from softstep.settings import ALGORITHMS_WITH

UNBOUNDED = """
import gymnasium
import numpy as np

class Unbounded(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)

gymnasium.register("Unbounded-v0", Unbounded)
"""

ACTOR_CRITIC = ("ddpg", "td3", "sac")
PENDULUM = ["Pendulum-v1", "--algorithm"]

MISFITS: list[tuple[list[str], str]] = [
    *((["CartPole-v1", "--algorithm", name], "2 discrete ones: use algorithm = 'dqn'") for name in ACTOR_CRITIC),
    *((["LunarLander-v3", "--algorithm", name], "--env-arg continuous=true") for name in ACTOR_CRITIC),
    (["gymnax:CartPole-v1", "--algorithm", "sac"], "2 discrete ones: use algorithm = 'dqn'"),
    (["Pendulum-v1"], "use algorithm = 'sac', 'td3' or 'ddpg'"),
    (["gymnax:Pendulum-v1"], "use algorithm = 'sac', 'td3' or 'ddpg'"),
    (["LunarLander-v3", "--env-arg", "continuous=true"], "or leave out the argument continuous"),
    (["CartPole-v1", "--preset", "sac-lander"], "2 discrete ones: use algorithm = 'dqn'"),
    (["Unbounded-v0", "--env-module", "unbounded", "--algorithm", "sac"], "actions from -inf to inf"),
    ([*PENDULUM, "sac", "--eval-network", "target"], "use 'online'"),
    (["CartPole-v1", "--n-step", "100", "--memory-size", "64"], "raise the memory"),
]

Q_LEARNING = [
    (["--double-q"], "double_q = True"),
    (["--network", "nets:mine"], "network = 'nets:mine'"),
    (["--target-scope", "last-layer"], "target_scope = 'last-layer'"),
    (["--normalization", "layer"], "normalization = 'layer'"),
    (["--n-step", "3"], "n_step = 3"),
]

FOREIGN: list[tuple[list[str], str]] = [
    *(
        ([*PENDULUM, name, *flags], f"{text} needs algorithm = 'dqn', and this run has {name!r}: leave it out")
        for name in ACTOR_CRITIC
        for flags, text in Q_LEARNING
    ),
    *(
        ([*PENDULUM, name, flag, value], f"{flag[2:].replace('-', '_')} = {value} needs algorithm = {owners}, and")
        for flag, value, owners, others in (
            ("--actor-tau", "0.5", "'ddpg' or 'td3'", ("dqn", "sac")),
            ("--action-noise", "0.3", "'ddpg' or 'td3'", ("dqn", "sac")),
            ("--target-noise", "0.3", "'td3'", ("dqn", "ddpg", "sac")),
            ("--target-noise-clip", "0.3", "'td3'", ("dqn", "ddpg", "sac")),
            ("--temperature", "0.5", "'sac'", ("dqn", "ddpg", "td3")),
            ("--temperature-learning-rate", "0.5", "'sac'", ("dqn", "ddpg", "td3")),
            ("--target-entropy", "-2.5", "'sac'", ("dqn", "ddpg", "td3")),
            ("--policy-delay", "3", "'ddpg' or 'td3' or 'sac'", ("dqn",)),
            ("--actor-learning-rate", "0.5", "'ddpg' or 'td3' or 'sac'", ("dqn",)),
        )
        for name in others
    ),
]

NUMBERS: list[tuple[list[str], str]] = [
    *(
        ([*PENDULUM, name, flag, value], f"{flag[2:].replace('-', '_')} = ")
        for name, flag, values in (
            ("sac", "--temperature", ("0", "-1", "nan", "inf")),
            ("sac", "--temperature-learning-rate", ("-0.1", "nan", "inf")),
            ("sac", "--target-entropy", ("nan", "inf", "-inf")),
            ("sac", "--actor-learning-rate", ("0", "-1", "nan", "inf")),
            ("td3", "--actor-tau", ("0", "-0.5", "1.5", "nan")),
            ("td3", "--policy-delay", ("0", "-2")),
            ("td3", "--action-noise", ("-0.1", "nan", "inf")),
            ("td3", "--target-noise", ("-0.1", "nan", "inf")),
            ("td3", "--target-noise-clip", ("-0.1", "nan", "inf")),
        )
        for value in values
    ),
]


@pytest.mark.parametrize(
    ("arguments", "message"), MISFITS + FOREIGN + NUMBERS, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_what_does_not_fit_is_refused_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    modules, folder = tmp_path / "modules", tmp_path / "here"
    for path in (modules, folder):
        path.mkdir()
    (modules / "unbounded.py").write_text(UNBOUNDED)
    monkeypatch.syspath_prepend(modules)
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "unbounded", raising=False)
    assert main(["train", *arguments]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert not [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ACTOR_CRITIC)
@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ('{"name": "one", "blended": true}', "arm 'one': blended = True needs algorithm = 'dqn'"),
        ('{"name": "one", "actor_tau": 0}', "arms[0].actor_tau = 0 must be in (0, 1]"),
        ('{"name": "one", "actor_learning_rate": -1}', "arms[0].actor_learning_rate = -1 must be"),
    ],
)
def test_an_arm_that_does_not_fit_is_refused(
    name: str, arm: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.json").write_text(f'{{"arms": [{arm}]}}')
    arguments = [*PENDULUM, name, "--config", str(tmp_path / "settings.json"), "--out", str(tmp_path / "run")]
    assert main(["train", *arguments]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "run").exists()


NAMES = {"ddpg": "DDPG", "td3": "TD3", "sac": "SAC"}


@pytest.mark.parametrize("by_file", [False, True])
@pytest.mark.parametrize("algorithm", ACTOR_CRITIC)
def test_a_comparison_starts_from_the_settings_of_training_and_is_measured_as_the_demo(
    algorithm: str, by_file: bool, tmp_path: Path
) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"algorithm": algorithm}), encoding="utf-8")
    words = ["Pendulum-v1", *(["--config", str(file)] if by_file else ["--algorithm", algorithm])]
    compared, trained = (kind.parse("softstep", words).configuration() for kind in (Compare, Train))
    demo = presets.get("demo")
    measured = {name: getattr(demo, name) for name in ("total_steps", "seeds", "eval_every", "eval_episodes")}
    assert compared == replace(trained, **measured)
    assert compared.algorithm == algorithm
    ComparisonPlan(compared, ("soft", "same-alpha"))


def test_a_preset_that_is_named_serves_every_algorithm() -> None:
    words = ["gymnax:Pendulum-v1", "--preset", "demo", "--algorithm", "td3"]
    demo = presets.get("demo")
    config = Compare.parse("softstep", words).configuration()
    assert (config.gradient_steps, config.initializer) == (demo.gradient_steps, demo.initializer)
    assert Compare.parse("softstep", ["CartPole-v1"]).configuration() == replace(demo, env="CartPole-v1")


def test_help_keeps_the_settings_of_actor_critic_together_and_names_their_algorithms(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    parts = {part.split()[0]: part for part in text.split(" --")}
    ours = {name.replace("_", "-"): owners for name, owners in ALGORITHMS_WITH.items() if "dqn" not in owners}
    order = list(parts)
    places = sorted(order.index(name) for name in ours)
    assert places == list(range(places[0], places[0] + len(ours)))
    for name, owners in ours.items():
        assert f"({', '.join(NAMES[owner] for owner in owners)}" in parts[name], name
