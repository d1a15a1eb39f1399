"""The two passes of the MLP: PyTorch's numbers in float64, and bits that are the same wherever an agent is computed."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mlps import as_float64, assert_near, parameter_shapes, random_mlp, torch_mlp

from softstep.kernels import mlp as mlp_module
from softstep.kernels import native, support
from softstep.kernels.llvm_types import Registers
from softstep.kernels.mlp import mlp, mlp_kernel_accepts
from softstep.learner.networks import mlp_batch

SIZES, BATCH, AGENTS = (5, 17, 33, 3), 24, 8
widths = st.sampled_from([1, 2, 3, 5, 16, 17, 33, 64, 70])


class Case(NamedTuple):
    """An MLP, its observations, and the gradient of its values."""

    params: tuple[jax.Array, ...]
    observations: jax.Array
    gradient: jax.Array


def as_float32(arrays: Any) -> Any:
    return jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), arrays)


def random_case(sizes: tuple[int, ...] = SIZES, batch: int = BATCH, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    observations, gradient = (rng.standard_normal((batch, n)) for n in (sizes[0], sizes[-1]))
    return as_float32(Case(tuple(random_mlp(sizes, seed)), observations, gradient))


def integer_case(sizes: tuple[int, ...], batch: int) -> Case:
    """Draw integers so small that float32 holds all their sums exactly."""
    rng, shapes = np.random.default_rng(0), (*parameter_shapes(sizes), (batch, sizes[0]), (batch, sizes[-1]))
    *params, observations, gradient = (rng.integers(-2, 3, shape) for shape in shapes)
    return as_float32(Case(tuple(params), observations, gradient))


def random_block(agents: int = AGENTS) -> Case:
    """Stack the cases of several agents."""
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *(random_case(seed=seed) for seed in range(agents)))


def chosen(block: Any, agents: Any) -> Any:
    """Select some agents of a block."""
    return jax.tree.map(lambda array: array[agents], block)


def passes(some: Case) -> tuple[Any, Any]:
    """Compute values and ∂parameters with the kernels."""
    values, pull = jax.vjp(lambda params: mlp(params, some.observations), some.params)
    return values, pull(some.gradient)


def all_results(some: Case) -> list[np.ndarray]:
    """Compute values, ∂parameters and ∂observations with the kernels."""
    values, pull = jax.vjp(mlp, some.params, some.observations)
    return [np.asarray(array) for array in jax.tree.leaves((values, pull(some.gradient)))]


def all_torch_results(some: Case) -> list[np.ndarray]:
    """Compute the same with PyTorch, in float64."""
    model, observations = torch_mlp(some.params), as_float64(some.observations).requires_grad_()
    values = model(observations)
    values.backward(as_float64(some.gradient))
    return [values.detach().numpy(), *(p.grad.numpy() for p in model.parameters()), observations.grad.numpy()]


def distance_to_a_kink(some: Case) -> float:
    """Return the smallest argument of a ReLU; near 0, rounding decides about its derivative."""
    x, nearest = as_float64(some.observations), np.inf
    for module in torch_mlp(some.params):
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
def test_values_and_gradients_equal_torch(
    observation_size: int, hidden: list[int], actions: int, batch: int, seed: int
) -> None:
    some = random_case((observation_size, *hidden, actions), batch, seed)
    assume(distance_to_a_kink(some) > 1e-5)
    for ours, theirs in zip(all_results(some), all_torch_results(some), strict=True):
        assert_near(ours, theirs)


@pytest.fixture(params=[Registers(16, 4, 16), Registers(8, 2, 12), Registers(4, 4, 16)], ids=lambda r: f"{r.lanes}")
def registers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay code out for the registers of another CPU; LLVM maps them to this one's."""
    target = native.cpu_target()._replace(registers=request.param)
    monkeypatch.setattr(native, "cpu_target", lambda: target)
    for module, cached in ((native, "_toolchain"), (mlp_module, "_pass")):
        monkeypatch.setattr(module, cached, getattr(module, cached).__wrapped__)


@pytest.mark.usefixtures("registers")
@pytest.mark.parametrize(
    ("sizes", "batch"), [((5, 33, 70, 17, 3), 75), ((64, 16, 2), 80), ((1, 1, 1), 16), ((7, 4), 47)], ids=str
)
def test_sums_of_integers_are_exact_in_registers_of_any_width(sizes: tuple[int, ...], batch: int) -> None:
    """Many arguments of a ReLU are exactly 0 here; its derivative there is 0, as in PyTorch."""
    some = integer_case(sizes, batch)
    for ours, theirs in zip(all_results(some), all_torch_results(some), strict=True):
        assert np.abs(theirs).max() < 2**22
        np.testing.assert_array_equal(ours, theirs)


# ---- bits ----


