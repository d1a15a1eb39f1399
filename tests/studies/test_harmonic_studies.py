"""Studies of harmonic targets: their axes and knobs, and what cannot be combined with them."""

from __future__ import annotations

import re

import pytest

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.studies.agents import study_agents
from softstep.studies.contenders import Range
from softstep.studies.grid import cell_arm
from softstep.studies.populations import pack_populations
from softstep.studies.spec import Spec
from softstep.target import DEFAULT_TAU, TargetUpdate

ENV = 'env = "CartPole-v1"\n'
CONTENDERS = ENV + "[candidates]\ncount = 6\n[seeds]\nselection = 1\njudging = 1\n"


def spec(text: str) -> Spec:
    return Spec.from_toml(text, source="s.toml")


def targets(study: Spec) -> dict[str, TargetUpdate]:
    return {name: cell_arm(cell, study.base, name).target for name, cell in study.named_cells().items()}


# ---- axes ----


def test_the_settings_of_a_harmonic_target_are_axes_beside_the_axis_of_its_schedule() -> None:
    axes = '"target.tau0" = ["none", 0.03]\n"target.factor" = [1, 10]\n"target.gamma" = [0.9]\n'
    found = targets(spec(f'{ENV}[base.target]\ntau = 0.02\nperiod = 2\n[axes]\nschedule = "harmonic"\n{axes}'))
    assert list(found.values()) == [
        TargetUpdate(period=2, schedule="harmonic", tau0=tau0, factor=factor, gamma=0.9)
        for tau0 in (None, 0.03) for factor in (1, 10)
    ]  # fmt: skip
    base = spec(f'{ENV}[base.target]\nschedule = "harmonic"\nperiod = 2\n[axes]\n{axes}')
    assert list(targets(base).values()) == list(found.values())


def test_a_schedule_that_changes_drops_the_settings_of_the_other() -> None:
    constant = Config(target=TargetUpdate(0.02, 2))
    harmonic = Config(target=TargetUpdate.harmonic(0.5, 0.2, 2, 3))

    def target(cell: dict, base: Config) -> TargetUpdate:
        return cell_arm(cell, base, "cell").target

    assert target({"target.schedule": "constant"}, constant) == TargetUpdate(0.02, 2)
    assert target({"target.schedule": "harmonic"}, constant) == TargetUpdate(period=2, schedule="harmonic")
    assert target({"target.schedule": "constant"}, harmonic) == TargetUpdate(DEFAULT_TAU, 3)
    assert target({"target.schedule": "constant", "c": 0.75}, harmonic) == TargetUpdate(0.25, 3)
    assert target({"target.factor": 5}, harmonic) == TargetUpdate.harmonic(0.5, 0.2, 5, 3)


def test_harmonic_and_constant_cells_share_a_population_and_each_takes_gamma_and_tau0_of_its_own() -> None:
    axes = '[axes]\nschedule = ["constant", "harmonic"]\ngamma = [0.9, 0.99]\nalpha = [1e-3, 4e-3]\n'
    study = spec(f"{ENV}[base]\ntotal_steps = 400000\nlearning_starts = 0\n{axes}")
    (population,) = pack_populations(study, study_agents(study))
    steps = population.total_gradient_steps
    assert steps == 99_999
    for agent in population.agents():
        tau0 = 60 / (agent.learning_rate**0.5 * steps)
        expected = TargetUpdate.harmonic(agent.gamma, tau0) if "harmonic" in agent.arm else TargetUpdate()
        assert agent.target == expected
    assert len({agent.target for agent in population.agents()}) == 5


