"""The acting MLP for a few observations at a time, called from Python between two environment steps, or by XLA.

NumPy takes microseconds for every product of every agent, whatever its size. This is one call for all of them. The
head of an actor is computed here too, because NumPy and XLA disagree in the last bits of tanh and exp.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from softstep.kernels import native, xla_call
from softstep.kernels.elementary import emit_clip, emit_exp, emit_tanh
from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import FLOAT, INT, POINTER, VOID, Matrix, Registers, Signature, declare_function

QValues = Callable[[np.ndarray], np.ndarray]
"""Observations (W, E, O) float32 → action values (W, E, A), which the next call overwrites."""

Explore = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(Observations (W, E, O), normal numbers (W, E, A)), float32 → actions (W, E, A), which the next call overwrites."""


class Actor(NamedTuple):
    """A network whose outputs are continuous actions."""

    sizes: tuple[int, ...]
    """O, hidden widths, number of outputs."""
    num_actions: int
    """A."""
    action_noise: float | None = None
    """σ of the noise on tanh(outputs); None for a squashed Gaussian, whose outputs are μ and log σ."""
    log_sd_bounds: tuple[float, float] = (-20.0, 2.0)


def make_actor(sizes: Sequence[int], agents: int, samples: int) -> Callable[[np.ndarray], QValues]:
    """Compile the MLP of a block of agents.

    Args:
        sizes: O, hidden widths, A.
        agents: W, the number of agents.
        samples: E, the number of environments that each agent observes.

    Returns: a function from packed parameters (W, N) float32, weights (J, I) and biases (J,) layer by layer, to the
        agents' `QValues`.
    """
    code = native.compile_function("act", (sizes, agents, samples), partial(emit, tuple(sizes), agents, samples))
    act = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(code.address)
    inputs = np.zeros((agents, samples, sizes[0]), np.float32)
    values = np.zeros((agents, samples, sizes[-1]), np.float32)
    activations = np.zeros(2 * max(sizes), np.float32)
    addresses = [_address(array) for array in (inputs, values, activations)]

    def load(packed: np.ndarray) -> QValues:
        parameters = np.ascontiguousarray(packed, np.float32)
        run = partial(act, _address(parameters), *addresses)

        def q_values(observations: np.ndarray, _keep_alive: object = (code, parameters, activations)) -> np.ndarray:
            inputs[...] = observations
            run()
            return values

        return q_values

    return load


def make_explorer(actor: Actor, agents: int, samples: int) -> Callable[[np.ndarray], Explore]:
    """Compile a block of actors for calls from Python.

    Args:
        actor: the network and its head.
        agents: W, the number of agents.
        samples: E, the number of environments that each agent observes.

    Returns: a function from packed parameters (W, N) to `Explore`, with the bits of `explore_in_xla`.
    """

    def emit_all(module: ir.Module, registers: Registers) -> None:
        emit_explore(actor, samples, module, registers)
        _emit_agents_loop(module, explore_signature(actor, samples), agents)

    code = native.compile_function("explore_agents", (actor, agents, samples), emit_all)
    explore = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5)(code.address)
    inputs = np.zeros((agents, samples, actor.sizes[0]), np.float32)
    normal = np.zeros((agents, samples, actor.num_actions), np.float32)
    actions, memory = np.zeros_like(normal), np.zeros((agents, 3 * max(actor.sizes)), np.float32)
    addresses = [_address(array) for array in (inputs, normal, actions, memory)]

    def load(packed: np.ndarray) -> Explore:
        parameters = np.ascontiguousarray(packed, np.float32)
        run = partial(explore, _address(parameters), *addresses)

        def act(observations: np.ndarray, noise: np.ndarray, _keep: object = (code, parameters, memory)) -> np.ndarray:
            inputs[...], normal[...] = observations, noise
            run()
            return actions

        return act

    return load


def explore_in_xla(actor: Actor, samples: int) -> Callable[[Any, Any, Any], Any]:
    """Return a function of JAX arrays: packed parameters (N,), observations (E, O), noise (E, A) → actions (E, A)."""
    emit_here = partial(emit_explore, actor, samples)
    function = xla_call.jax_function("explore", (actor, samples), explore_signature(actor, samples), emit_here)
    return lambda packed, observations, noise: function(packed, observations, noise)[0]


def explore_signature(actor: Actor, samples: int) -> Signature:
    """Return (packed parameters, observations, noise) → (actions, working memory), for one agent."""
    count = sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(actor.sizes))
    shape = (samples, actor.num_actions)
    return Signature([(count,), (samples, actor.sizes[0]), shape], [shape, (3 * max(actor.sizes),)], shared=1)


