"""A matrix product for Numba's kernels that keeps its sums in registers.

It calls no library, since a library's own threads could change the order of a sum.
"""
# mypy: ignore-errors
# Numba caches compiled kernels by the time stamp of their own file: after a change here, touch
# _kernels.py too.

from __future__ import annotations

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Rows of a block, and numbers in a vector. A block is two vectors wide: 14 sums and 3 factors fit
# 32 registers of 512 bits, 12 sums and 3 factors fit 16 of 256. WIDTHS is a multiple of both.
ROWS, LANES = (7, 16) if llvmlite.binding.get_host_cpu_features().get("avx512f") else (6, 8)
VECTORS, WIDTHS = 2, 32
_INDEX, _VECTOR = ir.IntType(64), ir.VectorType(ir.FloatType(), LANES)


@intrinsic
def multiply_block(_, left, row, right, column, out):
    """Compute a block of left times right, all of them float32 and C-contiguous.

    The block is out[row : row + ROWS, column : column + VECTORS * LANES]. Sums run over K in order,
    with product and sum fused: as exact as a sum of K numbers is, and the same bits for any block.

    Args:
        _: Numba's typing context.
        left: [T, K].
        row: first row of the block.
        right: [K, C].
        column: first column of the block.
        out: [T, C], written.
    """

    def generate_code(context, builder, signature, values):
        _ProductBlock(context, builder, signature.args, values).write()
        return context.get_dummy_value()

    return types.void(left, types.intp, right, types.intp, out), generate_code


@intrinsic
def multiply_add_block(_, left, row, right, column, out, depth):
    """Add a block of left transposed times right to out; see `multiply_block`.

    Args:
        _: Numba's typing context.
        left: [T, K].
        row: first row of the block.
        right: [T, C].
        column: first column of the block.
        out: [K, C], added to.
        depth: number of rows of left and right that are used.
    """

    def generate_code(context, builder, signature, values):
        _TransposedBlock(context, builder, signature.args, values).write()
        return context.get_dummy_value()

    return types.void(left, types.intp, right, types.intp, out, types.intp), generate_code


class _ProductBlock:
    """The instructions of one block.

    Variables are on the stack until LLVM gives them registers.
    """

    def __init__(self, context, builder, kinds, values):
        self._builder, (self._row, self._column) = builder, (values[1], values[3])
        left, right, out = (
            context.make_array(kinds[i])(context, builder, values[i]) for i in (0, 2, 4)
        )
        (_, self._inner), (_, self._width) = (
            cgutils.unpack_tuple(builder, matrix.shape) for matrix in (left, right)
        )
        self._left, self._right, self._out = left.data, right.data, out.data
        self._depth = self._depth_of(values)
        self._sums = [
            [cgutils.alloca_once_value(builder, start) for start in self._initial_sums(row)]
            for row in range(ROWS)
        ]
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        self._fused = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")

    def _depth_of(self, values):
        return self._inner

    def _initial_sums(self, row):
        return [ir.Constant(_VECTOR, [0.0] * LANES)] * VECTORS

    def _factor(self, row, step):
        """Return the flat index of a row's left factor at a step of the sum."""
        return self._flat_index(self._line(row), self._inner, step)

    def write(self):
        builder = self._builder
        with cgutils.for_range(builder, self._depth) as loop:
            factors = [
                builder.load(pointer, align=4) for pointer in self._vectors(self._right, loop.index)
            ]
            for row, sums in enumerate(self._sums):
                value = self._broadcast(
                    builder.load(builder.gep(self._left, [self._factor(row, loop.index)]))
                )
                for total, factor in zip(sums, factors, strict=True):
                    builder.store(
                        builder.call(self._fused, [value, factor, builder.load(total)]), total
                    )
        for row, sums in enumerate(self._sums):
            for total, pointer in zip(sums, self._vectors(self._out, self._line(row)), strict=True):
                builder.store(builder.load(total), pointer, align=4)

    def _line(self, row):
        return self._builder.add(self._row, ir.Constant(_INDEX, row))

    def _flat_index(self, line, width, column):
        return self._builder.add(self._builder.mul(line, width), column)

    def _vectors(self, matrix, line):
        """Yield pointers to the block's vectors in a line of C numbers."""
        first = self._flat_index(line, self._width, self._column)
        for number in range(VECTORS):
            index = self._builder.add(first, ir.Constant(_INDEX, number * LANES))
            yield self._builder.bitcast(self._builder.gep(matrix, [index]), _VECTOR.as_pointer())

    def _broadcast(self, value):
        """Return a vector that repeats one number."""
        empty = ir.Constant(_VECTOR, ir.Undefined)
        first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        vector = self._builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
        return self._builder.shuffle_vector(vector, empty, first)


class _TransposedBlock(_ProductBlock):
    """The instructions of `multiply_add_block`: the left matrix transposed, sums that continue."""

    def _depth_of(self, values):
        return values[5]

    def _initial_sums(self, row):
        return [
            self._builder.load(pointer, align=4)
            for pointer in self._vectors(self._out, self._line(row))
        ]

    def _factor(self, row, step):
        return self._flat_index(step, self._inner, self._line(row))
