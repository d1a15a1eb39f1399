"""Dense linear algebra as LLVM code: loops, products of small matrices, transposes.

All numbers are float32, and all sizes are known when the code is emitted. A tile of a product stays in vector registers
while the inner dimension runs. Each element is summed in the order k = 0, 1, … by fused multiply-adds, so its bits
depend only on its inputs.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from llvmlite import ir

from softstep.kernels.llvm_types import FLOAT, INT, Either, Matrix, Registers

Finish = Callable[[ir.Value, ir.Value, ir.Value], ir.Value]
"""(sums, row, column of the first sum) → the values to store."""


class Emitter:
    """Appends code to a function."""

    def __init__(self, function: ir.Function, registers: Registers) -> None:
        self.builder = ir.IRBuilder(function.append_basic_block())
        self._registers = registers

    # ---- matrices ----

    def product(
        self,
        size: tuple[int, int, int],
        a: Matrix | Either,
        b: Matrix,
        c: Matrix,
        *,
        start: ir.Value | None = None,
        finish: Finish | None = None,
    ) -> None:
        """Emit c = finish(start + a · b).

        Args:
            size: (M, N, K).
            a: (M, K), or one of two such matrices for each column of b.
            b: (K, N), with its columns side by side in memory.
            c: (M, N), with its columns side by side in memory.
            start: pointer to the number that each row's sums begin with; 0 if None.
            finish: applied to the sums before they are stored.
        """
        rows, columns, depth = size
        for stripe in _stripes(columns, self._registers.lanes * self._registers.tile_width):
            with self._loop(stripe.length, stripe.width) as (offset, _, _):
                column = self.builder.add(offset, INT(stripe.start))
                for first, end, height in self._row_ranges(rows, stripe.width):
                    with self._loop(end - first, height) as (down, _, _):
                        row = self.builder.add(down, INT(first))
                        self._tile((row, height), (column, stripe.width), depth, (a, b, c), start, finish)

    def _row_ranges(self, rows: int, width: int) -> list[tuple[int, int, int]]:
        """Return (first row, end, height of a tile) of the full tiles and of the tile with the remaining rows."""
        full = max(1, self._registers.tile_registers // max(1, width // self._registers.lanes))
        end = rows // full * full
        return [part for part in ((0, end, full), (end, rows, rows - end)) if part[0] < part[1]]

    def _tile(
        self,
        vertical: tuple[ir.Value, int],
        horizontal: tuple[ir.Value, int],
        depth: int,
        matrices: tuple[Matrix | Either, Matrix, Matrix],
        start: ir.Value | None,
        finish: Finish | None,
    ) -> None:
        """Emit one tile of a product.

        Args:
            vertical: the tile's first row and its number of rows.
            horizontal: the tile's first column and its number of columns.
            depth: K, the inner dimension.
            matrices: a, b and c, as in `product`.
            start: as in `product`.
            finish: as in `product`.
        """
        (a, b, c), (column, width) = matrices, horizontal
        kind = _vector(width)
        rows = [self.builder.add(vertical[0], INT(n)) for n in range(vertical[1])]
        zero = ir.Constant(kind, None)
        initial = [
            zero if start is None else self._broadcast(self._load(FLOAT, self._offset(start, row)), kind)
            for row in rows
        ]
        second = self.is_positive(self.load(a.second_where, column, width)) if isinstance(a, Either) else None
        with self._loop(depth, 1, initial) as (k, sums, new_sums):
            right = self._load(kind, self._element(b, k, column))
            for row, total in zip(rows, sums, strict=True):
                if isinstance(a, Either):
                    left = self.builder.select(
                        second, self._in_every_lane(a.second, row, k, kind), self._in_every_lane(a.first, row, k, kind)
                    )
                else:
                    left = self._in_every_lane(a, row, k, kind)
                new_sums.append(self.builder.call(self.intrinsic("fma", kind, 3), [left, right, total]))
        for row, total in zip(rows, new_sums, strict=True):
            value = total if finish is None else finish(total, row, column)
            self.builder.store(value, self._element(c, row, column), align=4)

    def row_sums(
        self,
        rows: int,
        columns: int,
        a: Matrix,
        out: ir.Value,
        *,
        weights: ir.Value | None = None,
        start: ir.Value | None = None,
        finish: Finish | None = None,
    ) -> None:
        """Emit out[i] = finish(start[i] + Σ_j a[i, j]·weights[j]), for as many rows at a time as a register has lanes.

        Args:
            rows: number of rows of a.
            columns: number of columns of a.
            a: the matrix, with its columns side by side in memory.
            out: pointer to the sums.
            weights: pointer to a weight for each column; 1 if None.
            start: pointer to the number that each row's sum begins with; 0 if None.
            finish: applied to the sums before they are stored.
        """
        build, lanes = self.builder, self._registers.lanes
        whole = columns - columns % lanes
        for stripe in _stripes(rows, lanes):
            with self._loop(stripe.length, stripe.width) as (down, _, _):
                indices = [build.add(down, INT(stripe.start + n)) for n in range(stripe.width)]
                totals = [self.constant(0.0, 1)] * stripe.width
                if whole:
                    zeros = [self.constant(0.0, lanes)] * stripe.width
                    with self._loop(whole, lanes, zeros) as (j, sums, new_sums):
                        new_sums += self._add_columns(sums, a, indices, j, lanes, weights)
                    totals = self._lane_sums(new_sums)
                for j in range(whole, columns):
                    totals = self._add_columns(totals, a, indices, INT(j), 1, weights)
                for i, total in zip(indices, totals, strict=True):
                    total = total if start is None else build.fadd(total, self.load(start, i, 1))
                    self.store(total if finish is None else finish(total, i, INT(0)), out, i)

    def _add_columns(
        self, sums: list[ir.Value], a: Matrix, rows: list[ir.Value], j: ir.Value, width: int, weights: ir.Value | None
    ) -> list[ir.Value]:
        """Emit the addition of columns j … j + width − 1 to the rows' sums.

        Args:
            sums: a vector of `width` partial sums for each row.
            a: the matrix.
            rows: indices of the rows.
            j: index of the first column.
            width: number of columns.
            weights: pointer to a weight for each column; 1 if None.

        Returns: the new sums.
        """
        kind = _vector(width)
        numbers = [self._load(kind, self._element(a, i, j)) for i in rows]
        if weights is None:
            return list(map(self.builder.fadd, sums, numbers))
        weight, fma = self.load(weights, j, width), self.intrinsic("fma", kind, 3)
        return [self.builder.call(fma, [number, weight, total]) for number, total in zip(numbers, sums, strict=True)]

    def transpose(self, rows: int, columns: int, a: Matrix, c: Matrix) -> None:
        """Emit c[j, i] = a[i, j], in square blocks: of whole registers as far as they go, then of smaller ones.

        Args:
            rows: number of rows of a.
            columns: number of columns of a.
            a: the matrix to read.
            c: the matrix to write.
        """
        lanes, add = self._registers.lanes, self.builder.add
        for across, down in itertools.product(_stripes(columns, lanes), _stripes(rows, lanes)):
            size = min(across.width, down.width)
            with self._loop(down.length, size) as (i, _, _), self._loop(across.length, size) as (j, _, _):
                row, column = add(i, INT(down.start)), add(j, INT(across.start))
                block = [self._load(_vector(size), self._element(a, add(row, INT(n)), column)) for n in range(size)]
                for n, vector in enumerate(self._transposed_block(block)):
                    self.builder.store(vector, self._element(c, add(column, INT(n)), row), align=4)

    def _transposed_block(self, block: list[ir.Value]) -> list[ir.Value]:
        """Emit the transpose of a square block: bit by bit, the row number changes places with the lane number."""
        lanes, bit = len(block), 1
        while bit < lanes:
            low, high = _exchange_masks(lanes, bit)
            for row in (row for row in range(lanes) if not row & bit):
                first, second = block[row], block[row | bit]
                block[row], block[row | bit] = self._shuffle(first, second, low), self._shuffle(first, second, high)
            bit *= 2
        return block

    # ---- vectors ----

    def sweep(self, count: int, body: Callable[[ir.Value, int], None]) -> None:
        """Emit `body(i, width)` for the numbers i … i + width − 1 of `count`, one register of them at a time."""
        for stripe in _stripes(count, self._registers.lanes):
            with self._loop(stripe.length, stripe.width) as (i, _, _):
                body(self.builder.add(i, INT(stripe.start)), stripe.width)

    def copy(self, count: int, source: ir.Value, destination: ir.Value) -> None:
        """Emit a copy of `count` numbers."""
        self.sweep(count, lambda i, width: self.store(self.load(source, i, width), destination, i))

    def load(self, data: ir.Value, i: ir.Value, width: int) -> ir.Value:
        """Emit a load of the numbers i … i + width − 1."""
        return self._load(_vector(width), self._offset(data, i))

    def store(self, value: ir.Value, data: ir.Value, i: ir.Value) -> None:
        """Emit a store of a vector from number i on."""
        self.builder.store(value, self._offset(data, i), align=4)

    def load_number(self, data: ir.Value, i: int) -> ir.Value:
        """Emit a load of number i."""
        return self._load(FLOAT, self.address(data, i))

    def load_index(self, data: ir.Value, i: ir.Value) -> ir.Value:
        """Emit a load of 32-bit integer number i."""
        return self.builder.zext(self._load(_INDEX, self._offset(data, i)), INT)

    def constant(self, value: float, width: int) -> ir.Value:
        """Return `value` in every lane of a vector."""
        kind = _vector(width)
        return kind(value) if width == 1 else kind([value] * width)

    def broadcast(self, number: ir.Value, width: int) -> ir.Value:
        """Emit a vector with `number` in every lane."""
        return self._broadcast(number, _vector(width))

    def square_root(self, value: ir.Value) -> ir.Value:
        """Emit √value, correctly rounded."""
        return self.builder.call(self.intrinsic("sqrt", value.type, 1), [value])

    def positive_part(self, value: ir.Value) -> ir.Value:
        """Emit max(0, value); NaN stays NaN."""
        zero = ir.Constant(value.type, None)
        return self.builder.select(self.builder.fcmp_ordered("<", value, zero), zero, value)

    def is_positive(self, value: ir.Value) -> ir.Value:
        """Emit value > 0; NaN is not."""
        return self.builder.fcmp_ordered(">", value, ir.Constant(value.type, None))

    def where_positive(self, condition: Matrix | Either) -> Finish:
        """Return a product's finish: its sums where `condition` > 0, else 0."""

        def finish(sums: ir.Value, row: ir.Value, column: ir.Value) -> ir.Value:
            if isinstance(condition, Either):
                second = self.is_positive(self._load(sums.type, self._offset(condition.second_where, column)))
                parts = condition.second, condition.first
                other = self.builder.select(
                    second, *(self._load(sums.type, self._element(part, row, column)) for part in parts)
                )
            else:
                other = self._load(sums.type, self._element(condition, row, column))
            return self.builder.select(self.is_positive(other), sums, ir.Constant(sums.type, None))

        return finish

    def _lane_sums(self, vectors: list[ir.Value]) -> list[ir.Value]:
        """Emit the sum of each vector's lanes; as many vectors as lanes are summed side by side."""
        lanes, bit = vectors[0].type.count, 1
        if len(vectors) < lanes:
            return [self._lane_sum(vector) for vector in vectors]
        while len(vectors) > 1:
            low, high = _exchange_masks(lanes, bit)
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [self.builder.fadd(self._shuffle(a, b, low), self._shuffle(a, b, high)) for a, b in pairs]
            bit *= 2
        return [self.builder.extract_element(vectors[0], _INDEX(n)) for n in range(lanes)]

    def _lane_sum(self, vector: ir.Value) -> ir.Value:
        """Emit the sum of a vector's lanes, halves added to halves."""
        while (half := vector.type.count // 2) > 0:
            low, high = (self._shuffle(vector, vector, range(start, start + half)) for start in (0, half))
            vector = self.builder.fadd(low, high)
        return self.builder.extract_element(vector, _INDEX(0))

    def _in_every_lane(self, matrix: Matrix, row: ir.Value, column: ir.Value, kind: ir.Type) -> ir.Value:
        """Emit a vector with one element of a matrix in every lane."""
        return self._broadcast(self._load(FLOAT, self._element(matrix, row, column)), kind)

    def _broadcast(self, number: ir.Value, kind: ir.Type) -> ir.Value:
        """Emit `number` in every lane."""
        if kind is FLOAT:
            return number
        single = self.builder.insert_element(ir.Constant(kind, ir.Undefined), number, _INDEX(0))
        return self._shuffle(single, single, [0] * kind.count)

    def _shuffle(self, a: ir.Value, b: ir.Value, lanes: Sequence[int]) -> ir.Value:
        """Emit a vector of these lanes, counted through `a` and then `b`."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INDEX, len(lanes)), list(lanes)))

    def intrinsic(self, name: str, kind: ir.Type, arguments: int) -> ir.Function:
        """Return LLVM's function of this name for numbers, or for vectors of them."""
        module = self.builder.module
        full = f"llvm.{name}.f32" if kind is FLOAT else f"llvm.{name}.v{kind.count}f32"
        return module.globals.get(full) or ir.Function(module, ir.FunctionType(kind, [kind] * arguments), full)

    # ---- addresses and loops ----

    def address(self, data: ir.Value, offset: int) -> ir.Value:
        """Emit the address `offset` floats after `data`."""
        return self._offset(data, INT(offset))

    def array_address(self, data: ir.Value, index: ir.Value, size: int) -> ir.Value:
        """Emit the address of array number `index` among arrays of `size` floats."""
        return self._offset(data, self.builder.mul(index, INT(size)))

    @contextlib.contextmanager
    def loop(self, count: int) -> Iterator[ir.Value]:
        """Emit a loop over 0, 1, … < count, which runs at least once."""
        with self._loop(count, 1) as (i, _, _):
            yield i

    @contextlib.contextmanager
    def _loop(
        self, count: int, step: int, initial: Sequence[ir.Value] = ()
    ) -> Iterator[tuple[ir.Value, list[ir.Value], list[ir.Value]]]:
        """Emit a loop over i = 0, step, … < count, which runs at least once.

        Yields: i, the values carried from turn to turn (`initial` at first), and a list to fill with their successors.
        """
        build, before = self.builder, self.builder.block
        body, after = build.append_basic_block(), build.append_basic_block()
        build.branch(body)
        build.position_at_end(body)
        i, carried = build.phi(INT), [build.phi(value.type) for value in initial]
        successors: list[ir.Value] = []
        yield i, carried, successors
        next_i, end_of_body = build.add(i, INT(step)), build.block
        for phi, first, successor in zip((i, *carried), (INT(0), *initial), (next_i, *successors), strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(successor, end_of_body)
        build.cbranch(build.icmp_signed("<", next_i, INT(count)), body, after)
        build.position_at_end(after)

    def _element(self, matrix: Matrix, row: ir.Value, column: ir.Value) -> ir.Value:
        """Emit the address of element (row, column)."""
        build = self.builder
        offset = build.add(build.mul(row, INT(matrix.row)), build.mul(column, INT(matrix.column)))
        return self._offset(matrix.data, offset)

    def _offset(self, data: ir.Value, offset: ir.Value) -> ir.Value:
        return self.builder.gep(data, [offset], source_etype=FLOAT)

    def _load(self, kind: ir.Type, address: ir.Value) -> ir.Value:
        return self.builder.load(address, typ=kind, align=4)


_INDEX = ir.IntType(32)


def _vector(lanes: int) -> ir.Type:
    return FLOAT if lanes == 1 else ir.VectorType(FLOAT, lanes)


def _exchange_masks(lanes: int, bit: int) -> tuple[list[int], list[int]]:
    """Return two shuffles of a pair of vectors, with lanes counted through both.

    The first vector's lanes whose number has `bit` set change places with the second vector's lanes that have it unset.
    """
    low = [n + (lanes - bit if n & bit else 0) for n in range(lanes)]
    high = [n + (lanes if n & bit else bit) for n in range(lanes)]
    return low, high


class _Stripe(NamedTuple):
    """A part of a row of numbers that is worked on in steps of one width."""

    start: int
    length: int
    """A multiple of `width`."""
    width: int


def _stripes(count: int, full: int) -> list[_Stripe]:
    """Return stripes that cover `count` numbers: in steps of `full`, and what remains in ever smaller powers of two."""
    stripes, start, width = list[_Stripe](), 0, full
    while start < count:
        length = (count - start) // width * width
        if length:
            stripes.append(_Stripe(start, length, width))
        start, width = start + length, width // 2
    return stripes
