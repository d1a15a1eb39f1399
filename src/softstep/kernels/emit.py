"""Dense linear algebra as LLVM code: loops, products of small matrices, transposes.

All numbers are float32 and all sizes are known when the code is made. A tile of a product stays in vector registers
while the inner dimension runs; each element is summed in the order k = 0, 1, … by fused multiply-adds, so its bits
depend on nothing but its inputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from llvmlite import ir

FLOAT, INT, POINTER, VOID = ir.FloatType(), ir.IntType(64), ir.PointerType(), ir.VoidType()

Finish = Callable[[ir.Value, ir.Value, ir.Value], ir.Value]
"""(sums, row, column of the first) → what is stored."""


class Registers(NamedTuple):
    """What a tile may take of a core's vector registers."""

    lanes: int
    """Floats in one register."""
    across: int
    """Registers side by side in a full tile."""
    tile: int
    """Registers of a whole tile."""


class Matrix(NamedTuple):
    """Numbers at `data`: element (i, j) lies i·row + j·column of them on."""

    data: ir.Value
    row: int
    column: int = 1

    @property
    def transposed(self) -> Matrix:
        """The same numbers with rows and columns exchanged."""
        return Matrix(self.data, self.column, self.row)


Size = tuple[int, ...]


class Signature(NamedTuple):
    """The arrays that a function reads and writes, one pointer each, in order."""

    reads: list[Size]
    writes: list[Size]


def function(module: ir.Module, name: str, signature: Signature, *, apart: bool = True) -> ir.Function:
    """A function of pointers to arrays; `apart`: none of which overlap."""
    pointers = [POINTER] * len(signature.reads + signature.writes)
    made = ir.Function(module, ir.FunctionType(VOID, pointers), name)
    made.linkage = "internal"
    if apart:
        for argument in made.args:
            argument.add_attribute("noalias")
    return made


