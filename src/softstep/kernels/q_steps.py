"""Gradient steps of deep Q-learning for a block of agents, called from Python between environment steps.

Each step is `q_step`, whose bits it has. A call of XLA's costs as much as several updates of a small network, and more
where other code has filled the caches since the last one; this call costs a few microseconds.
"""

from __future__ import annotations

import ctypes
import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from llvmlite import ir

from softstep.kernels import native, q_step
from softstep.kernels.adam import CHECKS, SCALARS
from softstep.kernels.background import Background
from softstep.kernels.denormals import flushed
from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import INT, POINTER, VOID, Registers
from softstep.kernels.mlp_passes import MLPShape
from softstep.kernels.q_step import CACHE_LINE, Rule, padded

NETWORKS = 4
"""Q, T, μ and ν."""

PARAMETERS = 8
"""How many pointers `q_steps` takes."""


class Row(NamedTuple):
    """Where the parts of a transition begin in a row of floats."""

    width: int
    observation: int
    action: int
    reward: int
    discount: int
    next_observation: int


class Work(NamedTuple):
    """What one call computes."""

    rule: Rule
    shape: MLPShape
    row: Row
    agents: int
    """W."""
    updates: int
    """U, the gradient steps of each agent."""


class Steps(NamedTuple):
    """The result of a call, besides the networks."""

    losses: Float[np.ndarray, "U W"]
    """The mean loss before each step."""
    finite: Bool[np.ndarray, "U W"]
    """Whether all of Q was finite after each step."""


class QSteps:
    """Holds the networks of a block of agents, and takes their gradient steps in place."""

    def __init__(self, work: Work, *, overlap: bool = False) -> None:
        """Set up networks of zeros.

        Args:
            work: what one call computes.
            overlap: compute in another thread between `begin` and `finish`.
        """
        self._work, shape = work, work.shape
        self._code = native.compile_function("q_steps", work, partial(emit, work))
        self._function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * PARAMETERS)(self._code.address)
        sizes = list(map(math.prod, shape.parameters)) * NETWORKS
        self._networks = _aligned(work.agents, sum(map(padded, sizes)))
        starts = itertools.accumulate(map(padded, sizes), initial=0)
        shapes = shape.parameters * NETWORKS
        self._arrays = [
            self._networks[:, start : start + size].reshape(work.agents, *own)
            for start, size, own in zip(starts, sizes, shapes, strict=False)
        ]
        self._packed = _aligned(work.agents, sum(sizes[: len(shape.parameters)]))
        self._checks, self._losses = _aligned(work.updates, work.agents, CHECKS), _aligned(work.updates, work.agents)
        self._memory = _aligned(sum(map(padded, _pieces(work))))
        outputs = self._packed, self._checks, self._losses, self._memory
        self._first, self._last = self._networks.ctypes.data, [array.ctypes.data for array in outputs]
        self._given = list[np.ndarray]()
        used = self._networks, outputs, self._given
        self._background = Background(self._code, PARAMETERS, used) if overlap else None

    def load(self, networks: Sequence[np.ndarray]) -> None:
        """Set the arrays (W, …) of Q, T, μ and ν, one network after another."""
        for own, given in zip(self._arrays, networks, strict=True):
            own[...] = given

    def networks(self) -> list[np.ndarray]:
        """Return copies of the arrays (W, …) of Q, T, μ and ν."""
        return [array.copy() for array in self._arrays]

    def packed(self) -> Float[np.ndarray, "W N"]:
        """Return a copy of Q as one vector per agent, as it was after the last steps."""
        return self._packed.copy()

    def begin(self, rows: np.ndarray, scalars: np.ndarray, gammas: np.ndarray) -> None:
        """Begin U gradient steps of every agent; `finish` is to be called before anything else.

        Args:
            rows: minibatches (U, W, B, width), float32.
            scalars: `adam.SCALARS` (U, W, 5), float32.
            gammas: γ (W,), float32.
        """
        self._given[:] = (np.ascontiguousarray(array, np.float32) for array in (rows, scalars, gammas))
        arguments = self._first, *(array.ctypes.data for array in self._given), *self._last
        if self._background is None:
            self._function(*arguments)
        else:
            self._background.post(arguments)

    def finish(self) -> Steps:
        """Wait until the steps are taken."""
        if self._background is not None:
            self._background.wait()
        return Steps(self._losses.copy(), self._checks.sum(-1) == 0)


