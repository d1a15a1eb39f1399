"""Copies of rows: NumPy's indexing, bit for bit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softstep.kernels import support
from softstep.kernels.gather import gather_rows


def rows(slots: int, width: int) -> np.ndarray:
    return np.random.default_rng(slots).standard_normal((slots, width)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 50), st.integers(1, 40), st.data())
def test_rows_are_those_of_numpy(slots: int, width: int, data: st.DataObject) -> None:
    at = np.array(data.draw(st.lists(st.integers(0, slots - 1), min_size=1, max_size=20)), np.int32)
    array = rows(slots, width)
    np.testing.assert_array_equal(gather_rows(jnp.asarray(array), jnp.asarray(at)), array[at])


@pytest.mark.parametrize("shape", [(3, 4), (2, 5, 3)], ids=str)
def test_indices_of_any_shape_and_of_several_agents(shape: tuple[int, ...]) -> None:
    rings = np.stack([rows(9, 11), -rows(9, 11)])
    at = np.random.default_rng(0).integers(9, size=(2, *shape)).astype(np.int32)
    copies = jax.jit(jax.vmap(gather_rows))(rings, at)
    np.testing.assert_array_equal(copies, np.stack([ring[indices] for ring, indices in zip(rings, at, strict=True)]))


def test_xla_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    array, at = jnp.asarray(rows(20, 7)), jnp.array([[3, 19], [0, 3]], jnp.int32)
    ours = gather_rows(array, at)
    monkeypatch.setattr(support, "kernels_supported", lambda: False)
    np.testing.assert_array_equal(gather_rows(array, at), ours)


def test_no_indices_give_no_rows() -> None:
    assert gather_rows(jnp.asarray(rows(4, 3)), jnp.zeros((0,), jnp.int32)).shape == (0, 3)
