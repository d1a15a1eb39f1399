"""A thread that runs a kernel while Python continues, without Python's lock.

Passing work to a thread of Python's costs tens of microseconds, and the thread may wait much longer for the lock. This
one never needs it: it looks for work in memory, yields its core between two looks, and sleeps when none comes.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from llvmlite import ir

from softstep.kernels import native
from softstep.kernels.llvm_types import INT, POINTER, VOID, Registers

YIELDS, NAP = 2_000, 100
"""Looks before the thread sleeps between two of them, about a millisecond, and microseconds of such a sleep."""

POSTED, FINISHED, ARGUMENTS = 0, 8, 16
"""Where in the mailbox, an array of 64-bit numbers, lie the number of the last call posted, that of the last one
finished, and the arguments; each in a cache line of its own."""

STOP = -1
"""The number of a call that ends the thread."""

_INT32 = ir.IntType(32)


class Background:
    """Calls one function of pointers, one call at a time, in a thread that ends with this object."""

    def __init__(self, function: native.Code, parameters: int, memory: object = None) -> None:
        """Start the thread.

        Args:
            function: machine code that takes this many pointers.
            parameters: how many.
            memory: owner of what they point to; it is kept until the last call has finished.
        """
        codes = [
            native.compile_function(name, parameters, partial(emit, parameters))
            for name, emit in (("serve", _emit_serve), ("post", _emit_post), ("wait", _emit_wait))
        ]
        serve, self._post, self._wait = (
            ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * pointers)(code.address)
            for code, pointers in zip(codes, (2, 1 + parameters, 1), strict=True)
        )
        mailbox = np.zeros(ARGUMENTS + parameters, np.int64)
        self._mailbox = mailbox.ctypes.data
        thread = threading.Thread(target=serve, args=(self._mailbox, function.address), name="kernel", daemon=True)
        thread.start()
        weakref.finalize(self, _stop, thread, mailbox, (function, codes, memory))

    def post(self, arguments: Sequence[int]) -> None:
        """Begin a call with these addresses; the one before must have been waited for."""
        self._post(self._mailbox, *arguments)

    def wait(self) -> None:
        """Wait until the call that was posted has finished."""
        self._wait(self._mailbox)


def _stop(thread: threading.Thread, mailbox: np.ndarray, _kept: object) -> None:
    """End the thread before its memory and its code are freed, which the arguments keep until then."""
    mailbox[POSTED] = STOP
    thread.join()


def _emit_serve(parameters: int, module: ir.Module, _: Registers) -> None:
    """Emit `serve(mailbox, function)`: make the calls that are posted until one has the number STOP."""
    called_type = ir.FunctionType(VOID, [POINTER] * parameters).as_pointer()
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER, called_type]), "serve")
    mailbox, called = function.args
    start, serving, call, end = (function.append_basic_block() for _ in range(4))
    ir.IRBuilder(start).branch(serving)
    build = ir.IRBuilder(serving)
    last = build.phi(INT)
    last.add_incoming(INT(0), start)
    posted = _wait_until(
        build, _cell(build, mailbox, POSTED), lambda build, number: build.icmp_signed("!=", number, last)
    )
    build.cbranch(build.icmp_signed("==", posted, INT(STOP)), end, call)
    build = ir.IRBuilder(call)
    arguments = [build.load(_cell(build, mailbox, ARGUMENTS + n), typ=POINTER) for n in range(parameters)]
    build.call(called, arguments)
    build.atomic_rmw("xchg", _cell(build, mailbox, FINISHED), posted, "release")
    last.add_incoming(posted, call)
    build.branch(serving)
    ir.IRBuilder(end).ret_void()


def _emit_post(parameters: int, module: ir.Module, _: Registers) -> None:
    """Emit `post(mailbox, arguments …)`."""
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER] * (1 + parameters)), "post")
    mailbox, *arguments = function.args
    build = ir.IRBuilder(function.append_basic_block())
    for n, argument in enumerate(arguments):
        build.store(argument, _cell(build, mailbox, ARGUMENTS + n))
    build.atomic_rmw("add", _cell(build, mailbox, POSTED), INT(1), "release")
    build.ret_void()


def _emit_wait(_parameters: int, module: ir.Module, _: Registers) -> None:
    """Emit `wait(mailbox)`."""
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER]), "wait")
    (mailbox,) = function.args
    build = ir.IRBuilder(function.append_basic_block())
    posted = build.load(_cell(build, mailbox, POSTED), typ=INT)
    _wait_until(build, _cell(build, mailbox, FINISHED), lambda build, number: build.icmp_signed("==", number, posted))
    build.ret_void()


def _cell(build: ir.IRBuilder, mailbox: ir.Value, index: int) -> ir.Value:
    return build.gep(mailbox, [INT(index)], source_etype=INT)


def _wait_until(build: ir.IRBuilder, cell: ir.Value, fits: Callable[[ir.IRBuilder, ir.Value], ir.Value]) -> ir.Value:
    """Emit looks at a number in memory until it fits; the builder then stands behind them. Return the number."""
    before = build.block
    look, idle, rest, nap, done = (build.append_basic_block() for _ in range(5))
    build.branch(look)
    build.position_at_end(look)
    looks = build.phi(INT)
    looks.add_incoming(INT(0), before)
    number = build.load_atomic(cell, "acquire", 8, typ=INT)
    build.cbranch(fits(build, number), done, idle)
    build.position_at_end(idle)
    more = build.add(looks, INT(1))
    build.cbranch(build.icmp_signed("<", more, INT(YIELDS)), rest, nap)
    for block, name, given in ((rest, "sched_yield", []), (nap, "usleep", [_INT32(NAP)])):
        build.position_at_end(block)
        build.call(_of_libc(build.module, name, len(given)), given)
        build.branch(look)
        looks.add_incoming(more, block)
    build.position_at_end(done)
    return number


def _of_libc(module: ir.Module, name: str, parameters: int) -> ir.Function:
    known = module.globals.get(name)
    return known or ir.Function(module, ir.FunctionType(_INT32, [_INT32] * parameters), name)