@pytest.mark.parametrize("slots", [[0], [5], [0, 1, 2], [7, 5, 2], [7, 6, 5, 4, 3, 2, 1, 0]], ids=str)
def test_an_agents_bits_do_not_depend_on_its_slot_or_the_number_of_agents(slots: list[int]) -> None:
    block = random_block()
    together = chosen(jax.vmap(passes)(block), np.array(slots))
    assert_equal_bits(jax.vmap(passes)(chosen(block, np.array(slots))), together)


def test_an_agent_has_the_same_bits_alone_and_in_a_block() -> None:
    block = random_block()
    for agent in range(AGENTS):
        assert_equal_bits(passes(chosen(block, agent)), chosen(jax.vmap(passes)(block), agent))


def test_two_nested_vmaps_equal_one_over_all_agents() -> None:
    block = random_block()
    nested = jax.tree.map(lambda array: array.reshape(2, 4, *array.shape[1:]), block)
    assert_equal_bits(jax.vmap(jax.vmap(passes))(nested), jax.vmap(passes)(block))


def test_agents_may_share_observations_or_parameters() -> None:
    block, one = random_block(), random_case()
    for shared in ({"observations"}, {"params"}, {"params", "gradient"}):
        mixed = block._replace(**{name: getattr(one, name) for name in shared})
        repeated = mixed._replace(
            **{name: jax.tree.map(lambda a: jnp.stack([a] * AGENTS), getattr(one, name)) for name in shared}
        )
        axes = Case(*(None if name in shared else 0 for name in Case._fields))
        assert_equal_bits(jax.vmap(passes, in_axes=(axes,))(mixed), jax.vmap(passes)(repeated))


def test_jit_does_not_change_bits() -> None:
    assert_equal_bits(jax.jit(passes)(random_case()), passes(random_case()))
    assert_equal_bits(jax.jit(jax.vmap(passes))(random_block()), jax.vmap(passes)(random_block()))


def test_a_scan_over_batches_does_not_change_bits() -> None:
    _, scanned = jax.lax.scan(lambda carry, some: (carry, passes(some)), None, random_block(3))
    for turn in range(3):
        assert_equal_bits(chosen(scanned, turn), passes(random_case(seed=turn)))


# ---- NaN ----


def test_nan_in_an_observation_spreads_to_all_values_of_its_sample_only() -> None:
    clean = random_case()
    poisoned = clean._replace(observations=clean.observations.at[7, -1].set(np.nan))
    values, before = (np.array(passes(some)[0]) for some in (poisoned, clean))
    assert np.isnan(values[7]).all()
    values[7] = before[7]
    assert_equal_bits(values, before)


@pytest.mark.parametrize("layer", range(len(SIZES) - 1))
def test_nan_in_one_agents_parameters_does_not_reach_the_others(layer: int) -> None:
    clean = random_block()
    params = list(clean.params)
    params[2 * layer] = params[2 * layer].at[4, 0, 0].set(np.nan)
    poisoned = clean._replace(params=tuple(params))
    after, before = (jax.vmap(passes)(some) for some in (poisoned, clean))
    others = np.delete(np.arange(AGENTS), 4)
    assert_equal_bits(chosen(after, others), chosen(before, others))
    assert np.isnan(np.asarray(after[0])[4, :, 0]).all()


# ---- left to XLA ----


def test_enough_samples_in_float32_are_computed_by_the_kernel() -> None:
    for batch in (16, 17, 80):
        some = random_case(batch=batch)
        assert mlp_kernel_accepts(some.params, some.observations)


@pytest.mark.parametrize("batch", [1, 2, 15])
def test_few_samples_are_left_to_xla(batch: int) -> None:
    some = random_case(batch=batch)
    assert not mlp_kernel_accepts(some.params, some.observations)
    assert_near(np.asarray(mlp_batch(some.params, some.observations)), all_torch_results(some)[0])


@pytest.mark.parametrize("wide", ["params", "observations", "both"])
def test_float64_is_left_to_xla(wide: str) -> None:
    with jax.enable_x64(True):
        some = random_case()
        float64 = jax.tree.map(lambda array: array.astype(jnp.float64), some)
        mixed = float64 if wide == "both" else some._replace(**{wide: getattr(float64, wide)})
        assert not mlp_kernel_accepts(mixed.params, mixed.observations)
        assert_near(np.asarray(mlp_batch(mixed.params, mixed.observations)), all_torch_results(random_case())[0], 1e-12)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int32])
def test_narrow_floats_and_integers_are_left_to_xla(dtype: Any) -> None:
    some = random_case()
    assert not mlp_kernel_accepts(some.params, jnp.asarray(some.observations, dtype))


def test_without_kernels_everything_is_left_to_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "kernels_supported", lambda: False)
    some = random_case()
    assert not mlp_kernel_accepts(some.params, some.observations)
    assert_near(np.asarray(mlp_batch(some.params, some.observations)), all_torch_results(some)[0])
