"""Machine code for this CPU, made by LLVM, and its way into XLA.

XLA calls a *handler* with a call frame of its typed foreign function interface (`xla/ffi/api/c_api.h`, shipped with
jaxlib). The handler is LLVM code too: it takes the arrays' addresses out of the frame and runs a function once for each
agent.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import math
import os
import platform
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from softstep.kernels import switch
from softstep.kernels.emit import FLOAT, INT, POINTER, Registers, Signature

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


class Target(NamedTuple):
    """This machine's CPU."""

    cpu: str
    features: str
    """What this CPU has and has not, in LLVM's words."""
    registers: Registers

    def machine(self) -> Any:
        """LLVM's code generator; each engine owns one, and frees it."""
        triple = llvm.Target.from_default_triple()
        return triple.create_target_machine(cpu=self.cpu, features=self.features, opt=3, jit=True)


@functools.cache
def target() -> Target | None:
    """This CPU; None where it lacks fused multiply-adds, which the functions are made of."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        registers = Registers(lanes=16, across=4, tile=16)
    elif features.get("fma"):
        registers = Registers(lanes=8, across=2, tile=12)
    elif platform.machine() in ("arm64", "aarch64"):
        registers = Registers(lanes=4, across=4, tile=16)
    else:
        return None
    return Target(llvm.get_host_cpu_name(), features.flatten(), registers)


def supported() -> bool:
    """Return whether kernels may be used: not switched off, on a CPU they can be made for, by an XLA that is known."""
    return switch.switched_on() and target() is not None and layout_is_known()


class Code(NamedTuple):
    """Machine code."""

    address: int
    digest: str
    """Of what it was made from."""
    engine: Any
    """Frees it when it goes."""


Emit = Callable[[ir.Module, Registers], None]


def compiled(name: str, of: Any, emit: Emit) -> Code:
    """The function `name` that `emit` writes, as machine code; `of` says what for, and `emit` depends on nothing else.

    Kept on disk where JAX keeps its programs.
    """
    here = target()
    assert here is not None
    digest = hashlib.sha256(repr((name, of, _made_by())).encode()).hexdigest()[:32]
    folder = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    local = folder and "://" not in folder  # JAX can keep its programs in a bucket, too
    file = Path(folder) / f"softstep-{digest}.o" if local else None
    code = _kept(file) if file else None
    if code is None:
        module = ir.Module()
        emit(module, here.registers)
        code = here.machine().emit_object(llvm.parse_assembly(str(module)))
        if file:
            _keep(file, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), here.machine())
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Code(engine.get_function_address(name), digest, engine)


@functools.cache
def _made_by() -> str:
    """Return all that machine code depends on besides what it is for: these modules, LLVM and the CPU."""
    here, sources = target(), sorted(Path(__file__).parent.glob("*.py"))
    return repr((here, llvm.llvm_version_info, [source.read_bytes() for source in sources]))


def _keep(file: Path, code: bytes) -> None:
    """Put machine code on disk, behind its checksum; where that fails there will be none, and it is made again."""
    new = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(hashlib.sha256(code).digest() + code)
        new.rename(file)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()


def _kept(file: Path) -> bytes | None:
    """Machine code from disk, if it is there and whole."""
    with contextlib.suppress(OSError):
        checksum, code = (whole := file.read_bytes())[:32], whole[32:]
        return code if hashlib.sha256(code).digest() == checksum else None
    return None


_known_to_xla: dict[str, Any] = {}
"""What XLA may call, by the name it has there; never freed."""


def call(name: str, of: Any, signature: Signature, emit: Emit, *, in_place: int = 0) -> Callable[..., Any]:
    """The function `name` that `emit` writes for `of`, as a function of JAX arrays; `jax.vmap` loops over it.

    The first `in_place` of the arrays it writes take the places of the first it reads.
    """

    def with_handler(module: ir.Module, registers: Registers) -> None:
        emit(module, registers)
        _emit_handler(module, module.get_global(name), signature)

    code = compiled("handler", (name, of), with_handler)
    known_as = f"softstep_{name}_{code.digest}"
    if known_as not in _known_to_xla:
        handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(code.address)
        jax.ffi.register_ffi_target(known_as, jax.ffi.pycapsule(handler), platform="cpu")
        _known_to_xla[known_as] = handler, code
    results = [jax.ShapeDtypeStruct(size, np.float32) for size in signature.writes]
    aliases = {n: n for n in range(in_place)}
    return jax.ffi.ffi_call(known_as, results, vmap_method="broadcast_all", input_output_aliases=aliases)


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
