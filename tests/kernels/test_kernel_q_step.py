"""A gradient step of deep Q-learning in one kernel: PyTorch's numbers in float64."""

from __future__ import annotations

import itertools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mlps import as_float64, assert_near, random_mlp, torch_mlp

from softstep.kernels.adam import Constants, pack_scalars
from softstep.kernels.q_step import Rule, Stepped, q_step
from softstep.learner.losses import bootstrap
from softstep.transition import Transition

SIZES, BATCH = (5, 17, 33, 3), 24
GAMMA, RATE, TAU = 0.9, 0.01, 0.3


class Problem(NamedTuple):
    """Networks far from each other, and a minibatch."""

    online: Any
    target: Any
    batch: Transition


def problem(sizes: tuple[int, ...] = SIZES, batch: int = BATCH, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    observation, following = rng.standard_normal((2, batch, sizes[0])).astype(np.float32)
    actions, rewards = rng.integers(sizes[-1], size=batch), rng.standard_normal(batch).astype(np.float32)
    discount = rng.choice([0, 1], batch).astype(np.float32)
    online, target = (tuple(map(jnp.asarray, random_mlp(sizes, seed + n))) for n in (1, 2))
    return Problem(online, target, Transition(observation, actions.astype(np.int32), rewards, discount, following))


def step(rule: Rule, start: Problem, *, count: Any = 1, tau: Any = TAU, fire: Any = True) -> Stepped:
    """Take a first step, with moments of zero."""
    zeros = tuple(map(jnp.zeros_like, start.online))
    scalars = pack_scalars(rule.adam, RATE, jnp.asarray(count), tau, fire)
    return q_step(rule, start.online, start.target, zeros, zeros, start.batch, GAMMA, scalars)


def step_in_torch(rule: Rule, start: Problem) -> tuple[float, list[np.ndarray], list[np.ndarray]]:
    """Return the loss, Q and T after a first step and blend by PyTorch in float64."""
    online, target, batch = torch_mlp(start.online), torch_mlp(start.target), start.batch
    values, following = online(as_float64(batch.observation)), as_float64(batch.next_observation)
    chosen = values.gather(1, torch.tensor(np.array(batch.action, np.int64))[:, None])[:, 0]
    with torch.no_grad():
        selector = online if rule.double_q else target
        best = target(following).gather(1, selector(following).argmax(1, keepdim=True))[:, 0]
    y = as_float64(batch.reward) + GAMMA * as_float64(batch.discount) * best
    loss_function = torch.nn.MSELoss() if rule.loss == "squared" else torch.nn.HuberLoss()
    loss = loss_function(chosen, y)
    loss.backward()
    b1, b2, eps, _ = rule.adam
    torch.optim.Adam(online.parameters(), RATE, (b1, b2), eps).step()
    q = [parameter.detach().numpy() for parameter in online.parameters()]
    t = [(1 - TAU) * old.detach().numpy() + TAU * new for old, new in zip(target.parameters(), q, strict=True)]
    return loss.item(), q, t


RULES = [
    Rule(loss, double_q, Constants(**constants))
    for loss, double_q in itertools.product(("squared", "huber"), (False, True))
    for constants in ({"eps": 1e-3}, {"b1": 0.5, "b2": 0.9, "eps": 1e-2})
]
"""With a large ε: at a first step from moments of zero Adam's step is ±α, whatever the gradient, if ε is tiny."""


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("sizes", [SIZES, (4, 64, 64, 2), (8, 16, 1), (3, 7)], ids=str)
def test_a_step_equals_pytorchs(rule: Rule, sizes: tuple[int, ...]) -> None:
    start = problem(sizes, 40)
    ours, (loss, q, t) = step(rule, start), step_in_torch(rule, start)
    np.testing.assert_allclose(ours.loss, loss, rtol=1e-5)
    for arrays, theirs in ((ours.online, q), (ours.target, t)):
        for one, other in zip(arrays, theirs, strict=True):
            assert_near(np.asarray(one), other, 1e-3)
    assert ours.finite


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=4),
    st.integers(1, 70),
    st.sampled_from(("squared", "huber")),
    st.booleans(),
)
def test_the_gradient_of_any_shape_equals_pytorchs(
    sizes: list[int], batch: int, loss: Literal["squared", "huber"], double_q: bool
) -> None:
    """Adam without memory of gradients and with a large ε takes a step that is nearly −α/ε·gradient."""
    rule, start = Rule(loss, double_q, Constants(0.0, 0.0, 1e3)), problem(tuple(sizes), batch)
    ours, (_, q, _) = step(rule, start), step_in_torch(rule, start)
    scale = max(np.abs(after - before).max() for after, before in zip(q, start.online, strict=True))
    for one, other, before in zip(ours.mu, q, start.online, strict=True):
        gradient = np.asarray(one, np.float64)
        theirs = np.asarray(before, np.float64) - other
        np.testing.assert_allclose(RATE * gradient / (np.abs(gradient) + 1e3), theirs, rtol=1e-3, atol=1e-4 * scale)


