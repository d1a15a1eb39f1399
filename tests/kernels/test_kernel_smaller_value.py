"""The smaller of two critics' values: PyTorch's numbers in float64, and the bits of a pass through each critic."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mlps import as_float64, assert_near, random_mlp, torch_mlp

from softstep.kernels import mlp as mlp_module
from softstep.kernels import native
from softstep.kernels import smaller_value as module
from softstep.kernels.llvm_types import Registers
from softstep.kernels.mlp import mlp
from softstep.kernels.smaller_value import smaller_value

AGENTS = 5
widths = st.sampled_from([1, 2, 3, 16, 17, 33, 64, 70])


class Case(NamedTuple):
    """Two critics, what they judge, and the gradient of the smaller value."""

    critics: tuple[jax.Array, ...]
    observations: jax.Array
    actions: jax.Array
    gradient: jax.Array


def random_case(
    hidden: tuple[int, ...] = (17, 33), observation_size: int = 5, actions: int = 3, batch: int = 24, seed: int = 0
) -> Case:
    rng, sizes = np.random.default_rng(seed), (observation_size + actions, *hidden, 1)
    critics = [np.stack(pair) for pair in zip(random_mlp(sizes, seed), random_mlp(sizes, seed + 1000), strict=True)]
    shapes = (batch, observation_size), (batch, actions), (batch,)
    numbers = [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]
    return Case(tuple(jnp.asarray(array, jnp.float32) for array in critics), *numbers)


def random_block() -> Case:
    """Stack the cases of several agents."""
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *(random_case(seed=seed) for seed in range(AGENTS)))


def results(some: Case) -> tuple[Any, Any]:
    """Compute the smaller values and ∂actions with the kernels."""
    values, pull = jax.vjp(lambda actions: smaller_value(some.critics, some.observations, actions), some.actions)
    return values, pull(some.gradient)[0]


def results_of_two_passes(some: Case) -> tuple[Any, Any]:
    """Compute the same from the values and gradients of both critics."""

    def values(actions: jax.Array) -> jax.Array:
        inputs = jnp.concatenate([some.observations, actions], axis=-1)
        return jnp.min(jax.vmap(mlp, in_axes=(0, None))(some.critics, inputs)[..., 0], axis=0)

    smaller, pull = jax.vjp(values, some.actions)
    return smaller, pull(some.gradient)[0]


def torch_results(some: Case) -> tuple[np.ndarray, np.ndarray, float]:
    """Compute the same with PyTorch in float64, and how near it came to a ReLU's kink or to equal values."""
    actions, nearest = as_float64(some.actions).requires_grad_(), np.inf
    values = []
    for critic in range(2):
        x = torch.cat([as_float64(some.observations), actions], dim=-1)
        for layer in torch_mlp(tuple(array[critic] for array in some.critics)):
            nearest = min(nearest, x.abs().min().item()) if isinstance(layer, torch.nn.ReLU) else nearest
            x = layer(x)
        values.append(x[:, 0])
    nearest = min(nearest, (values[0] - values[1]).abs().min().item())
    smaller = torch.minimum(*values)
    smaller.backward(as_float64(some.gradient))
    return smaller.detach().numpy(), actions.grad.numpy(), nearest


def assert_equal_bits(ours: Any, theirs: Any) -> None:
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


cases = st.builds(
    random_case, st.lists(widths, max_size=3).map(tuple), widths, widths, st.integers(16, 80), st.integers(0, 500)
)


@settings(max_examples=25, deadline=None)
@given(cases)
def test_values_and_gradients_equal_torch(some: Case) -> None:
    values, gradient, nearest = torch_results(some)
    assume(nearest > 1e-5)
    ours = results(some)
    assert_near(np.asarray(ours[0]), values)
    assert_near(np.asarray(ours[1]), gradient)


@settings(max_examples=25, deadline=None)
@given(cases)
def test_bits_are_those_of_a_pass_through_each_critic(some: Case) -> None:
    ours, theirs = results(some), results_of_two_passes(some)
    assert_equal_bits(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])  # equal, but for the sign of zeros


def test_the_cases_learn_from_both_critics() -> None:
    some = random_case()
    first, second = (
        mlp(tuple(array[n] for array in some.critics), jnp.concatenate([some.observations, some.actions], -1))[:, 0]
        for n in range(2)
    )
    assert 0 < np.sum(second < first) < len(first)


def test_of_equal_values_the_first_critic_is_learnt_from() -> None:
    some = random_case(hidden=())
    weight, bias = some.critics
    some = some._replace(
        critics=(weight.at[1].set(-weight[0]), jnp.zeros_like(bias)),
        observations=jnp.zeros_like(some.observations),
        actions=jnp.zeros_like(some.actions),
        gradient=jnp.ones_like(some.gradient),
    )
    np.testing.assert_array_equal(results(some)[1], np.tile(weight[0, 0, 5:], (24, 1)))


@pytest.mark.parametrize(
    "layout", [Registers(16, 4, 16), Registers(8, 2, 12), Registers(4, 4, 16)], ids=lambda r: f"{r.lanes}"
)
def test_registers_of_any_width_give_the_same_bits(layout: Registers, monkeypatch: pytest.MonkeyPatch) -> None:
    some = random_case(hidden=(33, 70, 17), batch=75)
    expected = results(some)
    target = native.cpu_target()._replace(registers=layout)
    monkeypatch.setattr(native, "cpu_target", lambda: target)
    for owner, cached in ((native, "_toolchain"), (mlp_module, "_pass"), (module, "_gradient")):
        monkeypatch.setattr(owner, cached, getattr(owner, cached).__wrapped__)
    assert_equal_bits(results(some), expected)


def test_an_agent_has_the_same_bits_alone_and_in_a_block() -> None:
    block = random_block()
    together = jax.jit(jax.vmap(results))(block)
    for agent in range(AGENTS):
        alone = results(jax.tree.map(lambda array, n=agent: array[n], block))
        assert_equal_bits(alone, jax.tree.map(lambda array, n=agent: array[n], together))


@pytest.mark.parametrize("argument", [0, 1])
def test_no_derivative_but_the_actions_is_given(argument: int) -> None:
    some = random_case()
    with pytest.raises(TypeError, match="with respect to the actions alone"):
        jax.grad(lambda *inputs: smaller_value(*inputs).sum(), argnums=argument)(*some[:3])
