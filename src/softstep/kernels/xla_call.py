"""Machine code's way into XLA.

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
from softstep.kernels.emit import FLOAT, INT, POINTER, Registers, Signature
from softstep.kernels.native import Emit

LAYOUT_VERSION = (0, 3)
"""Version (major, minor) of XLA's interface that the offsets below are taken from; the handler reports it to XLA."""

KNOWN_VERSIONS = frozenset({LAYOUT_VERSION})
"""Versions of the interface whose structures have these offsets."""

# Offsets of the fields that the handler reads or writes, in bytes, on 64-bit machines.
FRAME_EXTENSION, FRAME_STAGE, FRAME_ARGUMENTS, FRAME_RESULTS = 8, 32, 72, 112
BUFFER_DATA, BUFFER_RANK, BUFFER_DIMENSIONS = 24, 32, 40
EXTENSION_METADATA, METADATA_MAJOR, METADATA_MINOR = 24, 24, 28
EXECUTE = 3

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
        f"XLA's foreign function interface: found {found}, but softstep's kernels know version {known} alone;"
        " training goes on without them, slower (to use them, install a jaxlib that this softstep supports)",
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


_known_to_xla: dict[str, Any] = {}
"""What XLA may call, by the name it has there; never freed."""


def call(name: str, of: Any, signature: Signature, emit: Emit, *, in_place: int = 0) -> Callable[..., Any]:
    """The function `name` that `emit` writes for `of`, as a function of JAX arrays; `jax.vmap` loops over it.

    The first `in_place` of the arrays it writes take the places of the first it reads.
    """

    def with_handler(module: ir.Module, registers: Registers) -> None:
        emit(module, registers)
        _emit_handler(module, module.get_global(name), signature)

    code = native.compiled("handler", (name, of), with_handler)
    known_as = f"softstep_{name}_{code.digest}"
    if known_as not in _known_to_xla:
        handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(code.address)
        jax.ffi.register_ffi_target(known_as, jax.ffi.pycapsule(handler), platform="cpu")
        _known_to_xla[known_as] = handler, code
    results = [jax.ShapeDtypeStruct(size, np.float32) for size in signature.writes]
    aliases = {n: n for n in range(in_place)}
    return jax.ffi.ffi_call(known_as, results, vmap_method="broadcast_all", input_output_aliases=aliases)


def _emit_handler(module: ir.Module, function: ir.Function, signature: Signature) -> None:
    """Write `handler(frame)`: run `function` for every agent in the call's arrays."""
    reads, sizes = len(signature.reads), [math.prod(size) for size in signature.reads + signature.writes]
    handler = ir.Function(module, ir.FunctionType(POINTER, [POINTER]), "handler")
    build, frame, fine = ir.IRBuilder(handler.append_basic_block()), handler.args[0], ir.Constant(POINTER, None)

    def field(base: ir.Value, offset: int) -> ir.Value:
        return build.gep(base, [INT(offset)], source_etype=_BYTE)

    def pointer(base: ir.Value, offset: int) -> ir.Value:
        return build.load(field(base, offset), typ=POINTER)

    extension = pointer(frame, FRAME_EXTENSION)
    with build.if_then(build.icmp_unsigned("!=", extension, fine)):  # XLA asks for the interface's version
        metadata = pointer(extension, EXTENSION_METADATA)
        for offset, number in zip((METADATA_MAJOR, METADATA_MINOR), LAYOUT_VERSION, strict=True):
            build.store(_INT32(number), field(metadata, offset))
        build.ret(fine)
    with build.if_then(build.icmp_signed("!=", build.load(field(frame, FRAME_STAGE), typ=_INT32), _INT32(EXECUTE))):
        build.ret(fine)
    arguments, results = pointer(frame, FRAME_ARGUMENTS), pointer(frame, FRAME_RESULTS)
    places = [(arguments, n) for n in range(reads)] + [(results, n) for n in range(len(sizes) - reads)]
    buffers = [pointer(base, 8 * n) for base, n in places]
    data = [pointer(buffer, BUFFER_DATA) for buffer in buffers]
    dimensions = pointer(buffers[reads], BUFFER_DIMENSIONS)
    rank = build.load(field(buffers[reads], BUFFER_RANK), typ=INT)
    agents = build.udiv(_product(build, dimensions, rank), INT(sizes[reads]))
    with _counting(build, agents) as agent:
        own = [build.mul(agent, INT(size)) for size in sizes]
        build.call(function, [build.gep(d, [o], source_etype=FLOAT) for d, o in zip(data, own, strict=True)])
    build.ret(fine)


def _product(build: ir.IRBuilder, numbers: ir.Value, count: ir.Value) -> ir.Value:
    """The product of `count` integers."""
    total = build.alloca(INT)
    build.store(INT(1), total)
    with _counting(build, count) as i:
        factor = build.load(build.gep(numbers, [i], source_etype=INT), typ=INT)
        build.store(build.mul(build.load(total, typ=INT), factor), total)
    return build.load(total, typ=INT)


@contextlib.contextmanager
def _counting(build: ir.IRBuilder, count: ir.Value) -> Iterator[ir.Value]:
    """A loop over 0, 1, … < count, perhaps over none."""
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
