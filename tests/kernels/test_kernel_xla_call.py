"""XLA's call frame: the layout equals the installed header's, and an unknown version leaves everything to XLA."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from llvmlite import ir
from support import advance, make_driver, small

from softstep.kernels import native, support, xla_call
from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import INT, Registers, Signature, declare_function

HEADER = Path(jax.ffi.include_dir()) / "xla/ffi/api/c_api.h"

OFFSETS = {
    "FRAME_EXTENSION": "offsetof(XLA_FFI_CallFrame, extension_start)",
    "FRAME_STAGE": "offsetof(XLA_FFI_CallFrame, stage)",
    "FRAME_ARGUMENTS": "offsetof(XLA_FFI_CallFrame, args) + offsetof(XLA_FFI_Args, args)",
    "FRAME_RESULTS": "offsetof(XLA_FFI_CallFrame, rets) + offsetof(XLA_FFI_Rets, rets)",
    "BUFFER_DATA": "offsetof(XLA_FFI_Buffer, data)",
    "BUFFER_RANK": "offsetof(XLA_FFI_Buffer, rank)",
    "BUFFER_DIMENSIONS": "offsetof(XLA_FFI_Buffer, dims)",
    "EXTENSION_METADATA": "offsetof(XLA_FFI_Metadata_Extension, metadata)",
    "METADATA_MAJOR": "offsetof(XLA_FFI_Metadata, api_version) + offsetof(XLA_FFI_Api_Version, major_version)",
    "METADATA_MINOR": "offsetof(XLA_FFI_Metadata, api_version) + offsetof(XLA_FFI_Api_Version, minor_version)",
    "EXECUTE": "XLA_FFI_ExecutionStage_EXECUTE",
}
"""Every constant of the layout as an expression in C."""

SIZES = {
    "int32_t": ["((XLA_FFI_Api_Version*)0)->major_version", "((XLA_FFI_CallFrame*)0)->stage"],
    "int64_t": ["((XLA_FFI_Buffer*)0)->rank", "*((XLA_FFI_Buffer*)0)->dims"],
}
"""Fields by the integer type that they are read or written as."""


# ---- the installed header ----


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_layout_is_that_of_the_installed_header(tmp_path: Path) -> None:
    sizes = [f"sizeof({field}) == sizeof({kind})" for kind, fields in SIZES.items() for field in fields]
    values = ", ".join(f"(long)({value})" for value in [*OFFSETS.values(), *sizes])
    code = f'#include <stdio.h>\n#include "{HEADER}"\nlong values[] = {{{values}}};\n' + (
        'int main() { for (int i = 0; i < sizeof(values) / sizeof(long); i++) printf("%ld ", values[i]); }'
    )
    (tmp_path / "layout.c").write_text(code)
    subprocess.run(["cc", tmp_path / "layout.c", "-o", tmp_path / "layout"], check=True)
    out = subprocess.run([tmp_path / "layout"], capture_output=True, text=True, check=True).stdout
    numbers = list(map(int, out.split()))
    assert dict(zip(OFFSETS, numbers, strict=False)) == {name: getattr(xla_call, name) for name in OFFSETS}
    assert numbers[len(OFFSETS) :] == [1] * len(sizes)


def test_the_installed_version_is_known() -> None:
    assert xla_call._installed_version() in xla_call.KNOWN_VERSIONS
    assert xla_call.layout_is_known()


# ---- other headers ----


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes | None], None]]:
    """Return a function that makes jaxlib ship another header, or none."""

    def ship(header: bytes | None) -> None:
        file = tmp_path / "xla/ffi/api/c_api.h"
        if header is not None:
            file.parent.mkdir(parents=True)
            file.write_bytes(header)
        monkeypatch.setattr(jax.ffi, "include_dir", lambda: str(tmp_path))

    xla_call.layout_is_known.cache_clear()
    yield ship
    xla_call.layout_is_known.cache_clear()


def header(major: object, minor: object) -> bytes:
    """Return the installed header with another version."""
    text = HEADER.read_text()
    for part, number in (("MAJOR", major), ("MINOR", minor)):
        (line,) = (line for line in text.splitlines() if line.startswith(f"#define XLA_FFI_API_{part} "))
        text = text.replace(line, f"#define XLA_FFI_API_{part} {number}")
    return text.encode()


UNKNOWN = {
    "newer minor": (header(0, 5), "version 0.5"),
    "much newer minor": (header(0, 30), "version 0.30"),
    "older minor": (header(0, 2), "version 0.2"),
    "other major": (header(1, 3), "version 1.3"),
    "not a number": (header(0, "(2 + 1)"), "no readable header"),
    "no version in it": (b"#pragma once\n", "no readable header"),
    "not text": (b"\xff\xfe" + header(0, 3), "no readable header"),
    "missing": (None, "no readable header"),
}
unknown = pytest.mark.parametrize(("shipped", "found"), UNKNOWN.values(), ids=UNKNOWN)


@unknown
def test_an_unknown_version_is_reported_once_and_turns_the_kernels_off(
    pretend: Any, shipped: bytes | None, found: str
) -> None:
    pretend(shipped)
    with pytest.warns(RuntimeWarning) as caught:
        assert [support.kernels_supported() for _ in range(3)] == [False] * 3
    (message,) = (str(warning.message) for warning in caught)
    for part in (f"found {found},", "only know version 0.3 or 0.4", "training continues without them, more slowly"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("version", [(0, 3), (0, 4)], ids=str)
def test_a_known_version_is_used_without_a_warning(pretend: Any, version: tuple[int, int]) -> None:
    pretend(header(*version))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert support.kernels_supported()


@pytest.mark.parametrize("without", ["the switch", "the CPU"])
def test_there_is_no_warning_when_the_kernels_are_off_anyway(
    pretend: Any, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    pretend(None)
    if without == "the switch":
        monkeypatch.setenv("SOFTSTEP_KERNELS", "0")
    else:
        monkeypatch.setattr(native, "cpu_target", lambda: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not support.kernels_supported()


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnax:CartPole-v1"])
def test_training_goes_on_without_kernels(pretend: Any, monkeypatch: pytest.MonkeyPatch, env: str) -> None:
    def must_not_compile(*_: Any) -> Any:
        raise AssertionError("machine code was compiled for an unknown layout")

    pretend(header(0, 5))
    monkeypatch.setattr(native, "compile_function", must_not_compile)
    config = small(env=env, batch_size=16, learning_starts=16, hidden=(13,))

    def learned() -> Any:
        driver = make_driver(config)
        advance(driver, config, config.warmup + 2)
        return driver.state.learner

    with pytest.warns(RuntimeWarning, match=r"version 0\.5"):
        learner = learned()
    assert (int(learner.gradient_steps[0]), int(learner.diverged_at[0])) == (2, 0)


# ---- what the handler reports ----


def emit_doubled(module: ir.Module, registers: Registers) -> None:
    """Emit a function that doubles 4 numbers."""
    doubled = declare_function(module, "doubled", Signature([(4,)], [(4,)]))
    code = Emitter(doubled, registers)
    numbers = code.load(doubled.args[0], INT(0), 4)
    code.store(code.builder.fadd(numbers, numbers), doubled.args[1], INT(0))
    code.builder.ret_void()


def call_doubled(specialization: str, array: Any) -> np.ndarray:
    """Compile that function and call it through XLA."""
    (result,) = xla_call.jax_function("doubled", specialization, Signature([(4,)], [(4,)]), emit_doubled)(array)
    return np.asarray(result)


def test_the_handler_reports_the_version_of_its_layout_whatever_is_installed(pretend: Any) -> None:
    pretend(header(7, 8))

    def with_handler(module: ir.Module, registers: Registers) -> None:
        emit_doubled(module, registers)
        xla_call.emit_handler(module, module.get_global("doubled"), Signature([(4,)], [(4,)]))

    code = native.compile_function("handler", "a handler that is asked for its version", with_handler)
    metadata, extension, frame = (ctypes.create_string_buffer(b"\xee" * 200, 200) for _ in range(3))
    for buffer, offset, pointer in (
        (extension, xla_call.EXTENSION_METADATA, metadata),
        (frame, xla_call.FRAME_EXTENSION, extension),
    ):
        ctypes.c_void_p.from_buffer(buffer, offset).value = ctypes.addressof(pointer)
    assert ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(code.address)(ctypes.addressof(frame)) is None
    reported = [
        ctypes.c_int32.from_buffer(metadata, offset).value
        for offset in (xla_call.METADATA_MAJOR, xla_call.METADATA_MINOR)
    ]
    assert tuple(reported) == xla_call.LAYOUT_VERSION


def test_xla_accepts_the_version_that_the_handler_reports() -> None:
    np.testing.assert_array_equal(call_doubled("a test", jnp.arange(4.0)), [0, 2, 4, 6])


@pytest.mark.parametrize("version", [(1, 0), (0, 99)], ids=str)
def test_xla_itself_refuses_a_handler_of_another_version(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]
) -> None:
    monkeypatch.setattr(xla_call, "LAYOUT_VERSION", version)
    refusal = re.escape("API version ({}.{}) is incompatible".format(*version))
    with pytest.raises(jax.errors.JaxRuntimeError, match=refusal):
        call_doubled(f"a test of version {version}", jnp.arange(4.0))
