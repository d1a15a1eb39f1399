"""What the emitters share: LLVM's types, the CPU's registers, matrices in memory, and signatures of functions."""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

FLOAT, INT, POINTER, VOID = ir.FloatType(), ir.IntType(64), ir.PointerType(), ir.VoidType()

ArrayShape = tuple[int, ...]


class Registers(NamedTuple):
    """A core's vector registers, and how many of them a tile of a product occupies."""

    lanes: int
    """Floats in one register."""
    tile_width: int
    """Registers side by side in a full tile."""
    tile_registers: int
    """All registers of a full tile."""


class Matrix(NamedTuple):
    """A matrix in memory: element (i, j) lies i·row + j·column floats after `data`."""

    data: ir.Value
    row: int
    column: int = 1

    @property
    def transposed(self) -> Matrix:
        """The same numbers with rows and columns exchanged."""
        return Matrix(self.data, self.column, self.row)


class Either(NamedTuple):
    """Two matrices as the left factor of a product, one of which is used for each column of the right factor."""

    first: Matrix
    second: Matrix
    second_where: ir.Value
    """A number for each column: above 0 where `second` is used, else `first`."""

    @property
    def transposed(self) -> Either:
        """The same choice between the transposed matrices."""
        return Either(self.first.transposed, self.second.transposed, self.second_where)


class Signature(NamedTuple):
    """The arrays that a function reads and writes, one pointer each, in order."""

    reads: list[ArrayShape]
    writes: list[ArrayShape]
    shared: int = 0
    """How many of the arrays written, counted from the last, are working memory, which all agents share."""


def declare_function(module: ir.Module, name: str, signature: Signature, *, noalias: bool = True) -> ir.Function:
    """Declare a function of pointers to arrays, internal to the module.

    Args:
        module: the module to add to.
        name: the function's name.
        signature: the arrays, one pointer each.
        noalias: promise LLVM that no two arrays overlap.
    """
    pointers = [POINTER] * len(signature.reads + signature.writes)
    function = ir.Function(module, ir.FunctionType(VOID, pointers), name)
    function.linkage = "internal"
    if noalias:
        for argument in function.args:
            argument.add_attribute("noalias")
    return function
