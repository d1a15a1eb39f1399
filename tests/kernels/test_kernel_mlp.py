"""The two passes as machine code: PyTorch's numbers in float64, and equal bits wherever an agent is computed."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mlps import assert_near, by_torch, doubled, drawn, shapes

from softstep.kernels import mlp, native, support
from softstep.kernels.emit import Registers
from softstep.learner.networks import mlp_batch

SIZES, BATCH, AGENTS = (5, 17, 33, 3), 24, 8
widths = st.sampled_from([1, 2, 3, 5, 16, 17, 33, 64, 70])


class Case(NamedTuple):
    """An MLP, what it observes, and what its values are differentiated with."""

    params: tuple[jax.Array, ...]
    observations: jax.Array
    gradient: jax.Array


def as_float32(arrays: Any) -> Any:
    return jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), arrays)


def case(sizes: tuple[int, ...] = SIZES, batch: int = BATCH, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    observations, gradient = (rng.standard_normal((batch, n)) for n in (sizes[0], sizes[-1]))
    return as_float32(Case(tuple(drawn(sizes, seed)), observations, gradient))


def of_whole_numbers(sizes: tuple[int, ...], batch: int) -> Case:
    """Small enough for float32 to hold every sum of them exactly."""
    rng = np.random.default_rng(0)
    given = [rng.integers(-2, 3, shape) for shape in (*shapes(sizes), (batch, sizes[0]), (batch, sizes[-1]))]
    return as_float32(Case(tuple(given[:-2]), *given[-2:]))


def cases(agents: int = AGENTS) -> Case:
    """Of several agents, stacked."""
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *(case(seed=seed) for seed in range(agents)))


def chosen(some: Case, agents: Any) -> Case:
    """These agents alone."""
    return jax.tree.map(lambda array: array[agents], some)


def passes(some: Case) -> tuple[Any, Any]:
    """Values and ∂parameters, both by kernels."""
    values, pull = jax.vjp(lambda params: mlp.mlp(params, some.observations), some.params)
    return values, pull(some.gradient)


def everything(some: Case) -> list[np.ndarray]:
    """Values, ∂parameters and ∂observations."""
    values, pull = jax.vjp(mlp.mlp, some.params, some.observations)
    return [np.asarray(array) for array in jax.tree.leaves((values, pull(some.gradient)))]


def everything_by_torch(some: Case) -> list[np.ndarray]:
    model, observations = by_torch(some.params), doubled(some.observations).requires_grad_()
    values = model(observations)
    values.backward(doubled(some.gradient))
    return [values.detach().numpy(), *(p.grad.numpy() for p in model.parameters()), observations.grad.numpy()]


def distance_to_a_kink(some: Case) -> float:
    """How near to 0 the argument of a ReLU comes, where rounding decides about its derivative."""
    x, nearest = doubled(some.observations), np.inf
    for module in by_torch(some.params):
        if isinstance(module, torch.nn.ReLU):
            nearest = min(nearest, x.abs().min().item())
        x = module(x)
    return nearest


def assert_equal_bits(ours: Any, theirs: Any) -> None:
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


# ---- numbers ----


@settings(max_examples=25, deadline=None)
@given(widths, st.lists(widths, max_size=3), widths, st.integers(16, 80), st.integers(0, 1000))
def test_values_and_gradients_are_those_of_torch(
    observation_size: int, hidden: list[int], actions: int, batch: int, seed: int
) -> None:
    some = case((observation_size, *hidden, actions), batch, seed)
    assume(distance_to_a_kink(some) > 1e-5)
    for ours, theirs in zip(everything(some), everything_by_torch(some), strict=True):
        assert_near(ours, theirs)


@pytest.fixture(params=[Registers(16, 4, 16), Registers(8, 2, 12), Registers(4, 4, 16)], ids=lambda r: f"{r.lanes}")
def registers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code laid out for another CPU's registers; LLVM makes do with this one's."""
    here = native.target()._replace(registers=request.param)
    monkeypatch.setattr(native, "target", lambda: here)
    for module, remembers in ((native, "_made_by"), (mlp, "_pass")):
        monkeypatch.setattr(module, remembers, getattr(module, remembers).__wrapped__)


@pytest.mark.usefixtures("registers")
@pytest.mark.parametrize(
    ("sizes", "batch"), [((5, 33, 70, 17, 3), 75), ((64, 16, 2), 80), ((1, 1, 1), 16), ((7, 4), 47)], ids=str
)
def test_sums_of_whole_numbers_are_exact_in_registers_of_any_width(sizes: tuple[int, ...], batch: int) -> None:
    """Many arguments of a ReLU are exactly 0 here, and its derivative there is 0, as in PyTorch."""
    some = of_whole_numbers(sizes, batch)
    for ours, theirs in zip(everything(some), everything_by_torch(some), strict=True):
        assert np.abs(theirs).max() < 2**22
        np.testing.assert_array_equal(ours, theirs)


