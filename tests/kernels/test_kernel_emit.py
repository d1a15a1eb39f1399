"""The emitter of matrices, where no pass of a network tests it by itself."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from softstep.kernels.emit import Emitter
from softstep.kernels.llvm_types import Matrix, Registers, Signature, declare_function
from softstep.kernels.xla_call import jax_function


def emit_transposed(rows: int, columns: int, module: ir.Module, registers: Registers) -> None:
    function = declare_function(module, "transposed", Signature([(rows, columns)], [(columns, rows)]))
    code, (before, after) = Emitter(function, registers), function.args
    code.transpose(rows, columns, Matrix(before, columns), Matrix(after, rows))
    code.builder.ret_void()


def transposed(array: np.ndarray) -> np.ndarray:
    """Transpose by a function that is compiled for the array's shape."""
    signature = Signature([array.shape], [array.T.shape])
    (result,) = jax_function("transposed", array.shape, signature, partial(emit_transposed, *array.shape))(array)
    return np.asarray(result)


def numbered(rows: int, columns: int) -> np.ndarray:
    return np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70))
def test_any_matrix_is_transposed(rows: int, columns: int) -> None:
    np.testing.assert_array_equal(transposed(numbered(rows, columns)), numbered(rows, columns).T)


@pytest.mark.parametrize("shape", [(64, 600), (64, 8), (16, 31), (31, 16), (33, 47), (1, 5)], ids=str)
def test_what_no_whole_block_covers_is_transposed_too(shape: tuple[int, int]) -> None:
    np.testing.assert_array_equal(transposed(numbered(*shape)), numbered(*shape).T)
