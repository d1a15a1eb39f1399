"""The MLP's values for a few observations at a time, called from Python between two environment steps.

NumPy takes microseconds for every product of every agent, whatever its size. This is one call for all of them.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from llvmlite import ir

from softstep.kernels import native
from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import INT, POINTER, VOID, Matrix, Registers

QValues = Callable[[np.ndarray], np.ndarray]
"""Observations (W, E, O) float32 → action values (W, E, A), which the next call overwrites."""


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
    layers = list(itertools.pairwise(sizes))
    num_parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in layers)
    with code.loop(agents) as agent, code.loop(samples) as sample:
        row = build.add(build.mul(agent, INT(samples)), sample)
        x = code.array_address(observations, row, sizes[0])
        weights = code.array_address(parameters, agent, num_parameters)
        for n, (fan_in, fan_out) in enumerate(layers):
            is_last = n + 1 == len(layers)
            y = code.array_address(values, row, sizes[-1]) if is_last else code.address(activations, n % 2 * max(sizes))
            bias = code.address(weights, fan_in * fan_out)
            relu = None if is_last else lambda sums, *_: code.positive_part(sums)
            code.row_sums(fan_out, fan_in, Matrix(weights, fan_in), y, weights=x, start=bias, finish=relu)
            x, weights = y, code.address(bias, fan_out)
    build.ret_void()
