"""Gradient steps of a block of agents, called from Python: the bits of `q_step` within a program of XLA's."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlps import random_mlp

from softstep.kernels.adam import Constants, pack_scalars
from softstep.kernels.mlp_passes import MLPShape
from softstep.kernels.q_step import Rule, q_step
from softstep.kernels.q_steps import QSteps, Row, Steps, Work
from softstep.transition import Transition

RATE, TAU = 0.01, 0.3


def packed_row(observation: int) -> Row:
    """Return a layout with a column that no part uses."""
    return Row(2 * observation + 4, 1, observation + 1, observation + 2, observation + 3, observation + 4)


def draw_work(rule: Rule, sizes: tuple[int, ...], batch: int, agents: int, updates: int) -> tuple[Work, Any]:
    """Return work, and its networks, rows, scalars and γ."""
    rng, shape = np.random.default_rng(len(sizes) + batch), MLPShape(sizes, batch)
    work = Work(rule, shape, packed_row(sizes[0]), agents, updates)
    of_agents = [[random_mlp(sizes, 10 * n + w) for n in range(2)] for w in range(agents)]
    online, target = ([np.stack(arrays) for arrays in zip(*nets, strict=True)] for nets in zip(*of_agents, strict=True))
    moments = [rng.standard_normal(array.shape).astype(np.float32) * scale for scale in (0.1, 0.01) for array in online]
    networks = [*online, *target, *moments[: len(online)], *map(np.abs, moments[len(online) :])]
    rows = rng.standard_normal((updates, agents, batch, work.row.width)).astype(np.float32)
    rows[..., work.row.action] = rng.integers(sizes[-1], size=rows.shape[:-1])
    rows[..., work.row.discount] = rng.integers(2, size=rows.shape[:-1])
    counts = np.arange(1, updates + 1)
    pack = jax.vmap(lambda count, tau, fire: pack_scalars(rule.adam, RATE, count, tau, fire))
    of_updates = np.asarray(pack(jnp.asarray(counts), jnp.full(updates, TAU), jnp.asarray(counts % 2 == 1)))
    scalars = np.repeat(of_updates[:, None], agents, 1)
    return work, (networks, rows, scalars, np.linspace(0.9, 0.99, agents, dtype=np.float32))


def steps_in_xla(work: Work, networks: list[Any], rows: Any, scalars: Any, gammas: Any) -> tuple[list[Any], Any, Any]:
    """Return the networks after the steps, the losses, and whether Q was finite, by a program of XLA's."""
    count, row = len(networks) // 4, work.row

    def one(arrays: list[Any], rows: Any, scalars: Any, gamma: Any) -> Any:
        parts = [tuple(arrays[n : n + count]) for n in range(0, 4 * count, count)]
        size = work.shape.sizes[0]
        observation, following = (rows[:, n : n + size] for n in (row.observation, row.next_observation))
        numbers = (rows[:, column] for column in (row.action, row.reward, row.discount))
        batch = Transition(observation, *numbers, following)
        new = q_step(work.rule, *parts, batch, gamma, scalars)
        return [*new.online, *new.target, *new.mu, *new.nu], new.loss, new.finite

    program, losses, finite = jax.jit(jax.vmap(one)), [], []
    for update in range(work.updates):
        networks, loss, good = program(networks, rows[update], scalars[update], gammas)
        losses.append(loss)
        finite.append(good)
    return networks, np.stack(losses), np.stack(finite)


def stepped(ours: QSteps, rows: Any, scalars: Any, gammas: Any) -> Steps:
    """Take steps."""
    ours.begin(rows, scalars, gammas)
    return ours.finish()


def assert_equal_bits(
    work: Work, networks: Any, rows: Any, scalars: Any, gammas: Any, *, overlap: bool = False
) -> QSteps:
    """Assert that both give the same, and return what was called."""
    expected, losses, finite = steps_in_xla(work, networks, rows, scalars, gammas)
    ours = QSteps(work, overlap=overlap)
    ours.load(networks)
    done = stepped(ours, rows, scalars, gammas)
    np.testing.assert_array_equal(done.losses, losses)
    np.testing.assert_array_equal(done.finite, finite)
    for one, other in zip(ours.networks(), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    return ours


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("double_q", [False, True])
@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_several_agents_and_steps_have_the_bits_of_a_program(loss: Any, double_q: bool, overlap: bool) -> None:
    work, given_arrays = draw_work(Rule(loss, double_q, Constants()), (8, 64, 64, 4), 64, agents=3, updates=4)
    ours = assert_equal_bits(work, *given_arrays, overlap=overlap)
    online = ours.networks()[: len(work.shape.parameters)]
    np.testing.assert_array_equal(ours.packed(), np.concatenate([a.reshape(3, -1) for a in online], axis=1))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=4), st.integers(1, 40), st.integers(1, 3), st.integers(1, 3))
def test_any_shape_has_the_bits_of_a_program(sizes: list[int], batch: int, agents: int, updates: int) -> None:
    work, given_arrays = draw_work(Rule("squared", False, Constants()), tuple(sizes), batch, agents, updates)
    assert_equal_bits(work, *given_arrays)


def test_numbers_too_small_for_full_precision_are_zero_as_in_xla() -> None:
    work, (networks, rows, *rest) = draw_work(Rule("squared", False, Constants()), (4, 16, 2), 16, agents=1, updates=1)
    count, rows = len(work.shape.parameters), np.abs(rows)
    for array in networks[:count]:
        array[...] = -1.0  # no unit is active, so that most gradients are 0
    for array in networks[2 * count : 3 * count]:
        array[...] = 1.1e-38  # 0.9 of it is below the smallest normal number
    ours = assert_equal_bits(work, networks, rows, *rest)
    assert (ours.networks()[2 * count] == 0).all()


def test_python_keeps_its_own_small_numbers() -> None:
    work, given_arrays = draw_work(Rule("squared", False, Constants()), (4, 16, 2), 16, agents=1, updates=1)
    assert_equal_bits(work, *given_arrays)
    assert np.float32(1.1e-38) * np.float32(0.5) > 0


def test_a_number_that_is_not_finite_is_seen_at_its_agent_and_step() -> None:
    work, (networks, rows, *rest) = draw_work(Rule("squared", False, Constants()), (4, 16, 2), 16, agents=3, updates=3)
    rows[1, 2, 5, work.row.reward] = np.inf
    ours = QSteps(work)
    ours.load(networks)
    done = stepped(ours, rows, *rest)
    np.testing.assert_array_equal(
        np.isfinite(done.losses) & done.finite, np.array([[1, 1, 1], [1, 1, 0], [1, 1, 0]], bool)
    )


def test_results_are_copies() -> None:
    work, (networks, rows, *rest) = draw_work(Rule("squared", False, Constants()), (4, 16, 2), 16, agents=2, updates=1)
    ours = QSteps(work)
    ours.load(networks)
    losses, packed = stepped(ours, rows, *rest).losses, ours.packed()
    before = [array.copy() for array in (losses, packed, *ours.networks())]
    kept = [losses, packed, *ours.networks()]
    stepped(ours, rows[:, ::-1], *rest)
    for one, other in zip(kept, before, strict=True):
        np.testing.assert_array_equal(one, other)