def _address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def emit(sizes: tuple[int, ...], agents: int, samples: int, module: ir.Module, registers: Registers) -> None:
    """Emit `act(parameters, observations, values, activations)` into the module.

    Args:
        sizes: O, hidden widths, A.
        agents: W, the number of agents.
        samples: E, the number of environments that each agent observes.
        module: the module to add to.
        registers: the CPU's registers.
    """
    act = ir.Function(module, ir.FunctionType(VOID, [POINTER] * 4), "act")
    code = Emitter(act, registers)
    build, (parameters, observations, values, activations) = code.builder, act.args
    num_parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(sizes))
    with code.loop(agents) as agent, code.loop(samples) as sample:
        row = build.add(build.mul(agent, INT(samples)), sample)
        weights = code.array_address(parameters, agent, num_parameters)
        x, y = code.array_address(observations, row, sizes[0]), code.array_address(values, row, sizes[-1])
        _emit_mlp(code, sizes, weights, x, y, activations)
    build.ret_void()


def _emit_mlp(
    code: Emitter, sizes: Sequence[int], weights: ir.Value, x: ir.Value, outputs: ir.Value, activations: ir.Value
) -> None:
    """Emit the MLP of one observation.

    Args:
        code: the emitter.
        sizes: the widths of the layers.
        weights: the packed parameters.
        x: the observation.
        outputs: where the outputs are written.
        activations: memory for two hidden layers.
    """
    layers = list(itertools.pairwise(sizes))
    for n, (fan_in, fan_out) in enumerate(layers):
        is_last = n + 1 == len(layers)
        y = outputs if is_last else code.address(activations, n % 2 * max(sizes))
        bias = code.address(weights, fan_in * fan_out)
        relu = None if is_last else lambda sums, *_: code.positive_part(sums)
        code.row_sums(fan_out, fan_in, Matrix(weights, fan_in), y, weights=x, start=bias, finish=relu)
        x, weights = y, code.address(bias, fan_out)


def emit_explore(actor: Actor, samples: int, module: ir.Module, registers: Registers) -> None:
    """Emit `explore`, the actions of one agent, into the module; see `explore_signature`.

    Args:
        actor: the network and its head.
        samples: E, the number of environments that the agent observes.
        module: the module to add to.
        registers: the CPU's registers.
    """
    function = declare_function(module, "explore", explore_signature(actor, samples))
    code, widest = Emitter(function, registers), max(actor.sizes)
    parameters, observations, noise, actions, memory = function.args
    outputs = code.address(memory, 2 * widest)
    with code.loop(samples) as sample:
        _emit_mlp(
            code, actor.sizes, parameters, code.array_address(observations, sample, actor.sizes[0]), outputs, memory
        )
        normal, action = (code.array_address(array, sample, actor.num_actions) for array in (noise, actions))
        with code.loop(actor.num_actions) as i:
            code.store(_emit_head(code, actor, outputs, normal, i), action, i)
    code.builder.ret_void()


def _emit_head(code: Emitter, actor: Actor, outputs: ir.Value, normal: ir.Value, i: ir.Value) -> ir.Value:
    """Emit component `i` of an action: clip(tanh(u) + σ·ε), or tanh(μ + σ·ε); 0 for NaN.

    Args:
        code: the emitter.
        actor: the head.
        outputs: the network's outputs.
        normal: standard normal numbers.
        i: the component.
    """
    build, output, epsilon = code.builder, code.load(outputs, i, 1), code.load(normal, i, 1)
    if actor.action_noise is not None:
        noise = build.fmul(FLOAT(actor.action_noise), epsilon)
        action = emit_clip(code, build.fadd(emit_tanh(code, output), noise), -1.0, 1.0)
    else:
        log_sd = code.load(outputs, build.add(i, INT(actor.num_actions)), 1)
        sd = emit_exp(code, emit_clip(code, log_sd, *actor.log_sd_bounds))
        action = emit_tanh(code, build.fadd(output, build.fmul(sd, epsilon)))
    return build.select(build.fcmp_ordered("==", action, action), action, FLOAT(0.0))


def _emit_agents_loop(module: ir.Module, signature: Signature, agents: int) -> None:
    """Emit `explore_agents`, which calls `explore` for every agent of arrays with a leading agent axis."""
    shapes = signature.reads + signature.writes
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER] * len(shapes)), "explore_agents")
    code = Emitter(function, Registers(1, 1, 1))
    with code.loop(agents) as agent:
        arrays = zip(function.args, shapes, strict=True)
        addresses = [code.array_address(array, agent, int(np.prod(shape))) for array, shape in arrays]
        code.builder.call(module.get_global("explore"), addresses)
    code.builder.ret_void()
