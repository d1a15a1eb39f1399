"""Machine code as functions of JAX arrays, called by XLA.

XLA calls a *handler* with a call frame of its typed foreign function interface (`xla/ffi/api/c_api.h`, shipped with
jaxlib). The handler is LLVM code too: it takes the arrays' addresses out of the frame and runs a function once for each
agent.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from llvmlite import ir

from softstep.kernels import native
from softstep.kernels.llvm_types import FLOAT, INT, POINTER, Registers, Signature
from softstep.kernels.native import Emit

LAYOUT_VERSION = (0, 3)
"""Version (major, minor) of XLA's interface that the offsets below are taken from; the handler reports it to XLA."""

KNOWN_VERSIONS = frozenset({LAYOUT_VERSION, (0, 4)})
"""Versions of the interface whose structures have these offsets: those of JAX 0.10 and 0.11."""

# Offsets of the fields that the handler reads or writes, in bytes, on 64-bit machines.
FRAME_EXTENSION, FRAME_STAGE, FRAME_ARGUMENTS, FRAME_RESULTS = 8, 32, 72, 112
BUFFER_DATA, BUFFER_RANK, BUFFER_DIMENSIONS = 24, 32, 40
EXTENSION_METADATA, METADATA_MAJOR, METADATA_MINOR = 24, 24, 28

EXECUTE = 3
"""The stage of a call in which the arrays may be read and written."""

_BYTE, _INT32 = ir.IntType(8), ir.IntType(32)


@functools.cache
def layout_is_known() -> bool:
    """Return whether the installed XLA calls handlers with the layout above; warn once per process if it does not."""
    installed = _installed_version()
    if installed in KNOWN_VERSIONS:
        return True
    found = "no readable header" if installed is None else "version {}.{}".format(*installed)
    known = " or ".join("{}.{}".format(*version) for version in sorted(KNOWN_VERSIONS))
    warnings.warn(
        f"XLA's foreign function interface: found {found}, but softstep's kernels only know version {known};"
        " training continues without them, more slowly (to use them, install a jaxlib that this softstep supports)",
        RuntimeWarning,
        stacklevel=2,
    )
    return False


def _installed_version() -> tuple[int, int] | None:
    """Return the interface's version from the header shipped with jaxlib, or None if it cannot be read there."""
    try:
        header = (Path(jax.ffi.include_dir()) / "xla/ffi/api/c_api.h").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    major, minor = (re.search(rf"^#define XLA_FFI_API_{part} (\d+)$", header, re.M) for part in ("MAJOR", "MINOR"))
    return (int(major[1]), int(minor[1])) if major and minor else None


_registered: dict[str, Any] = {}
"""Handlers and their code by the name XLA knows them by; kept for as long as the process runs."""


def jax_function(
    name: str, specialization: Any, signature: Signature, emit: Emit, *, in_place: int = 0
) -> Callable[..., Any]:
    """Compile a function for use with JAX arrays; under `jax.vmap` it loops over the agents.

    Args:
        name: the function's name in the module.
        specialization: all that `emit` depends on, as for `native.compile_function`.
        signature: shapes of the float32 arrays it reads and writes.
        emit: adds the function to a module.
        in_place: how many arrays, from the first, are written over the arrays read.
    """

    def emit_with_handler(module: ir.Module, registers: Registers) -> None:
        emit(module, registers)
        emit_handler(module, module.get_global(name), signature)

    code = native.compile_function("handler", (name, specialization), emit_with_handler)
    registered_name = f"softstep_{name}_{code.digest}"
    if registered_name not in _registered:
        handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(code.address)
        jax.ffi.register_ffi_target(registered_name, jax.ffi.pycapsule(handler), platform="cpu")
        _registered[registered_name] = handler, code
    results = [jax.ShapeDtypeStruct(shape, np.float32) for shape in signature.writes]
    aliases = {n: n for n in range(in_place)}
    return jax.ffi.ffi_call(registered_name, results, vmap_method="broadcast_all", input_output_aliases=aliases)


def emit_handler(module: ir.Module, function: ir.Function, signature: Signature) -> None:
    """Emit `handler(frame)`, which runs `function` for every agent in the call's arrays.

    Working memory that agents share stays in the cache from one agent to the next. The handler returns a null pointer:
    success, in XLA's interface.
    """
    reads, sizes = len(signature.reads), [math.prod(shape) for shape in signature.reads + signature.writes]
    handler = ir.Function(module, ir.FunctionType(POINTER, [POINTER]), "handler")
    build, frame, null = ir.IRBuilder(handler.append_basic_block()), handler.args[0], ir.Constant(POINTER, None)

    def field(base: ir.Value, offset: int) -> ir.Value:
        return build.gep(base, [INT(offset)], source_etype=_BYTE)

    def pointer(base: ir.Value, offset: int) -> ir.Value:
        return build.load(field(base, offset), typ=POINTER)

    extension = pointer(frame, FRAME_EXTENSION)
    with build.if_then(build.icmp_unsigned("!=", extension, null)):  # XLA asks which version the handler is made for
        metadata = pointer(extension, EXTENSION_METADATA)
        for offset, number in zip((METADATA_MAJOR, METADATA_MINOR), LAYOUT_VERSION, strict=True):
            build.store(_INT32(number), field(metadata, offset))
        build.ret(null)
    with build.if_then(build.icmp_signed("!=", build.load(field(frame, FRAME_STAGE), typ=_INT32), _INT32(EXECUTE))):
        build.ret(null)
    arguments, results = pointer(frame, FRAME_ARGUMENTS), pointer(frame, FRAME_RESULTS)
    slots = [(arguments, n) for n in range(reads)] + [(results, n) for n in range(len(sizes) - reads)]
    buffers = [pointer(base, 8 * n) for base, n in slots]
    data = [pointer(buffer, BUFFER_DATA) for buffer in buffers]
    dimensions = pointer(buffers[reads], BUFFER_DIMENSIONS)
    rank = build.load(field(buffers[reads], BUFFER_RANK), typ=INT)
    agents = build.udiv(_emit_product(build, dimensions, rank), INT(sizes[reads]))
    own = len(sizes) - signature.shared
    with _loop(build, agents) as agent:
        offsets = [build.mul(agent, INT(size)) if n < own else INT(0) for n, size in enumerate(sizes)]
        build.call(function, [build.gep(d, [o], source_etype=FLOAT) for d, o in zip(data, offsets, strict=True)])
    build.ret(null)


def _emit_product(build: ir.IRBuilder, numbers: ir.Value, count: ir.Value) -> ir.Value:
    """Emit the product of `count` integers."""
    total = build.alloca(INT)
    build.store(INT(1), total)
    with _loop(build, count) as i:
        factor = build.load(build.gep(numbers, [i], source_etype=INT), typ=INT)
        build.store(build.mul(build.load(total, typ=INT), factor), total)
    return build.load(total, typ=INT)


@contextlib.contextmanager
def _loop(build: ir.IRBuilder, count: ir.Value) -> Iterator[ir.Value]:
    """Emit a loop over 0, 1, … < count, which may run zero times."""
    before, body, after = build.block, build.append_basic_block(), build.append_basic_block()
    build.cbranch(build.icmp_signed(">", count, INT(0)), body, after)
    build.position_at_end(body)
    i = build.phi(INT)
    yield i
    following = build.add(i, INT(1))
    i.add_incoming(INT(0), before)
    i.add_incoming(following, build.block)
    build.cbranch(build.icmp_signed("<", following, count), body, after)
    build.position_at_end(after)
