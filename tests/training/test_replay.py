"""The two replay rings: equal minibatches, order, wrapping, and uniform sampling."""

from __future__ import annotations

from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from softstep.training import replay as rp

W, WIDTH = 2, 3
write, sample = jax.jit(rp.write), jax.jit(rp.sample, static_argnames="window")


def numbered(first: int, count: int) -> np.ndarray:
    """Return rows (W, count, WIDTH) that contain their agent and their number."""
    rows = np.zeros((W, count, WIDTH), np.float32)
    rows[..., 0], rows[..., 1] = np.arange(W)[:, None], first + np.arange(count)
    return rows


def random_bits(seed: int, size: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(2**32, size=(1, W, size), dtype=np.uint32)


@pytest.mark.parametrize(("steps", "blocks"), [(1, 1), (1, 7), (4, 3)])
@settings(max_examples=15)
@given(writes=st.integers(1, 30), seed=st.integers(0, 99))
def test_both_rings_give_the_rows_of_a_queue(steps: int, blocks: int, writes: int, seed: int) -> None:
    capacity, drawn = steps * blocks, random_bits(seed)
    host = rp.HostReplay(W, rp.Window(capacity), steps, WIDTH)
    device = rp.DeviceReplay(jnp.zeros((W, capacity + steps, WIDTH)), jnp.zeros((), jnp.int32))
    queue: deque[int] = deque(maxlen=capacity)
    for i in range(writes):
        host.write(numbered(i * steps, steps))
        device = write(device, numbered(i * steps, steps))
        queue.extend(range(i * steps, (i + 1) * steps))
    expected = np.array(queue)[drawn % np.uint32(len(queue))]
    sampled = host.sample(drawn)
    np.testing.assert_array_equal(sampled[..., 1], expected)
    np.testing.assert_array_equal(sampled[..., 0], np.broadcast_to(np.arange(W)[None, :, None], drawn.shape))
    np.testing.assert_array_equal(sample(device, drawn, device.written, rp.Window(capacity)), sampled)
    for agent, rows in enumerate(host.since(np.zeros(W, np.int64))):
        np.testing.assert_array_equal(rows[:, 1], np.array(queue))
        assert (rows[:, 0] == agent).all()


@settings(max_examples=15)
@given(writes=st.integers(2, 30), seed=st.integers(0, 99))
def test_sampling_with_an_earlier_write_count_ignores_later_rows(writes: int, seed: int) -> None:
    capacity, steps, drawn = 12, 4, random_bits(seed)
    host = rp.HostReplay(W, rp.Window(capacity), steps, WIDTH)
    device = rp.DeviceReplay(jnp.zeros((W, capacity + steps, WIDTH)), jnp.zeros((), jnp.int32))
    for i in range(writes):
        visible, sampled = device.written, host.sample(drawn)
        host.write(numbered(i * steps, steps))
        device = write(device, numbered(i * steps, steps))
    np.testing.assert_array_equal(sample(device, drawn, visible, rp.Window(capacity)), sampled)
    assert sampled[..., 1].max() < (writes - 1) * steps


def test_since_returns_later_rows_in_order() -> None:
    ring = rp.HostReplay(W, rp.Window(10), 2, WIDTH)
    for i in range(9):
        ring.write(numbered(2 * i, 2))
    assert [list(rows[:, 1]) for rows in ring.since(np.array([13, 17]))] == [[13, 14, 15, 16, 17], [17]]
    assert [len(rows) for rows in ring.since(np.array([0, 18]))] == [10, 0]


def test_invalid_rows_are_left_out() -> None:
    ring = rp.HostReplay(W, rp.Window(6), 2, WIDTH)
    valid = np.array([[True, False], [True, True]])
    for i in range(7):
        ring.write(numbered(2 * i, 2), valid)
    assert list(ring.written) == [7, 14]
    first, second = ring.since(np.zeros(W, np.int64))
    assert list(first[:, 1]) == [2, 4, 6, 8, 10, 12]
    assert list(second[:, 1]) == [8, 9, 10, 11, 12, 13]
    assert set(ring.sample(random_bits(0, 500))[0, 0, :, 1]) == {2, 4, 6, 8, 10, 12}


def test_a_sample_is_not_a_view_of_the_ring() -> None:
    ring = rp.HostReplay(W, rp.Window(4), 1, WIDTH)
    ring.write(numbered(0, 1))
    before = ring.sample(random_bits(0))
    copy = before.copy()
    ring.rows[:] = -1
    np.testing.assert_array_equal(before, copy)


@pytest.mark.parametrize("size", [7, 50, 64])
def test_every_stored_row_is_drawn_equally_often(size: int) -> None:
    ring = rp.HostReplay(W, rp.Window(size), 1, WIDTH)
    for i in range(size + 5):
        ring.write(numbered(i, 1))
    for agent in range(W):
        drawn = ring.sample(random_bits(3, 100_000))[0, agent, :, 1].astype(int) - 5
        counts = np.bincount(drawn, minlength=size)
        assert len(counts) == size
        assert stats.chisquare(counts).pvalue > 1e-4
