"""Fused multiply-adds that never leave a core's registers: its highest speed in float32; prints one JSON line.

python -m benchmarks.registers '{"seconds": 0.5}'
"""

from __future__ import annotations

import ctypes
import json
import sys
import time

from llvmlite import ir

from softstep.kernels.llvm_types import FLOAT, INT, POINTER, VOID, Registers
from softstep.kernels.native import Code, compile_function, cpu_target

CHAINS = 12
"""Independent sums, each in a register: more than any core's latency times its units, fewer than its registers."""

TURNS = 200_000
"""Multiply-adds of each sum per call."""


def emit(module: ir.Module, registers: Registers) -> None:
    """Add a function of a pointer: it multiplies a register of numbers there, repeatedly, and stores the sums."""
    kind = ir.VectorType(FLOAT, registers.lanes)
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER]), "multiply_add")
    build = ir.IRBuilder(function.append_basic_block())
    fma = ir.Function(module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.v{registers.lanes}f32")
    factor, before = build.load(function.args[0], typ=kind, align=4), build.block
    body, after = function.append_basic_block(), function.append_basic_block()
    build.branch(body)
    build.position_at_end(body)
    turn, sums = build.phi(INT), [build.phi(kind) for _ in range(CHAINS)]
    new_sums = [build.call(fma, [total, factor, factor]) for total in sums]
    next_turn = build.add(turn, INT(1))
    for phi, first, successor in zip((turn, *sums), (INT(0), *[factor] * CHAINS), (next_turn, *new_sums), strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(successor, body)
    build.cbranch(build.icmp_signed("<", next_turn, INT(TURNS)), body, after)
    build.position_at_end(after)
    for i, total in enumerate(new_sums):
        build.store(total, build.gep(function.args[0], [INT(i * registers.lanes)], source_etype=FLOAT), align=4)
    build.ret_void()


def measure(seconds: float) -> float:
    """Return the floating-point operations per second of the fastest call within `seconds`."""
    target = cpu_target()
    if target is None:
        return 0.0  # a CPU without fused multiply-adds
    code: Code = compile_function("multiply_add", (CHAINS, TURNS), emit)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.address)
    numbers = (ctypes.c_float * (CHAINS * target.registers.lanes))()
    operations, best, start = 2 * CHAINS * TURNS * target.registers.lanes, 0.0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        numbers[:] = [0.5] * len(numbers)
        before = time.perf_counter()
        call(ctypes.addressof(numbers))
        best = max(best, operations / (time.perf_counter() - before))
    return best


if __name__ == "__main__":
    print(json.dumps({"rate": measure(json.loads(sys.argv[1])["seconds"])}))
