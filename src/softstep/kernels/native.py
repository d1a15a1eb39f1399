"""Machine code for this CPU, compiled by LLVM and cached on disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import llvmlite.binding as llvm
from llvmlite import ir

from softstep.errors import StoreError
from softstep.files import write_file
from softstep.kernels.llvm_types import Registers

Emit = Callable[[ir.Module, Registers], None]
"""Adds a function to a module, laid out for these registers."""


class CpuTarget(NamedTuple):
    """The CPU that code is compiled for."""

    cpu: str
    """LLVM's name for it."""
    features: str
    """The features it has and lacks, as LLVM writes them."""
    registers: Registers

    def create_machine(self) -> Any:
        """Return a code generator of LLVM's; the engine it is given to owns and frees it."""
        triple = llvm.Target.from_default_triple()
        return triple.create_target_machine(cpu=self.cpu, features=self.features, opt=3, jit=True)


@functools.cache
def cpu_target() -> CpuTarget | None:
    """Return this machine's CPU, or None if it lacks the fused multiply-adds that the kernels consist of."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        registers = Registers(lanes=16, tile_width=4, tile_registers=16)
    elif features.get("fma"):
        registers = Registers(lanes=8, tile_width=2, tile_registers=12)
    elif platform.machine() in ("arm64", "aarch64"):
        registers = Registers(lanes=4, tile_width=4, tile_registers=16)
    else:
        return None
    return CpuTarget(llvm.get_host_cpu_name(), features.flatten(), registers)


class Code(NamedTuple):
    """A compiled function."""

    address: int
    digest: str
    """Hash of everything it was compiled from."""
    engine: Any
    """Owns the code; frees it when garbage-collected."""


def compile_function(name: str, specialization: Any, emit: Emit) -> Code:
    """Compile the function `name` that `emit` adds to a module, or load it from the disk cache.

    The cache lies beside JAX's compiled programs (`jax_compilation_cache_dir`); without such a folder, code is compiled
    every time.

    Args:
        name: the function's name in the module.
        specialization: all that `emit` depends on, for example sizes; its `repr` tells cached functions apart.
        emit: adds the function to a module.
    """
    target = cpu_target()
    assert target is not None
    digest = hashlib.sha256(repr((name, specialization, _toolchain())).encode()).hexdigest()[:32]
    folder = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    is_local = folder and "://" not in folder  # JAX can keep its programs in a bucket, too
    file = Path(folder) / f"softstep-{digest}.o" if is_local else None
    code = _read_cached(file) if file else None
    if code is None:
        module = ir.Module()
        emit(module, target.registers)
        code = target.create_machine().emit_object(llvm.parse_assembly(str(module)))
        if file:
            _write_cached(file, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target.create_machine())
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Code(engine.get_function_address(name), digest, engine)


@functools.cache
def _toolchain() -> str:
    """Return what machine code depends on besides its specialization: these modules, LLVM and the CPU."""
    target, sources = cpu_target(), sorted(Path(__file__).parent.glob("*.py"))
    return repr((target, llvm.llvm_version_info, [source.read_bytes() for source in sources]))


def _write_cached(file: Path, code: bytes) -> None:
    """Write machine code to disk, behind its checksum; if that fails, leave no file, so that it is compiled again."""
    with contextlib.suppress(StoreError):
        write_file(file, hashlib.sha256(code).digest() + code)


def _read_cached(file: Path) -> bytes | None:
    """Return machine code from disk, or None if it is missing or damaged."""
    with contextlib.suppress(OSError):
        content = file.read_bytes()
        checksum, code = content[:32], content[32:]
        return code if hashlib.sha256(code).digest() == checksum else None
    return None
