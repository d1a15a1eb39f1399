"""The shipped update on full batches of small MDPs equals `LinearTD.simulate`.

A full batch contains every transition in proportion to the update distribution, so that its mean is the expectation.
The gradient of the squared loss δ² is −2δ·φ, so the learner's rate is α/2.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from softstep import theory
from softstep.learner.contract import Hyper, LearnerState
from softstep.learner.networks import Network
from softstep.learner.q_learning import build_learner
from softstep.target import TargetUpdate
from softstep.theory import problems
from softstep.theory.mdp import MDP
from softstep.transition import Transition

UPDATES = [TargetUpdate(0.1), TargetUpdate(0.005), TargetUpdate(0.3, 4), TargetUpdate.hard(7), TargetUpdate.none()]


def full_batch(mdp: MDP) -> Transition:
    """Return each transition s → s′ in the proportion d_s·P_ss′, with counts over the common denominator."""
    fractions = [[Fraction(d).limit_denominator(1000) * Fraction(p).limit_denominator(1000) for p in row]
                 for d, row in zip(mdp.d, mdp.P, strict=True)]  # fmt: skip
    denominator = np.lcm.reduce([fraction.denominator for row in fractions for fraction in row])
    counts = np.array([[int(fraction * denominator) for fraction in row] for row in fractions])
    assert counts.sum() == denominator
    source, successor = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    return Transition(
        observation=jnp.asarray(mdp.phi[source]),
        action=jnp.zeros(len(source), jnp.int32),
        reward=jnp.asarray(mdp.rewards[source]),
        discount=jnp.ones(len(source)),
        next_observation=jnp.asarray(mdp.phi[successor]),
    )


def learn(problem: theory.LinearTD, alpha: float, update: TargetUpdate, steps: int) -> theory.Ledger:
    """Return the online and target parameters of the shipped learner, time 0 (ones) first.

    Args:
        problem: a linear problem from an MDP.
        alpha: rate in the theory's units.
        update: the target update.
        steps: number of gradient steps.
    """

    def values(params: Any, phi: Any) -> Any:
        return (phi @ params[0])[..., None]

    linear = Network(lambda key: (jnp.ones(problem.size),), values, values, plain_mlp=False, parameter_names=("theta",))
    learner = build_learner(linear, optax.sgd)
    batch = full_batch(problem.mdp)
    hyper = Hyper(
        jnp.asarray(alpha / 2), jnp.asarray(update.tau), jnp.asarray(update.period), jnp.asarray(problem.mdp.gamma)
    )

    def step(state: LearnerState, _: None) -> tuple[LearnerState, tuple[jax.Array, jax.Array]]:
        state, _ = learner.update(state, batch, hyper)
        return state, (state.online[0], state.target[0])

    start = learner.init(jax.random.key(0))
    _, (online, target) = jax.jit(lambda state: jax.lax.scan(step, state, None, length=steps))(start)
    first = np.ones((1, problem.size))
    return theory.Ledger(np.concatenate([first, online]), np.concatenate([first, target]))


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def rewarded(seed: int) -> theory.LinearTD:
    """Return a stochastic chain with rewards: probabilities in tenths, d = (.3, .2, .4, .1)."""
    rng = np.random.default_rng(seed)
    P = np.array([rng.multinomial(10, np.full(4, 0.25)) for _ in range(4)]) / 10
    return theory.LinearTD.from_mdp(rng.standard_normal((4, 2)), P, [0.3, 0.2, 0.4, 0.1], 0.9, rng.standard_normal(4))


def tabular() -> theory.LinearTD:
    mdp = rewarded(1).mdp
    return theory.LinearTD.from_mdp(np.eye(4), mdp.P, mdp.d, 0.95, mdp.rewards)


@pytest.mark.parametrize("update", UPDATES, ids=str)
@pytest.mark.parametrize("name", ["both", "only_target", "target_destroys", "resonance", "rewarded", "tabular"])
def test_the_learner_follows_the_theory(name, update):
    problem = {"rewarded": lambda: rewarded(0), "tabular": tabular}.get(name, lambda: problems.by_name(name))()
    learned, predicted = learn(problem, 0.1, update, 300), problem.simulate(0.1, update, 300)
    scale = 1 + np.abs(predicted.Q).max()
    np.testing.assert_allclose(learned.Q, predicted.Q, rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(learned.T, predicted.T, rtol=0, atol=1e-10 * scale)


def test_the_ledger_of_the_learners_steps_is_its_target():
    problem, update = rewarded(0), TargetUpdate(0.05)
    learned = learn(problem, 0.1, update, 200)
    ledger = theory.ledger(np.diff(learned.Q, axis=0) / 0.1, 0.1, theory.schedule(update, 200), learned.Q[0])
    np.testing.assert_allclose(learned.T, ledger.T, atol=1e-10)


def final_size(problem: theory.LinearTD, alpha: float, update: TargetUpdate, steps: int = 20_000) -> float:
    """Return the largest online parameter at the end.

    Args:
        problem: a linear problem from an MDP.
        alpha: rate in the theory's units.
        update: the target update.
        steps: number of gradient steps.
    """
    return float(np.abs(learn(problem, alpha, update, steps).Q[-1]).max())


def test_only_target_converges_only_with_a_target():
    assert not final_size(problems.only_target(), 0.1, TargetUpdate.none()) < 1e30
    assert final_size(problems.only_target(), 0.1, TargetUpdate(0.01)) < 1e-6


def test_target_destroys_converges_only_without_a_target():
    assert final_size(problems.target_destroys(), 0.1, TargetUpdate.none()) < 1e-6
    assert not final_size(problems.target_destroys(), 0.1, TargetUpdate(0.01)) < 1e9
    assert not final_size(problems.target_destroys(), 0.1, TargetUpdate.hard(199)) < 1e9


def test_lowering_alpha_at_fixed_c_destabilises_the_learner():
    assert final_size(problems.only_target(), 0.1, TargetUpdate.from_c(0.9)) < 1e-6
    assert final_size(problems.only_target(), 0.01, TargetUpdate.from_c(0.9), 60_000) > 1e9


def test_only_the_first_update_equals_that_of_a_smaller_rate():
    problem, c = rewarded(0), 0.9
    T = learn(problem, 0.5, TargetUpdate.from_c(c), 2).T
    X = learn(problem, theory.blended_alpha(0.5, c), TargetUpdate.none(), 2).T
    np.testing.assert_allclose(T[1], X[1], atol=1e-15)

    def step(q, t):
        return problem.A @ t - problem.B @ q + problem.r

    np.testing.assert_allclose(T[2] - X[2], theory.first_difference(step, 0.5, c, T[0]), atol=1e-14)
    assert np.abs(T[2] - X[2]).max() > 1e-4
