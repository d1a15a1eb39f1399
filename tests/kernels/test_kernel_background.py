"""A kernel in a thread of its own: every call is made once, in order, and the thread ends with its owner."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from llvmlite import ir

from softstep.kernels import native
from softstep.kernels.background import Background
from softstep.kernels.llvm_types import INT, POINTER, VOID, Registers


def emit_append(module: ir.Module, _: Registers) -> None:
    """Emit `append(numbers, count, number)`: numbers[count++] = number."""
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER] * 3), "append")
    numbers, count, number = function.args
    build = ir.IRBuilder(function.append_basic_block())
    size = build.load(count, typ=INT)
    build.store(build.load(number, typ=INT), build.gep(numbers, [size], source_etype=INT))
    build.store(build.add(size, INT(1)), count)
    build.ret_void()


class Appending:
    """Appends numbers to an array in the background."""

    def __init__(self, capacity: int = 10_000) -> None:
        self.numbers, (self.count, self._number) = np.zeros(capacity, np.int64), np.zeros((2, 1), np.int64)
        self.background = Background(native.compile_function("append", None, emit_append), 3)

    def begin(self, number: int) -> None:
        """Post a number."""
        self._number[0] = number
        self.background.post([array.ctypes.data for array in (self.numbers, self.count, self._number)])

    def all(self) -> list[int]:
        """Return what was appended."""
        return [int(number) for number in self.numbers[: self.count[0]]]


def kernel_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "kernel"]


def test_every_call_is_made_once_and_in_order() -> None:
    appending = Appending()
    for number in range(10_000):
        appending.begin(number)
        appending.background.wait()
        assert appending.count[0] == number + 1
    assert appending.all() == list(range(10_000))


def test_a_call_is_made_while_python_computes() -> None:
    appending = Appending()
    appending.begin(7)
    end = time.monotonic() + 60
    while not appending.count[0]:
        assert time.monotonic() < end
    assert appending.all() == [7]
    appending.background.wait()


def test_a_thread_that_sleeps_hears_of_a_call() -> None:
    appending = Appending()
    for number in range(5):
        time.sleep(0.05)  # many times the looks before a sleep
        appending.begin(number)
        appending.background.wait()
    assert appending.all() == list(range(5))


def test_two_threads_do_not_mix_their_calls() -> None:
    first, second = Appending(), Appending()
    for number in range(1_000):
        first.begin(number)
        second.begin(-number)
        first.background.wait()
        second.background.wait()
    assert first.all() == list(range(1_000))
    assert second.all() == [-number for number in range(1_000)]


def test_the_thread_ends_with_its_owner() -> None:
    before = kernel_threads()
    appending = Appending()
    appending.begin(1)
    appending.background.wait()
    assert len(kernel_threads()) == len(before) + 1
    del appending
    gc.collect()
    assert kernel_threads() == before


def test_memory_is_kept_until_the_last_call_has_finished() -> None:
    class Owner:
        pass

    owner = Owner()
    kept = weakref.ref(owner)
    background = Background(native.compile_function("append", None, emit_append), 3, owner)
    del owner
    gc.collect()
    assert kept() is not None
    del background
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("idle", [0.0, 0.05])
def test_a_program_ends_with_its_thread(idle: float) -> None:
    program = f"""
import time
from kernels.test_kernel_background import Appending
appending = Appending()
appending.begin(1)
time.sleep({idle})"""
    completed = subprocess.run(
        [sys.executable, "-c", program], cwd="tests", capture_output=True, timeout=120, check=False
    )
    assert (completed.returncode, completed.stderr) == (0, b"")
