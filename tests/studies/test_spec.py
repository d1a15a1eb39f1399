"""A study's spec: what it means, what it refuses and where in the file, and which populations it becomes."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.studies.agents import Member, members
from softstep.studies.example import EXAMPLE
from softstep.studies.grid import arm_of, cell_name
from softstep.studies.populations import parts
from softstep.studies.spec import Spec
from softstep.target import TargetUpdate


def spec(text: str) -> Spec:
    return Spec.from_toml(text, source="s.toml")


SMALL = 'env = "CartPole-v1"\n[axes]\nlearning_rate = [0.001, 0.01]\nc = [0.0, 0.9]\n[seeds]\ncount = 3\n'


def test_the_example_is_a_study_and_comes_back_from_json() -> None:
    found = spec(EXAMPLE)
    assert len(found.cells()) == 9
    assert len(members(found)) == 36
    assert Spec.from_json(found.to_json(), source="study.json") == found


def test_a_log_range_and_the_short_names() -> None:
    found = spec(
        'env = "CartPole-v1"\n[axes]\nalpha = { low = 1e-4, high = 1e-2, count = 3 }\ntau = [0.5]\nperiod = 2\n'
    )
    assert found.axes == {"learning_rate": (1e-4, 1e-3, 1e-2), "target.tau": (0.5,), "target.period": (2,)}
    arm = arm_of(found.cells()[0], found.base)
    assert (arm.learning_rate, arm.target) == (1e-4, TargetUpdate(0.5, 2))


def test_c_is_the_weight_of_the_old_target() -> None:
    arms = {cell["c"]: arm_of(cell, Config()) for cell in spec(SMALL).cells()}
    assert arms[0.0].target == TargetUpdate.none()
    assert arms[0.9].target.tau == pytest.approx(0.1)


WRONG = [
    ("[axes\n", "line 1"),
    ('evn = "CartPole-v1"\n', "unknown table or key 'evn'; did you mean 'env'"),
    ('env = "CartPole-v1"\n\n[base]\ntotal_stps = 3\n', "s.toml, line 4: base: unknown setting 'total_stps'"),
    ('env = "CartPole-v1"\n[axes]\nlearning_rat = [1]\n', "line 3: axis 'learning_rat' is no field"),
    ('env = "CartPole-v1"\n[axes]\nc = [0.5, 1.0]\n', "line 3: axis 'c' has 1.0"),
    ('env = "CartPole-v1"\n[axes]\nc = [0.5, 0.5]\n', "'c' has 0.5 twice"),
    ('env = "CartPole-v1"\n[axes]\nc = []\n', "'c' has no values"),
    ('env = "CartPole-v1"\n[axes]\nc = [0.5]\ntau = [0.5]\n', "say the same thing twice"),
    ('env = "CartPole-v1"\n[axes]\nlearning_rate = [-1.0]\n', "above 0"),
    ('env = "CartPole-v1"\n[axes]\nlearning_rate = { low = 1, high = 0.1, count = 3 }\n', "0 < low < high"),
    ('env = "CartPole-v1"\n[axes]\nseed = [1, 2]\n', "cannot be an axis"),
    ('env = "CartPole-v1"\n[seeds]\ncount = 0\n', "line 3: seeds.count = 0"),
    ('env = "CartPole-v1"\n[seeds]\ncount = 2\nselection = 2\n', "line 4: seeds.selection = 2 must leave seeds"),
    ('env = "CartPole-v1"\n[seeds]\ncont = 2\n', "unknown key 'cont'; did you mean 'count'"),
    ('env = "CartPole-v1"\n[budget]\nagent_steps = 10\n', "its budget is 10"),
    ('env = "Taxi-v3"\n', "has no declared margin and floor"),
    (SMALL + '[[claims]]\nname = "n"\nfirst = { c = 0.5 }\nsecond = { c = 0.0 }\n', "first has c = 0.5, which is not"),
    (SMALL + '[[claims]]\nname = "n"\nfirst = { c = 0.9 }\nsecond = { c = 0.0 }\n', "one must be selected"),
    (SMALL + '[[claims]]\nname = "n"\nfirst = { c = 0.9 }\n', "claim 1 needs name, first and second"),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[words[:40] for _, words in WRONG])
def test_what_cannot_be_meant_gets_one_line_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        spec(text)
    assert words in str(error.value)
    assert re.match(r"s\.toml(, line \d+)?: ", str(error.value))
    assert "\n" not in str(error.value)


def agents_of(configs: list[Config]) -> list[Member]:
    return [Member(a.arm, a.seed) for config in configs for a in config.agents()]


def test_cells_that_differ_in_data_share_a_population_and_shapes_do_not() -> None:
    found = spec(SMALL + "[base]\nblock_width = 4\n").axes | {
        "gamma": (0.9, 0.99), "exploration.end": (0.1, 0.2), "hidden": ((8,), (16,)),
    }  # fmt: skip
    whole = dataclasses.replace(spec(SMALL), axes=found)
    made = parts(whole, members(whole))
    assert [config.hidden for config in made] == [(8,), (16,)]
    assert all(len(config.arms) == 16 and config.width == whole.width for config in made)
    assert {arm.gamma for arm in made[0].arms} == {0.9, 0.99}
    assert {agent.exploration.end for agent in made[0].agents()} == {0.1, 0.2}


@given(st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_every_missing_agent_is_in_one_population_and_nobody_else(missing: set[int], alone: set[int]) -> None:
    study = spec(SMALL)
    everybody = members(study)
    wanted = [everybody[i] for i in sorted(missing)]
    apart = [everybody[i] for i in alone]
    made = parts(study, wanted, apart)
    assert sorted(agents_of(made)) == sorted(wanted)
    for config in made:
        assert config.width == study.width
        assert config.num_agents == 1 or not set(agents_of([config])) & set(apart)


def test_a_cells_name_tells_its_values() -> None:
    assert (
        cell_name({"learning_rate": 1e-3, "c": 0.999, "hidden": (64, 64)}) == "learning_rate=0.001 c=0.999 hidden=64-64"
    )