def _aligned(*shape: int) -> np.ndarray:
    """Return zeros that begin at a cache line."""
    size = math.prod(shape)
    memory = np.zeros(size + CACHE_LINE, np.float32)
    start = -memory.ctypes.data // memory.itemsize % CACHE_LINE
    return memory[start : start + size].reshape(shape)


def _pieces(work: Work) -> list[int]:
    """Return the sizes of the pieces of working memory: s, s′, a, r, γ·d, and what `q_step` needs."""
    batch, observation = work.shape.batch, work.shape.sizes[0]
    (memory,) = q_step.signature(work.shape).writes[-1]
    return [batch * observation, batch * observation, batch, batch, batch, memory]


def emit(work: Work, module: ir.Module, registers: Registers) -> None:
    """Emit `q_steps(networks, rows, scalars, gammas, packed, checks, losses, memory)` into the module."""
    shape = work.shape
    q_step.emit(module, shape, work.rule, registers)
    signature = ir.FunctionType(VOID, [POINTER] * PARAMETERS)
    function, steps = (ir.Function(module, signature, name) for name in ("q_steps", "q_steps_of_agents"))
    steps.linkage, outer = "internal", ir.IRBuilder(function.append_basic_block())
    steps.attributes.add("noinline")
    with flushed(outer):
        outer.call(steps, function.args)
    outer.ret_void()
    _emit_agents(work, steps, registers)


def _emit_agents(work: Work, function: ir.Function, registers: Registers) -> None:
    """Emit the steps of all agents, with the arguments of `q_steps`."""
    shape, code = work.shape, Emitter(function, registers)
    networks, rows, scalars, gammas, packed, checks, losses, memory = function.args
    sizes = list(map(math.prod, shape.parameters))
    starts = list(itertools.accumulate(map(padded, sizes * NETWORKS), initial=0))
    *batch, own = [code.address(memory, n) for n in itertools.accumulate(map(padded, _pieces(work)), initial=0)][:-1]
    with code.loop(work.agents) as agent:
        mine = code.array_address(networks, agent, starts[-1])
        arrays = [code.address(mine, start) for start in starts[:-1]]
        with code.loop(work.updates) as update:
            at = code.builder.add(code.builder.mul(update, INT(work.agents)), agent)
            minibatch = code.array_address(rows, at, shape.batch * work.row.width)
            _emit_unpack(code, work, minibatch, code.load(gammas, agent, 1), batch)
            results = code.array_address(checks, at, CHECKS), code.array_address(losses, at, 1), own
            mine_now = code.array_address(scalars, at, len(SCALARS))
            code.builder.call(function.module.get_global("q_step"), [*arrays, *batch, mine_now, *arrays, *results])
        to = code.array_address(packed, agent, sum(sizes))
        for array, size, start in zip(arrays, sizes, itertools.accumulate(sizes, initial=0), strict=False):
            code.copy(size, array, code.address(to, start))
    code.builder.ret_void()


def _emit_unpack(code: Emitter, work: Work, rows: ir.Value, gamma: ir.Value, batch: Sequence[ir.Value]) -> None:
    """Emit copies of a minibatch's parts to where `q_step` reads them: s, s′, a, r and γ·d."""
    states, next_states, actions, rewards, discounts = batch
    size, row = work.shape.sizes[0], work.row
    with code.loop(work.shape.batch) as i:
        own = code.array_address(rows, i, row.width)
        code.copy(size, code.address(own, row.observation), code.array_address(states, i, size))
        code.copy(size, code.address(own, row.next_observation), code.array_address(next_states, i, size))
        for column, to in ((row.action, actions), (row.reward, rewards)):
            code.store(code.load_number(own, column), to, i)
        code.store(code.builder.fmul(gamma, code.load_number(own, row.discount)), discounts, i)
