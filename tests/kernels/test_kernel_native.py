"""The disk cache of machine code: written, read, replaced if damaged, and optional; and the CPUs that are supported."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import llvmlite.binding as llvm
import pytest
from llvmlite import ir

from softstep.kernels import native, support
from softstep.kernels.llvm_types import INT, Registers


@contextlib.contextmanager
def cache_in(folder: Path | str | None) -> Iterator[None]:
    """Cache machine code in this folder, or not at all."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", folder and str(folder))
    try:
        yield
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The cache's folder, which does not exist yet."""
    with cache_in(tmp_path / "programs"):
        yield tmp_path / "programs"


def emit_constant(number: int) -> Callable[[ir.Module, Registers], None]:
    """Return an emitter of a function that returns a number."""

    def emit(module: ir.Module, registers: Registers) -> None:
        function = ir.Function(module, ir.FunctionType(INT, []), "answer")
        ir.IRBuilder(function.append_basic_block()).ret(INT(number))

    return emit


def must_not_emit(module: ir.Module, registers: Registers) -> None:
    raise AssertionError("cached machine code was compiled again")


def answer(emit: Callable[[ir.Module, Registers], None], specialization: Any = "a test") -> int:
    """Compile a function and return its result."""
    code = native.compile_function("answer", specialization, emit)
    return ctypes.CFUNCTYPE(ctypes.c_int64)(code.address)()


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return name, modification time and content of every file in a folder."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_machine_code_is_cached_in_one_file_beside_jaxs_programs(folder: Path) -> None:
    assert answer(emit_constant(42)) == 42
    (file,) = folder.iterdir()
    assert file.match("softstep-*.o")


def test_cached_machine_code_is_read_without_compiling_or_writing(folder: Path) -> None:
    answer(emit_constant(42))
    before = contents(folder)
    assert answer(must_not_emit) == 42
    assert contents(folder) == before


def flipped(content: bytes, index: int) -> bytes:
    """Flip one bit of one byte."""
    return content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: flipped(content, 5),
        lambda content: flipped(content, 32),
        lambda content: flipped(content, len(content) // 2),
        lambda content: flipped(content, len(content) - 1),
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content[:32],
        lambda content: content[:7],
        lambda content: b"",
        lambda content: content + b"\0",
    ],
    ids=["checksum", "first byte", "middle", "last byte", "one short", "half", "no code", "7 bytes", "empty", "longer"],
)
def test_damaged_machine_code_is_compiled_and_cached_again(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    answer(emit_constant(42))
    (file,) = folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert answer(emit_constant(42)) == 42
    assert list(folder.iterdir()) == [file]
    assert answer(must_not_emit) == 42


def test_functions_are_told_apart_by_name_and_specialization(folder: Path) -> None:
    assert [answer(emit_constant(number), specialization=("a test", number)) for number in (1, 2)] == [1, 2]
    assert [answer(must_not_emit, specialization=("a test", number)) for number in (1, 2)] == [1, 2]

    def emit_question(module: ir.Module, registers: Registers) -> None:
        emit_constant(3)(module, registers)
        module.get_global("answer").name = "question"

    assert native.compile_function("question", ("a test", 1), emit_question).digest
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("part", ["cpu", "features", "registers"])
def test_code_for_another_cpu_is_not_used(folder: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(emit_constant(1))
    target = native.cpu_target()
    other = {"cpu": "", "features": "", "registers": Registers(4, 1, 4)}[part]
    monkeypatch.setattr(native, "cpu_target", lambda: target._replace(**{part: other}))
    monkeypatch.setattr(native, "_toolchain", native._toolchain.__wrapped__)
    assert answer(emit_constant(2)) == 2
    assert len(list(folder.iterdir())) == 2


# ---- without a cache ----


def test_without_a_folder_code_is_compiled_every_time() -> None:
    with cache_in(None):
        assert [answer(emit_constant(number)) for number in (1, 2)] == [1, 2]


def test_a_folder_that_cannot_be_created_is_not_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with cache_in(tmp_path / "file" / "programs"):
        assert [answer(emit_constant(number)) for number in (1, 2)] == [1, 2]
    assert {name: content for name, (_, content) in contents(tmp_path).items()} == {"file": b"not a folder"}


def test_a_cache_in_a_bucket_is_left_to_jax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with cache_in("gs://bucket/programs"):
        assert answer(emit_constant(3)) == 3
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_replaced_is_not_an_error_and_leaves_nothing_behind(folder: Path) -> None:
    answer(emit_constant(42))
    (file,) = folder.iterdir()
    file.unlink()
    file.mkdir()
    assert answer(emit_constant(42)) == 42
    assert list(folder.iterdir()) == [file]
    assert list(file.iterdir()) == []


def test_a_full_disk_is_not_an_error_and_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert answer(emit_constant(42)) == 42
    assert list(folder.iterdir()) == []


# ---- CPUs ----


@pytest.mark.parametrize(
    ("features", "machine", "lanes"),
    [
        ({"fma": True, "avx512f": True}, "x86_64", 16),
        ({"fma": True, "avx512f": False}, "x86_64", 8),
        ({"fma": False, "avx512f": False}, "x86_64", None),
        ({}, "x86_64", None),
        ({"neon": True}, "arm64", 4),
        ({"neon": True}, "aarch64", 4),
    ],
)
def test_a_cpu_without_fused_multiply_adds_is_not_supported(
    features: dict[str, bool], machine: str, lanes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = type(llvm.get_host_cpu_features())(features)
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: reported)
    monkeypatch.setattr(native.platform, "machine", lambda: machine)
    target = native.cpu_target.__wrapped__()
    assert (target and target.registers.lanes) == lanes
    monkeypatch.setattr(native, "cpu_target", lambda: target)
    assert support.kernels_supported() == (lanes is not None)