def test_agents_of_a_block_have_the_bits_of_each_alone() -> None:
    """They share working memory, so that what one leaves there must not reach the next."""
    problems = [problem(seed=10 * n) for n in range(5)]
    block = jax.tree.map(lambda *arrays: jnp.stack([jnp.asarray(a) for a in arrays]), *problems)
    rule = RULES[0]
    together = jax.jit(jax.vmap(lambda start: step(rule, start)))(block)
    for n, start in enumerate(problems):
        alone = jax.jit(jax.vmap(lambda start: step(rule, start)))(
            jax.tree.map(lambda array: jnp.asarray(array)[None], start)
        )
        assert jax.tree.all(jax.tree.map(lambda a, b, n=n: bool((a[n] == b[0]).all()), together, alone))


def test_tau_one_copies_and_an_update_that_is_not_due_keeps_the_target() -> None:
    start, rule = problem(), RULES[0]
    copied, kept = step(rule, start, tau=1.0), step(rule, start, fire=False)
    for target, online, before in zip(copied.target, copied.online, start.online, strict=True):
        assert (target == online).all()
        assert (online != before).any()
    assert all((one == other).all() for one, other in zip(kept.target, start.target, strict=True))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rule", RULES[::2], ids=str)
def test_a_number_that_is_not_finite_is_seen(rule: Rule, number: float) -> None:
    """Whether it is in a reward, in Q or in T, the loss or Q is not finite afterwards."""
    start = problem()
    reward = np.array(start.batch.reward)
    reward[3] = number
    spoiled = [start._replace(batch=start.batch._replace(reward=reward))]
    for name in ("online", "target"):
        *rest, bias = getattr(start, name)
        spoiled.append(start._replace(**{name: (*rest, bias.at[0].set(number))}))
    for bad in spoiled:
        after = step(rule, bad)
        is_seen = not (np.isfinite(after.loss) and after.finite)
        ignored = number == -np.inf and bad is spoiled[2] and not rule.double_q  # never T's largest
        assert is_seen != ignored


@pytest.mark.parametrize("double_q", [False, True])
def test_equal_values_choose_the_first_action(double_q: bool) -> None:
    """As `argmax` does: the values of both actions are equal in S, and differ in T."""
    start = problem((2, 1, 3), 16)
    same = (jnp.zeros((1, 2)), jnp.zeros(1), jnp.zeros((3, 1)), jnp.ones(3))
    valued = (*same[:3], jnp.array([1.0, 2.0, 3.0])) if double_q else same
    start = Problem(same, valued, start.batch)
    expected = [
        r + bootstrap(jnp.float32(GAMMA * d), valued[3], same[3])
        for r, d in zip(start.batch.reward, start.batch.discount, strict=True)
    ]
    loss = np.mean((np.array(expected) - 1) ** 2)
    rule = Rule("squared", double_q, Constants())
    np.testing.assert_allclose(step(rule, start).loss, loss, rtol=1e-6)