class Emitter:
    """Writes code at the end of a function."""

    def __init__(self, function: ir.Function, registers: Registers) -> None:
        self.builder = ir.IRBuilder(function.append_basic_block())
        self._registers = registers

    def product(
        self,
        size: tuple[int, int, int],
        a: Matrix,
        b: Matrix,
        c: Matrix,
        *,
        start: ir.Value | None = None,
        finish: Finish | None = None,
    ) -> None:
        """c = finish(start + a · b) for a (M, K), b (K, N) and c (M, N), with the columns of b and c side by side.

        `start` points to a number for each row (else 0).
        """
        rows, columns, depth = size
        done, full = 0, self._registers.lanes * self._registers.across
        for lanes in _stripes(columns, full):
            count = (columns - done) // lanes * lanes
            with self._loop(count, lanes) as (along, _, _):
                column = self.builder.add(along, INT(done))
                for first, end, tall in self._heights(rows, lanes):
                    with self._loop(end - first, tall) as (down, _, _):
                        top = self.builder.add(down, INT(first))
                        self._tile((top, tall), (column, lanes), depth, (a, b, c), start, finish)
            done += count

    def _heights(self, rows: int, lanes: int) -> list[tuple[int, int, int]]:
        """(first row, end, rows of a tile): full tiles, then one with what is left."""
        full = max(1, self._registers.tile // max(1, lanes // self._registers.lanes))
        whole = rows // full * full
        return [part for part in ((0, whole, full), (whole, rows, rows - whole)) if part[0] < part[1]]

    def _tile(
        self,
        down: tuple[ir.Value, int],
        along: tuple[ir.Value, int],
        depth: int,
        matrices: tuple[Matrix, Matrix, Matrix],
        start: ir.Value | None,
        finish: Finish | None,
    ) -> None:
        """The elements of c from row and column `down[0]`, `along[0]` on, `down[1]` by `along[1]` of them."""
        (a, b, c), (column, lanes) = matrices, along
        kind = _vector(lanes)
        rows = [self.builder.add(down[0], INT(r)) for r in range(down[1])]
        zero = ir.Constant(kind, None)
        begin = [zero if start is None else self._spread(self._load(FLOAT, self._at(start, row)), kind) for row in rows]
        with self._loop(depth, 1, begin) as (k, now, new):
            right = self._load(kind, self._element(b, k, column))
            for row, sums in zip(rows, now, strict=True):
                left = self._spread(self._load(FLOAT, self._element(a, row, k)), kind)
                new.append(self.builder.call(self._intrinsic("fma", kind, 3), [left, right, sums]))
        for row, sums in zip(rows, new, strict=True):
            value = sums if finish is None else finish(sums, row, column)
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
        """out[i] = finish(start[i] + Σ_j a[i, j]·weights[j]), for as many rows at a time as a register has lanes.

        Without `start` the sums begin at 0, without `weights` they are of the numbers themselves.
        """
        build, lanes, done = self.builder, self._registers.lanes, 0
        whole = columns - columns % lanes
        for count in _stripes(rows, lanes):
            end = rows - (rows - done) % count
            with self._loop(end - done, count) as (down, _, _):
                each = [build.add(down, INT(done + n)) for n in range(count)]
                totals = [self.constant(0.0, 1)] * count
                if whole:
                    with self._loop(whole, lanes, [self.constant(0.0, lanes)] * count) as (j, now, sums):
                        sums += self._terms(now, a, each, j, lanes, weights)
                    totals = self._sums(sums)
                for j in range(whole, columns):
                    totals = self._terms(totals, a, each, INT(j), 1, weights)
                for i, total in zip(each, totals, strict=True):
                    begun = total if start is None else build.fadd(total, self.load(start, i, 1))
                    self.store(begun if finish is None else finish(begun, i, INT(0)), out, i)
            done = end

    def _terms(
        self, sums: list[ir.Value], a: Matrix, rows: list[ir.Value], j: ir.Value, width: int, weights: ir.Value | None
    ) -> list[ir.Value]:
        """The sums and what columns j … j + width − 1 add to them."""
        kind = _vector(width)
        each = [self._load(kind, self._element(a, i, j)) for i in rows]
        if weights is None:
            return list(map(self.builder.fadd, sums, each))
        weight, fma = self.load(weights, j, width), self._intrinsic("fma", kind, 3)
        return [self.builder.call(fma, [number, weight, total]) for number, total in zip(each, sums, strict=True)]

    def _sums(self, vectors: list[ir.Value]) -> list[ir.Value]:
        """The sum of each vector's lanes: as many vectors as lanes are added up side by side."""
        lanes, bit = vectors[0].type.count, 1
        if len(vectors) < lanes:
            return [self._sum(vector) for vector in vectors]
        while len(vectors) > 1:
            low, high = _exchange(lanes, bit)
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [self.builder.fadd(self._pick(a, b, low), self._pick(a, b, high)) for a, b in pairs]
            bit *= 2
        return [self.builder.extract_element(vectors[0], _INDEX(n)) for n in range(lanes)]

    def transpose(self, rows: int, columns: int, a: Matrix, c: Matrix) -> None:
        """c[j, i] = a[i, j], in square blocks of whole registers where the sizes allow it."""
        lanes = self._registers.lanes
        block = 1 if rows % lanes or columns % lanes else lanes
        with self._loop(rows, block) as (i, _, _), self._loop(columns, block) as (j, _, _):
            each = [self._load(_vector(block), self._element(a, self.builder.add(i, INT(n)), j)) for n in range(block)]
            for n, vector in enumerate(self._exchanged(each)):
                self.builder.store(vector, self._element(c, self.builder.add(j, INT(n)), i), align=4)

    def sweep(self, count: int, turn: Callable[[ir.Value, int], None]) -> None:
        """`turn`(i, width) for the numbers i … i + width − 1 of `count`, a register of them at a time."""
        done = 0
        for width in _stripes(count, self._registers.lanes):
            end = count - (count - done) % width
            with self._loop(end - done, width) as (i, _, _):
                turn(self.builder.add(i, INT(done)), width)
            done = end

    def load(self, data: ir.Value, i: ir.Value, width: int) -> ir.Value:
        """Numbers i … i + width − 1."""
        return self._load(_vector(width), self._at(data, i))

    def store(self, value: ir.Value, data: ir.Value, i: ir.Value) -> None:
        """Put a vector down from number i on."""
        self.builder.store(value, self._at(data, i), align=4)

    def number(self, data: ir.Value, i: int) -> ir.Value:
        """Number i."""
        return self._load(FLOAT, self.at(data, i))

    def constant(self, value: float, width: int) -> ir.Value:
        """`value` in every lane of a vector."""
        kind = _vector(width)
        return kind(value) if width == 1 else kind([value] * width)

    def spread(self, number: ir.Value, width: int) -> ir.Value:
        """`number` in every lane of a vector."""
        return self._spread(number, _vector(width))

    def square_root(self, value: ir.Value) -> ir.Value:
        """√value, correctly rounded."""
        return self.builder.call(self._intrinsic("sqrt", value.type, 1), [value])

    def _exchanged(self, block: list[ir.Value]) -> list[ir.Value]:
        """A square block transposed: bit by bit, the number of the row changes places with that of the lane."""
        lanes, bit = len(block), 1
        while bit < lanes:
            low, high = _exchange(lanes, bit)
            for r in (r for r in range(lanes) if not r & bit):
                first, second = block[r], block[r | bit]
                block[r], block[r | bit] = self._pick(first, second, low), self._pick(first, second, high)
            bit *= 2
        return block

    def positive_part(self, value: ir.Value) -> ir.Value:
        """max(0, value); NaN stays NaN."""
        zero = ir.Constant(value.type, None)
        return self.builder.select(self.builder.fcmp_ordered("<", value, zero), zero, value)

    def where_positive(self, condition: Matrix) -> Finish:
        """A product's finish: its sums where `condition` > 0, else 0."""

        def finish(sums: ir.Value, row: ir.Value, column: ir.Value) -> ir.Value:
            zero = ir.Constant(sums.type, None)
            other = self._load(sums.type, self._element(condition, row, column))
            return self.builder.select(self.builder.fcmp_ordered(">", other, zero), sums, zero)

        return finish

    def at(self, data: ir.Value, offset: int) -> ir.Value:
        """The address `offset` numbers on."""
        return self._at(data, INT(offset))

    def beyond(self, data: ir.Value, index: ir.Value, size: int) -> ir.Value:
        """The address of array number `index` of arrays of `size` numbers."""
        return self._at(data, self.builder.mul(index, INT(size)))

    @contextlib.contextmanager
    def loop(self, count: int) -> Iterator[ir.Value]:
        """0, 1, … < count, at least once."""
        with self._loop(count, 1) as (i, _, _):
            yield i

    @contextlib.contextmanager
    def _loop(
        self, count: int, step: int, start: Sequence[ir.Value] = ()
    ) -> Iterator[tuple[ir.Value, list[ir.Value], list[ir.Value]]]:
        """i = 0, step, … < count, at least once: i, the values it carries, and a list to fill with the next ones."""
        build, before = self.builder, self.builder.block
        body, after = build.append_basic_block(), build.append_basic_block()
        build.branch(body)
        build.position_at_end(body)
        i, now = build.phi(INT), [build.phi(value.type) for value in start]
        new: list[ir.Value] = []
        yield i, now, new
        following, last = build.add(i, INT(step)), build.block
        for phi, first, then in zip((i, *now), (INT(0), *start), (following, *new), strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(then, last)
        build.cbranch(build.icmp_signed("<", following, INT(count)), body, after)
        build.position_at_end(after)

    def _element(self, matrix: Matrix, row: ir.Value, column: ir.Value) -> ir.Value:
        """The address of element (row, column)."""
        build = self.builder
        offset = build.add(build.mul(row, INT(matrix.row)), build.mul(column, INT(matrix.column)))
        return self._at(matrix.data, offset)

    def _at(self, data: ir.Value, offset: ir.Value) -> ir.Value:
        return self.builder.gep(data, [offset], source_etype=FLOAT)

    def _load(self, kind: ir.Type, address: ir.Value) -> ir.Value:
        return self.builder.load(address, typ=kind, align=4)

    def _spread(self, number: ir.Value, kind: ir.Type) -> ir.Value:
        """`number` in every lane."""
        if kind is FLOAT:
            return number
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), number, _INDEX(0))
        return self._pick(one, one, [0] * kind.count)

    def _pick(self, a: ir.Value, b: ir.Value, lanes: Sequence[int]) -> ir.Value:
        """The lanes with these numbers, counted through `a` and then `b`."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INDEX, len(lanes)), list(lanes)))

    def _sum(self, vector: ir.Value) -> ir.Value:
        """The sum of a vector's lanes, halves added to halves."""
        while (half := vector.type.count // 2) > 0:
            low, high = (self._pick(vector, vector, range(start, start + half)) for start in (0, half))
            vector = self.builder.fadd(low, high)
        return self.builder.extract_element(vector, _INDEX(0))

    def _intrinsic(self, name: str, kind: ir.Type, arguments: int) -> ir.Function:
        """LLVM's function of this name for numbers or vectors of them."""
        module = self.builder.module
        full = f"llvm.{name}.f32" if kind is FLOAT else f"llvm.{name}.v{kind.count}f32"
        return module.globals.get(full) or ir.Function(module, ir.FunctionType(kind, [kind] * arguments), full)


_INDEX = ir.IntType(32)


def _vector(lanes: int) -> ir.Type:
    return FLOAT if lanes == 1 else ir.VectorType(FLOAT, lanes)


def _exchange(lanes: int, bit: int) -> tuple[list[int], list[int]]:
    """Which lanes of two vectors, counted through both, change places: those of the first with this bit set, and those
    of the second without it. The first vector after that, and the second."""
    low = [n + (lanes - bit if n & bit else 0) for n in range(lanes)]
    high = [n + (lanes if n & bit else bit) for n in range(lanes)]
    return low, high


def _stripes(columns: int, full: int) -> list[int]:
    """Widths in which to take the columns, each as often as it fits: `full`, then ever smaller powers of two."""
    widths = []
    while columns:
        if columns >= full:
            widths.append(full)
            columns %= full
        full //= 2
    return widths
