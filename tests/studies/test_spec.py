"""Tests of a study's spec: its grid, its errors with line numbers, and the populations it is packed into."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.cli.main import main
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.studies.agents import StudyAgent, study_agents
from softstep.studies.example import CONTENDERS, GRID
from softstep.studies.grid import cell_arm, cell_name
from softstep.studies.populations import pack_populations
from softstep.studies.spec import Spec
from softstep.target import TargetUpdate


def spec(text: str) -> Spec:
    return Spec.from_toml(text, source="s.toml")


SMALL = 'env = "CartPole-v1"\n[axes]\nlearning_rate = [0.001, 0.01]\nc = [0.0, 0.9]\n[seeds]\ncount = 3\n'


@pytest.mark.parametrize(("flags", "cells", "agents"), [([], 9, 36), (["--contenders"], 16, 32)])
def test_the_examples_are_valid_and_survive_the_round_trip_through_json(
    flags: list[str], cells: int, agents: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "new", *flags]) == 0
    text = capsys.readouterr().out
    assert text == (CONTENDERS if flags else GRID)
    study = spec(text)
    assert len(study.cells()) == cells
    assert len(study_agents(study)) == agents
    assert Spec.from_json(study.to_json(), source="study.json") == study


def test_log_ranges_and_short_axis_names() -> None:
    study = spec(
        'env = "CartPole-v1"\n[axes]\nalpha = { low = 1e-4, high = 1e-2, count = 3 }\ntau = [0.5]\nperiod = 2\n'
    )
    assert study.axes == {"learning_rate": (1e-4, 1e-3, 1e-2), "target.tau": (0.5,), "target.period": (2,)}
    arm = cell_arm(study.cells()[0], study.base, "cell")
    assert (arm.learning_rate, arm.target) == (1e-4, TargetUpdate(0.5, 2))


def test_c_is_the_weight_of_the_old_target() -> None:
    arms = {cell["c"]: cell_arm(cell, Config(), "cell") for cell in spec(SMALL).cells()}
    assert arms[0.0].target == TargetUpdate.none()
    assert arms[0.9].target.tau == pytest.approx(0.1)


WRONG = [
    ("[axes\n", "line 1"),
    ('evn = "CartPole-v1"\n', "unknown table or key 'evn'; did you mean 'env'"),
    ('env = "CartPole-v1"\n\n[base]\ntotal_stps = 3\n', "s.toml, line 4: base: unknown setting 'total_stps'"),
    ('env = "CartPole-v1"\n[axes]\nlearning_rat = [1]\n', "line 3: axis 'learning_rat' is not a field"),
    ('env = "CartPole-v1"\n[axes]\nc = [0.5, 1.0]\n', "line 3: axis 'c' has 1.0"),
    ('env = "CartPole-v1"\n[axes]\nc = [0.5, 0.5]\n', "'c' has 0.5 twice"),
    ('env = "CartPole-v1"\n[axes]\nc = []\n', "'c' has no values"),
    ('env = "CartPole-v1"\n[axes]\nc = [0.5]\ntau = [0.5]\n', "set the same thing"),
    ('env = "CartPole-v1"\n[axes]\nlearning_rate = [-1.0]\n', "above 0"),
    ('env = "CartPole-v1"\n[axes]\nlearning_rate = { low = 1, high = 0.1, count = 3 }\n', "0 < low < high"),
    ('env = "CartPole-v1"\n[axes]\nseed = [1, 2]\n', "cannot be an axis"),
    ('env = "CartPole-v1"\n[seeds]\ncount = 0\n', "line 3: seeds.count = 0"),
    (
        'env = "CartPole-v1"\n[seeds]\ncount = 2\nselection = 2\n',
        "line 4: seeds.selection = 2 must be at least 0 and leave seeds",
    ),
    ('env = "CartPole-v1"\n[seeds]\ncont = 2\n', "unknown key 'cont'; did you mean 'count'"),
    ('env = "CartPole-v1"\n[budget]\nagent_steps = 10\n', "line 3: budget.agent_steps = 10 is too small"),
    ('env = "Taxi-v3"\n', "set margin and floor in the spec, above its tables"),
    ('env = "Taxi-v3"\nfloor = -200.0\n', "set margin in the spec, above its tables"),
    (SMALL + '[[claims]]\nname = "n"\nfirst = { c = 0.5 }\nsecond = { c = 0.0 }\n', "first has c = 0.5, which is not"),
    (SMALL + '[[claims]]\nname = "n"\nfirst = { c = 0.9 }\nsecond = { c = 0.0 }\n', "one must be selected"),
    (SMALL + '[[claims]]\nname = "n"\nfirst = { c = 0.9 }\n', "claim 1 needs name, first and second"),
    (SMALL + '[[claims]]\nname = "n"\nfirst = 3\nsecond = 4\n', "line 9: claim 1: first = 3 must be a table"),
    ('env = "CartPole-v1"\naxes = 3\n', "line 2: axes = 3 must be a table"),
    (
        'env = "CartPole-v1"\n[axes]\ngamma = { low = "a", high = 1, count = 2 }\n',
        "line 3: axis 'gamma': a log range needs",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_an_invalid_spec_gives_one_line_with_the_place_in_the_file(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        spec(text)
    assert message in str(error.value)
    assert re.match(r"s\.toml(, line \d+)?: ", str(error.value))
    assert "\n" not in str(error.value)


def agents_of(configs: list[Config]) -> list[StudyAgent]:
    return [StudyAgent(a.arm, a.seed) for config in configs for a in config.agents()]


def test_cells_share_a_population_if_they_differ_in_data_only() -> None:
    axes = spec(SMALL + "[base]\nblock_width = 4\n").axes | {
        "gamma": (0.9, 0.99), "exploration.end": (0.1, 0.2), "hidden": ((8,), (16,)),
    }  # fmt: skip
    whole = dataclasses.replace(spec(SMALL), axes=axes)
    populations = pack_populations(whole, study_agents(whole))
    assert [config.hidden for config in populations] == [(8,), (16,)]
    assert all(len(config.arms) == 16 and config.width == whole.width for config in populations)
    assert {arm.gamma for arm in populations[0].arms} == {0.9, 0.99}
    assert {agent.exploration.end for agent in populations[0].agents()} == {0.1, 0.2}


def test_an_actors_settings_are_data_and_values_of_an_arm() -> None:
    study = spec(
        'env = "Pendulum-v1"\npreset = "sac-pendulum"\n[axes]\nactor_learning_rate = [1e-4, 1e-3]\n'
        "temperature_learning_rate = [0.0]\nc = [0.99]\n"
    )
    (population,) = pack_populations(study, study_agents(study))
    agents = population.agents()
    assert [agent.actor_learning_rate for agent in agents] == [1e-4, 1e-3]
    assert {agent.temperature_learning_rate for agent in agents} == {0.0}
    assert {agent.learning_rate for agent in agents} == {study.base.learning_rate}


def test_a_presets_arguments_are_for_its_own_environment() -> None:
    body = 'preset = "sac-lander"\n[axes]\nc = [0.99]\n'
    assert spec('env = "LunarLander-v3"\n' + body).base.env_args == {"continuous": True}
    assert spec('env = "Pendulum-v1"\n' + body).base.env_args == {}
    given_here = spec('env = "Pendulum-v1"\n' + body + "[base]\nenv_args = { g = 9.8 }\n")
    assert given_here.base.env_args == {"g": 9.8}


@given(st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_populations_hold_exactly_the_missing_agents(missing: set[int], alone: set[int]) -> None:
    study = spec(SMALL)
    every_agent = study_agents(study)
    missing_agents = [every_agent[i] for i in sorted(missing)]
    alone_agents = [every_agent[i] for i in alone]
    populations = pack_populations(study, missing_agents, alone_agents)
    assert sorted(agents_of(populations)) == sorted(missing_agents)
    for config in populations:
        assert config.width == study.width
        assert config.num_agents == 1 or not set(agents_of([config])) & set(alone_agents)


def test_a_cell_is_named_by_its_values() -> None:
    assert (
        cell_name({"learning_rate": 1e-3, "c": 0.999, "hidden": (64, 64)}) == "learning_rate=0.001 c=0.999 hidden=64-64"
    )