# ---- bits ----


@pytest.mark.parametrize("slots", [[0], [5], [0, 1, 2], [7, 5, 2], [7, 6, 5, 4, 3, 2, 1, 0]], ids=str)
def test_an_agents_bits_depend_neither_on_its_slot_nor_on_the_number_of_agents(slots: list[int]) -> None:
    block = cases()
    together = chosen(jax.vmap(passes)(block), np.array(slots))
    assert_equal_bits(jax.vmap(passes)(chosen(block, np.array(slots))), together)


def test_an_agent_without_a_vmap_has_the_bits_it_has_in_a_block() -> None:
    block = cases()
    for agent in range(AGENTS):
        assert_equal_bits(passes(chosen(block, agent)), chosen(jax.vmap(passes)(block), agent))


def test_two_nested_vmaps_are_one_over_all_agents() -> None:
    block = cases()
    nested = jax.tree.map(lambda array: array.reshape(2, 4, *array.shape[1:]), block)
    assert_equal_bits(jax.vmap(jax.vmap(passes))(nested), jax.vmap(passes)(block))


def test_agents_may_share_their_observations_or_their_parameters() -> None:
    block, one = cases(), case()
    for shared in ({"observations"}, {"params"}, {"params", "gradient"}):
        mixed = block._replace(**{name: getattr(one, name) for name in shared})
        repeated = mixed._replace(
            **{name: jax.tree.map(lambda a: jnp.stack([a] * AGENTS), getattr(one, name)) for name in shared}
        )
        axes = Case(*(None if name in shared else 0 for name in Case._fields))
        assert_equal_bits(jax.vmap(passes, in_axes=(axes,))(mixed), jax.vmap(passes)(repeated))


def test_jit_changes_no_bit() -> None:
    assert_equal_bits(jax.jit(passes)(case()), passes(case()))
    assert_equal_bits(jax.jit(jax.vmap(passes))(cases()), jax.vmap(passes)(cases()))


def test_a_scan_over_batches_changes_no_bit() -> None:
    _, scanned = jax.lax.scan(lambda carry, some: (carry, passes(some)), None, cases(3))
    for turn in range(3):
        assert_equal_bits(chosen(scanned, turn), passes(case(seed=turn)))


# ---- NaN ----


def test_nan_in_an_observation_reaches_all_values_of_its_sample_and_no_other() -> None:
    clean = case()
    poisoned = clean._replace(observations=clean.observations.at[7, -1].set(np.nan))
    values, before = (np.array(passes(some)[0]) for some in (poisoned, clean))
    assert np.isnan(values[7]).all()
    values[7] = before[7]
    assert_equal_bits(values, before)


@pytest.mark.parametrize("layer", range(len(SIZES) - 1))
def test_nan_in_one_agents_parameters_reaches_no_other_agent(layer: int) -> None:
    clean = cases()
    params = list(clean.params)
    params[2 * layer] = params[2 * layer].at[4, 0, 0].set(np.nan)
    poisoned = clean._replace(params=tuple(params))
    after, before = (jax.vmap(passes)(some) for some in (poisoned, clean))
    others = np.delete(np.arange(AGENTS), 4)
    assert_equal_bits(chosen(after, others), chosen(before, others))
    assert np.isnan(np.asarray(after[0])[4, :, 0]).all()


# ---- what is left to XLA ----


def test_enough_samples_in_float32_are_for_the_kernels() -> None:
    for batch in (16, 17, 80):
        some = case(batch=batch)
        assert mlp.usable(some.params, some.observations)


@pytest.mark.parametrize("batch", [1, 2, 15])
def test_few_samples_are_left_to_xla(batch: int) -> None:
    some = case(batch=batch)
    assert not mlp.usable(some.params, some.observations)
    assert_near(np.asarray(mlp_batch(some.params, some.observations)), everything_by_torch(some)[0])


@pytest.mark.parametrize("wide", ["params", "observations", "both"])
def test_float64_is_left_to_xla(wide: str) -> None:
    with jax.enable_x64(True):
        some = case()
        doubled = jax.tree.map(lambda array: array.astype(jnp.float64), some)
        mixed = doubled if wide == "both" else some._replace(**{wide: getattr(doubled, wide)})
        assert not mlp.usable(mixed.params, mixed.observations)
        assert_near(np.asarray(mlp_batch(mixed.params, mixed.observations)), everything_by_torch(case())[0], 1e-12)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int32])
def test_narrow_and_whole_numbers_are_left_to_xla(dtype: Any) -> None:
    some = case()
    assert not mlp.usable(some.params, jnp.asarray(some.observations, dtype))


def test_without_kernels_for_this_cpu_all_is_left_to_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "supported", lambda: False)
    some = case()
    assert not mlp.usable(some.params, some.observations)
    assert_near(np.asarray(mlp_batch(some.params, some.observations)), everything_by_torch(some)[0])
