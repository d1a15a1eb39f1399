"""Machine code for this CPU, made by LLVM and kept on disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import llvmlite.binding as llvm
from llvmlite import ir

from softstep.kernels.emit import Registers


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
