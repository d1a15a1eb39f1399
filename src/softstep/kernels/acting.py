"""The MLP's values for a few observations at a time, called from Python between two environment steps.

NumPy takes microseconds for every product of every agent, whatever its size; this is one call for all of them.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from llvmlite import ir

from softstep.kernels import native
from softstep.kernels.emit import INT, POINTER, VOID, Emitter, Matrix, Registers

Values = Callable[[np.ndarray], np.ndarray]


def make_actor(sizes: Sequence[int], agents: int, samples: int) -> Callable[[np.ndarray], Values]:
    """The MLP O → … → A of `agents` agents that observe `samples` environments each.

    Returns: a function from packed parameters (W, N) float32, weights (J, I) and biases (J,) in turn, to a function
    from observations (W, E, O) float32 to action values (W, E, A), which the next call overwrites.
    """
    code = native.compiled("act", (sizes, agents, samples), partial(_emit, tuple(sizes), agents, samples))
    act = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(code.address)
    seen = np.zeros((agents, samples, sizes[0]), np.float32)
    values = np.zeros((agents, samples, sizes[-1]), np.float32)
    room = np.zeros(2 * max(sizes), np.float32)
    rest = [_address(a) for a in (seen, values, room)]

    def load(packed: np.ndarray) -> Values:
        parameters = np.ascontiguousarray(packed, np.float32)
        go = partial(act, _address(parameters), *rest)

        def of(observations: np.ndarray, _alive: object = (code, parameters, room)) -> np.ndarray:
            seen[...] = observations
            go()
            return values

        return of

    return load


def _address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _emit(sizes: tuple[int, ...], agents: int, samples: int, module: ir.Module, registers: Registers) -> None:
    """Write `act(parameters, observations, values, room)` into the module."""
    act = ir.Function(module, ir.FunctionType(VOID, [POINTER] * 4), "act")
    code = Emitter(act, registers)
    build, (parameters, observations, values, room) = code.builder, act.args
    layers = list(itertools.pairwise(sizes))
    own = sum((fan_in + 1) * fan_out for fan_in, fan_out in layers)
    with code.loop(agents) as agent, code.loop(samples) as sample:
        number = build.add(build.mul(agent, INT(samples)), sample)
        x, at = code.beyond(observations, number, sizes[0]), code.beyond(parameters, agent, own)
        for n, (fan_in, fan_out) in enumerate(layers):
            last = n + 1 == len(layers)
            y = code.beyond(values, number, sizes[-1]) if last else code.at(room, n % 2 * max(sizes))
            weight, bias = Matrix(at, fan_in), code.at(at, fan_in * fan_out)
            relu = None if last else lambda sums, *_: code.positive_part(sums)
            code.row_sums(fan_out, fan_in, weight, y, weights=x, start=bias, finish=relu)
            x, at = y, code.at(bias, fan_out)
    build.ret_void()
