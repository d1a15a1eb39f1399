"""What XLA does with numbers too small for full precision, for code that Python calls: it takes them for 0.

Without that, bits would differ from those within XLA's programs, and Adam's μ of a unit that is never active, which
shrinks until its rounding stops at such a number, would slow every step.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator

from llvmlite import ir

from softstep.kernels.llvm_types import INT, POINTER, VOID

_INT32 = ir.IntType(32)

X86_FLUSH = 1 << 15 | 1 << 6
"""Bits of MXCSR that take such results (FTZ) and inputs (DAZ) for 0. Source: Intel's manual, volume 1, 10.2.3."""

ARM_FLUSH = 1 << 24
"""The bit FZ of FPCR, for both. Source: Arm's Architecture Reference Manual, FPCR."""


@contextlib.contextmanager
def flushed(build: ir.IRBuilder) -> Iterator[None]:
    """Emit the code within so that such numbers are 0 in it; to be calls, into which LLVM does not look."""
    if platform.machine() in ("arm64", "aarch64"):
        before = build.asm(ir.FunctionType(INT, []), "mrs $0, fpcr", "=r", [], True)
        _set_arm(build, build.or_(before, INT(ARM_FLUSH)))
        yield
        _set_arm(build, before)
    else:
        slot = build.alloca(_INT32)
        build.call(_x86(build, "stmxcsr"), [slot])
        before = build.load(slot, typ=_INT32)
        _set_x86(build, slot, build.or_(before, _INT32(X86_FLUSH)))
        yield
        _set_x86(build, slot, before)


def _set_arm(build: ir.IRBuilder, value: ir.Value) -> None:
    build.asm(ir.FunctionType(VOID, [INT]), "msr fpcr, $0", "r", [value], True)


def _set_x86(build: ir.IRBuilder, slot: ir.Value, value: ir.Value) -> None:
    build.store(value, slot)
    build.call(_x86(build, "ldmxcsr"), [slot])


def _x86(build: ir.IRBuilder, name: str) -> ir.Function:
    full = f"llvm.x86.sse.{name}"
    return build.module.globals.get(full) or ir.Function(build.module, ir.FunctionType(VOID, [POINTER]), full)