AXES = [
    ('schedule = ["constant", "harmonic"]\n"target.tau0" = [0.1]\n',
     "the axes cannot be combined, target.schedule=constant target.tau0=0.1: tau0 = 0.1 is a setting of a harmonic"),
    ('schedule = ["constant", "harmonic"]\nc = [0.9]\n',
     "the axes cannot be combined, target.schedule=harmonic c=0.9: c = 0.9 is not a setting of a harmonic target"),
    (f'schedule = "harmonic"\ntau = [{DEFAULT_TAU}]\n', "target.tau = 0.005 is not a setting of a harmonic target"),
    ('schedule = "harmonic"\ngamma = [0.99, 1.0]\n', "target.schedule=harmonic gamma=1: gamma = 1.0 is outside [0, 1)"),
    ('"target.tau0" = [0.1]\n', "axis 'target.tau0': tau0 = 0.1 is a setting of a harmonic target: set schedule"),
    ('schedule = "harmonic"\n"target.tau0" = [1.5]\n', "axis 'target.tau0': tau0 = 1.5 is outside (0, 1]"),
    ('schedule = "harmonic"\n"target.factor" = [0]\n', "axis 'target.factor': factor = 0 must be finite and above 0"),
    ('schedule = "harmonic"\n"target.gamma" = [1]\n', "axis 'target.gamma': gamma = 1 is outside [0, 1)"),
    ('schedule = "harmonc"\n', "schedule = 'harmonc' is unknown: choose 'constant' or 'harmonic'"),
]  # fmt: skip


def assert_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        spec(text)
    assert message in str(error.value)
    assert re.match(r"s\.toml(, line \d+)?: ", str(error.value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("axes", "message"), AXES, ids=[message[-40:] for _, message in AXES])
def test_axes_that_make_no_target_give_one_line(axes: str, message: str) -> None:
    assert_one_line(f"{ENV}[axes]\n{axes}", message)


def test_a_tau_in_the_base_of_a_harmonic_study_gives_one_line() -> None:
    assert_one_line(f'{ENV}[base.target]\nschedule = "harmonic"\ntau = 0.005\n', "tau = 0.005 is not a setting of a")


# ---- knobs ----


def test_the_settings_of_a_harmonic_target_are_knobs() -> None:
    study = spec(
        f'{CONTENDERS}[contenders.harmonic]\nschedule = "harmonic"\nalpha = {{ low = 1e-4, high = 1e-2 }}\n'
        '"target.tau0" = { low = 0.03, high = 1.0 }\n"target.factor" = [1, 3, 10]\n'
    )
    contender, found = study.contenders["harmonic"], targets(study)
    assert contender.knobs["target.tau0"] == Range(0.03, 1.0)
    for name, candidate in study.named_cells().items():
        tau0, factor = candidate["target.tau0"], candidate["target.factor"]
        assert found[name] == TargetUpdate(schedule="harmonic", tau0=tau0, factor=factor)
    assert {update.factor for update in found.values()} == {1, 3, 10}
    assert len({update.tau0 for update in found.values()}) == 6
    assert Spec.from_json(study.to_json(), source="study.json") == study


KNOBS = [
    (f"tau = {DEFAULT_TAU}", "contender 'x', candidate 1: target.tau = 0.005 is not a setting of a harmonic target"),
    ("c = 0.9", "contender 'x', candidate 1: c = 0.9 is not a setting of a harmonic target: leave it out"),
    ("gamma = 1.0", "contender 'x', candidate 1: gamma = 1.0 is outside [0, 1): a harmonic target falls"),
    ('"target.tau0" = { low = 1.1, high = 2 }', "contender 'x', candidate 1: tau0 = 1."),
    ('"target.factor" = { low = 0, high = 3 }', "knob 'target.factor': a range needs 0 < low < high"),
]


@pytest.mark.parametrize(("knob", "message"), KNOBS, ids=[knob for knob, _ in KNOBS])
def test_knobs_that_make_no_target_give_one_line(knob: str, message: str) -> None:
    alpha = "alpha = { low = 1e-4, high = 1e-2 }"
    assert_one_line(f'{CONTENDERS}[contenders.x]\nschedule = "harmonic"\n{alpha}\n{knob}\n', message)


def test_a_knob_of_harmonic_targets_needs_the_schedule() -> None:
    text = f'{CONTENDERS}[contenders.x]\nalpha = {{ low = 1e-4, high = 1e-2 }}\n"target.factor" = [1, 3]\n'
    assert_one_line(text, "contender 'x', candidate")
