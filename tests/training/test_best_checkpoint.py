"""Best checkpoints: which evaluation counts, that the weights are those that played, and that a resume keeps them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Tape, small

from softstep import envs
from softstep.learner.algorithms import make_learner
from softstep.records.events import Record
from softstep.settings import Arm
from softstep.training import best_checkpoint, trainer
from softstep.training.best_checkpoint import BestCheckpoints, keep_best, no_checkpoints
from softstep.training.block import make_block
from softstep.training.evaluation import GreedyEpisodes, make_evaluate

EVALUATED: dict[str, Any] = {"eval_every": 100, "eval_episodes": 2, "seeds": 3, "block_width": 4}
ACTOR: dict[str, Any] = {"algorithm": "td3", "env": "Pendulum-v1", "train_every": 1}
RUNS: dict[str, dict[str, Any]] = {
    "compiled": {},
    "host": {"env": "CartPole-v1"},
    "actor on the host": ACTOR,
    "compiled actor": ACTOR | {"env": "gymnax:Pendulum-v1"},
}
"""Runs of both drivers and both kinds of learners; their blocks have an empty slot."""


@pytest.fixture(scope="module", params=list(RUNS))
def tape(request: pytest.FixtureRequest) -> Tape:
    tape = Tape(small(**EVALUATED | RUNS[request.param]))
    tape.run()
    return tape


def names(tape: Tape) -> tuple[str, ...]:
    return make_learner(tape.config, tape.spec.observation_size, tape.spec.num_actions).network.parameter_names


def best_of(tape: Tape, snapshot: int = -1) -> BestCheckpoints:
    best = best_checkpoint.from_arrays(names(tape), tape.snapshots[snapshot].arrays)
    assert best is not None
    return best


def evaluations(tape: Tape, seed: int) -> list[Record]:
    return [r for r in tape.records if r.seed == seed and math.isfinite(r.eval_return)]


def test_the_best_is_the_first_of_the_highest_evaluations(tape: Tape) -> None:
    best = best_of(tape)
    for slot, agent in enumerate(tape.agents):
        highest = max(evaluations(tape, agent.seed), key=lambda record: record.eval_return)  # of equals the first
        assert (best.env_steps[slot], best.eval_return[slot]) == (highest.env_steps, highest.eval_return)


def test_the_weights_repeat_the_return_of_their_evaluation(tape: Tape) -> None:
    best, config, spec = best_of(tape), tape.config, tape.spec
    learner = make_learner(config, spec.observation_size, spec.num_actions)
    block = make_block(config, learner, tape.agents, spec.observation_size, spec.num_actions)
    evaluate = make_evaluate(config, block, spec, envs.make_compiled(spec.name) if spec.maker == "gymnax" else None)
    for slot, env_steps in enumerate(best.env_steps[: len(tape.agents)]):
        number = 2 * (int(env_steps) // config.eval_every - 1)
        returns = np.asarray(evaluate(best.network, number, config.eval_episodes).returns)
        assert returns[slot].mean() == best.eval_return[slot]


def test_a_resume_from_any_checkpoint_ends_with_the_same_bits(tape: Tape) -> None:
    for number in (0, len(tape.snapshots) // 2):
        resumed = Tape(tape.config)
        resumed.run(tape.restored(number))
        expected = tape.snapshots[-1].arrays
        assert resumed.snapshots[-1].arrays.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(resumed.snapshots[-1].arrays[name], expected[name], err_msg=name)


def test_earlier_snapshots_are_not_changed_by_later_evaluations(tape: Tape) -> None:
    for number, snapshot in enumerate(tape.snapshots):
        so_far = [r.eval_return for r in evaluations(tape, tape.agents[0].seed) if r.env_steps <= snapshot.env_steps]
        assert best_of(tape, number).eval_return[0] == max(so_far)


def test_keeping_them_changes_nothing_else(tape: Tape) -> None:
    plain = Tape(small(**EVALUATED | {"eval_every": 0} | {k: v for k, v in vars(tape.config).items() if k in ACTOR}))
    plain.run()
    arrays = plain.snapshots[-1].arrays
    assert not [name for name in arrays if name.startswith(best_checkpoint.PREFIX)]
    for name in [name for name in arrays if name.startswith(("learner/", "env/"))]:
        np.testing.assert_array_equal(tape.snapshots[-1].arrays[name], arrays[name], err_msg=name)


# ---- which evaluation counts ----


def test_an_agent_keeps_its_best_from_before_it_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[np.ndarray, ...]] = []

    def evaluate(params: Any, number: int, episodes: int) -> GreedyEpisodes:
        played.append(tuple(np.array(leaf) for leaf in params))
        return GreedyEpisodes(*(np.full((2, episodes), value) for value in (float(number), False, 1)))

    monkeypatch.setattr(trainer, "make_evaluate", lambda *arguments: evaluate)
    arms = (Arm("sound"), Arm("diverging", learning_rate=1e36))
    tape = Tape(small(eval_every=100, eval_episodes=2, learning_starts=150, arms=arms, block_width=2))
    tape.run()
    diverged = [r.env_steps for r in tape.records if r.arm == "diverging" and r.diverged]
    assert diverged == [200, 300, 400]  # every later evaluation returned more
    best = best_of(tape)
    assert best.env_steps.tolist() == [400, 100]
    assert best.eval_return.tolist() == [6.0, 0.0]
    for leaf, sound, diverging in zip(best.network, played[3], played[0], strict=True):
        np.testing.assert_array_equal(leaf[0], sound[0])
        np.testing.assert_array_equal(leaf[1], diverging[1])
        assert np.isfinite(leaf).all()


RETURNS = st.integers(-3, 3).map(float) | st.just(-math.inf)


@given(st.lists(st.tuples(RETURNS, RETURNS, st.booleans(), st.booleans()), max_size=8))
def test_kept_checkpoints_equal_those_of_a_plain_loop(script: list[tuple[float, float, bool, bool]]) -> None:
    best = no_checkpoints((np.zeros((3, 2, 2), np.float32), np.zeros((3, 2), np.float32)))
    expected: list[tuple[float, int]] = [(-math.inf, 0)] * 2
    for number, (first, second, *diverged) in enumerate(script, start=1):
        network = (np.full((3, 2, 2), number, np.float32), np.full((3, 2), -number, np.float32))
        best = keep_best(best, network, np.array([first, second]), np.array([*diverged, False]), 100 * number)
        for slot, value in enumerate((first, second)):
            if not diverged[slot] and value > expected[slot][0]:
                expected[slot] = (value, number)
    for slot, (value, number) in enumerate(expected):
        assert (best.eval_return[slot], best.env_steps[slot]) == (value, 100 * number)
        assert (best.network[0][slot] == number).all()
        assert (best.network[1][slot] == -number).all()
    assert best.env_steps[2] == 0  # an empty slot


def test_a_run_of_an_older_softstep_does_not_take_a_later_lower_return_for_the_best() -> None:
    tape = Tape(small(**EVALUATED))
    tape.run()
    middle = tape.restored(2)
    old = {name: a for name, a in middle.arrays.items() if not name.startswith(best_checkpoint.PREFIX)}
    resumed = Tape(tape.config)
    resumed.run(middle._replace(arrays=old))
    ours, kept = best_of(resumed), best_of(tape)
    np.testing.assert_array_equal(ours.eval_return, kept.eval_return)
    later = kept.env_steps > tape.snapshots[2].env_steps
    np.testing.assert_array_equal(ours.env_steps, np.where(later, kept.env_steps, 0))
