"""Machine code on disk: kept, read again, made anew where it is damaged, and done without where it cannot be kept."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import llvmlite.binding as llvm
import pytest
from llvmlite import ir

from softstep.kernels import native, support
from softstep.kernels.emit import INT, Registers


@contextlib.contextmanager
def keeping_in(folder: Path | str | None) -> Iterator[None]:
    """Machine code is kept in this folder, or nowhere."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", folder and str(folder))
    try:
        yield
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where machine code is kept; not there yet."""
    with keeping_in(tmp_path / "programs"):
        yield tmp_path / "programs"


def writes(number: int) -> Callable[[ir.Module, Registers], None]:
    """An emitter of a function that returns a number."""

    def emit(module: ir.Module, registers: Registers) -> None:
        function = ir.Function(module, ir.FunctionType(INT, []), "answer")
        ir.IRBuilder(function.append_basic_block()).ret(INT(number))

    return emit


def never(module: ir.Module, registers: Registers) -> None:
    raise AssertionError("machine code that is there already was made again")


def answer(emit: Callable[[ir.Module, Registers], None], of: Any = "a test") -> int:
    """What the compiled function returns."""
    code = native.compiled("answer", of, emit)
    return ctypes.CFUNCTYPE(ctypes.c_int64)(code.address)()


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Name, time and content of everything in it."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_machine_code_lies_in_one_file_where_jax_keeps_its_programs(folder: Path) -> None:
    assert answer(writes(42)) == 42
    (file,) = folder.iterdir()
    assert file.match("softstep-*.o")


def test_machine_code_that_is_kept_is_read_and_neither_made_nor_written(folder: Path) -> None:
    answer(writes(42))
    before = contents(folder)
    assert answer(never) == 42
    assert contents(folder) == before


def flipped(whole: bytes, place: int) -> bytes:
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: flipped(whole, 5),
        lambda whole: flipped(whole, 32),
        lambda whole: flipped(whole, len(whole) // 2),
        lambda whole: flipped(whole, len(whole) - 1),
        lambda whole: whole[:-1],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:32],
        lambda whole: whole[:7],
        lambda whole: b"",
        lambda whole: whole + b"\0",
    ],
    ids=["checksum", "first byte", "middle", "last byte", "one short", "half", "no code", "7 bytes", "empty", "longer"],
)
def test_machine_code_that_is_damaged_is_made_and_kept_anew(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    answer(writes(42))
    (file,) = folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert answer(writes(42)) == 42
    assert list(folder.iterdir()) == [file]
    assert answer(never) == 42


def test_what_code_is_for_and_its_name_tell_it_apart(folder: Path) -> None:
    assert [answer(writes(number), of=("a test", number)) for number in (1, 2)] == [1, 2]
    assert [answer(never, of=("a test", number)) for number in (1, 2)] == [1, 2]

    def another(module: ir.Module, registers: Registers) -> None:
        writes(3)(module, registers)
        module.get_global("answer").name = "question"

    assert native.compiled("question", ("a test", 1), another).digest
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("part", ["cpu", "features", "registers"])
def test_code_for_another_cpu_is_not_taken(folder: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(writes(1))
    here = native.target()
    other = {"cpu": "", "features": "", "registers": Registers(4, 1, 4)}[part]
    monkeypatch.setattr(native, "target", lambda: here._replace(**{part: other}))
    monkeypatch.setattr(native, "_made_by", native._made_by.__wrapped__)
    assert answer(writes(2)) == 2
    assert len(list(folder.iterdir())) == 2


# ---- where nothing can be kept ----


def test_without_a_folder_code_is_made_every_time() -> None:
    with keeping_in(None):
        assert [answer(writes(number)) for number in (1, 2)] == [1, 2]


def test_a_folder_that_cannot_be_made_is_no_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with keeping_in(tmp_path / "file" / "programs"):
        assert [answer(writes(number)) for number in (1, 2)] == [1, 2]
    assert {name: whole for name, (_, whole) in contents(tmp_path).items()} == {"file": b"no folder"}


def test_a_folder_that_is_a_bucket_is_left_to_jax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with keeping_in("gs://bucket/programs"):
        assert answer(writes(3)) == 3
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_put_in_its_place_is_no_error_and_leaves_nothing_behind(folder: Path) -> None:
    answer(writes(42))
    (file,) = folder.iterdir()
    file.unlink()
    file.mkdir()
    assert answer(writes(42)) == 42
    assert list(folder.iterdir()) == [file]
    assert list(file.iterdir()) == []


def test_a_disk_that_is_full_is_no_error_and_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, whole: bytes) -> None:
        with path.open("wb") as file:
            file.write(whole[: len(whole) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    assert answer(writes(42)) == 42
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
def test_a_cpu_has_registers_of_its_width_or_no_kernels_without_fused_multiply_adds(
    features: dict[str, bool], machine: str, lanes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_llvm_says = type(llvm.get_host_cpu_features())(features)
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: as_llvm_says)
    monkeypatch.setattr(native.platform, "machine", lambda: machine)
    found = native.target.__wrapped__()
    assert (found and found.registers.lanes) == lanes
    monkeypatch.setattr(native, "target", lambda: found)
    assert support.supported() == (lanes is not None)
