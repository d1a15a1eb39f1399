"""Continuous actions from the acting kernel: elementary functions, heads, and the same bits from Python and XLA."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from llvmlite import ir
from mlps import random_mlp
from test_kernel_acting import packed, random_observations

from softstep.kernels import native
from softstep.kernels.acting import Actor, explore_in_xla, make_explorer
from softstep.kernels.elementary import emit_exp, emit_tanh
from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import POINTER, VOID, Registers
from softstep.learner.heads import Head
from softstep.learner.networks import mlp_batch

ACTORS = (Actor((3, 33, 2), 2, 0.1), Actor((3, 16, 16, 4), 2), Actor((5, 2), 1), Actor((24, 64, 64, 8), 4))


def applied(emit_function: Callable[[Emitter, ir.Value], ir.Value], numbers: np.ndarray) -> np.ndarray:
    """Return a function's values, number by number."""

    def emit(module: ir.Module, registers: Registers) -> None:
        function = ir.Function(module, ir.FunctionType(VOID, [POINTER] * 2), "apply")
        code = Emitter(function, registers)
        with code.loop(len(numbers)) as i:
            code.store(emit_function(code, code.load(function.args[0], i, 1)), function.args[1], i)
        code.builder.ret_void()

    code = native.compile_function("apply", (emit_function.__name__, len(numbers)), emit)
    values, numbers = np.empty_like(numbers), np.ascontiguousarray(numbers)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(code.address)(numbers.ctypes.data, values.ctypes.data)
    return values


@pytest.mark.parametrize(("emit_function", "exact", "units"), [(emit_tanh, np.tanh, 7), (emit_exp, np.exp, 2)])
def test_elementary_functions_are_exact_to_a_few_units_in_the_last_place(
    emit_function: Callable[[Emitter, ir.Value], ir.Value], exact: Callable[[np.ndarray], np.ndarray], units: int
) -> None:
    rng = np.random.default_rng(0)
    tiny = np.float32(10.0) ** rng.uniform(-30, 0, 4000).astype(np.float32)
    numbers = np.concatenate([rng.uniform(-12, 12, 20_000), rng.standard_normal(20_000), tiny, -tiny, [0.0]])
    numbers = numbers.astype(np.float32)
    expected = exact(numbers.astype(np.float64))
    error = np.abs(applied(emit_function, numbers) - expected) / np.spacing(np.abs(expected).astype(np.float32))
    assert error.max() <= units


def test_elementary_functions_keep_nan_and_bound_infinities() -> None:
    numbers = np.array([np.nan, np.inf, -np.inf, 0.0], np.float32)
    np.testing.assert_array_equal(applied(emit_tanh, numbers), np.array([np.nan, 1, -1, 0], np.float32))
    exponential = applied(emit_exp, numbers)
    assert np.isnan(exponential[0])
    assert np.isfinite(exponential[1:]).all()
    assert exponential[3] == 1


def noise_for(actor: Actor, agents: int, samples: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal((agents, samples, actor.num_actions)).astype(np.float32)


@pytest.mark.parametrize("actor", ACTORS, ids=str)
def test_actions_equal_the_heads(actor: Actor) -> None:
    agents, samples = 3, 2
    observations, noise = random_observations(actor.sizes, agents, samples), noise_for(actor, agents, samples)
    actions = make_explorer(actor, agents, samples)(packed(actor.sizes, agents))(observations, noise)
    head = Head("gaussian") if actor.action_noise is None else Head("tanh", actor.action_noise)
    for agent in range(agents):
        parameters = tuple(map(jnp.asarray, random_mlp(actor.sizes, agent)))
        expected = head.explore(mlp_batch(parameters, observations[agent]), jnp.asarray(noise[agent]))
        np.testing.assert_allclose(actions[agent], expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize("actor", ACTORS, ids=str)
def test_python_and_xla_get_the_same_bits_for_any_number_of_agents(actor: Actor) -> None:
    agents, samples = 5, 3
    parameters, observations = packed(actor.sizes, agents), random_observations(actor.sizes, agents, samples)
    noise = noise_for(actor, agents, samples)
    together = make_explorer(actor, agents, samples)(parameters)(observations, noise).copy()
    in_xla = jax.jit(jax.vmap(explore_in_xla(actor, samples)))(parameters, observations, noise)
    assert np.asarray(in_xla).tobytes() == together.tobytes()
    alone = make_explorer(actor, 1, samples)(parameters[3:4])(observations[3:4], noise[3:4])
    assert alone.tobytes() == together[3:4].tobytes()


def test_a_diverged_actor_acts_with_zero() -> None:
    actor = ACTORS[0]
    observations, noise = random_observations(actor.sizes, 2, 1), noise_for(actor, 2, 1)
    parameters = packed(actor.sizes, 2)
    parameters[1] = np.nan
    actions = make_explorer(actor, 2, 1)(parameters)(observations, noise)
    assert (actions[1] == 0).all()
    assert (actions[0] != 0).all()
    assert (np.asarray(Head("tanh").greedy(np, np.full((2, 2), np.nan, np.float32))) == 0).all()
