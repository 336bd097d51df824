"""The Numba kernels of a block: convolution, instance norm, ReLU and pool, and their gradients.

Maps are float32 [N, H, W, C], so that the innermost loop runs over channels and becomes vector
instructions. Their buffers may be larger, since tiles extend beyond an edge: `size` is (high, wide)
of the maps. `moments` are [N, 4, C]: scale and shift of the norm, mean, and one over the standard
deviation. `rows` and `columns` are int [2, cells]: first and last + 1 pixel of a pool's windows.
Kernels release the interpreter's lock, and use one thread each.
"""
# mypy: ignore-errors

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numba
import numpy as np

from pipeline.models.kernels.cpu._product import (
    LANES,
    ROWS,
    VECTORS,
    multiply_add_block,
    multiply_block,
)

LOG = logging.getLogger(__name__)
ZERO, ONE, TWO, FOUR, FIVE, EIGHT = (np.float32(value) for value in (0, 1, 2, 4, 5, 8))
# Tiles of 4 x 4 pixels per batch. They and their products, 36 matrices of tiles x channels each,
# fit a cache of 1 MB at 128 channels.
TILES = 4 * ROWS


def compile_kernel(function: Any) -> Any:
    """Compile a function at its first call.

    The result is cached beside this file or in the user's cache folder, if one can be written.
    Products and sums may be fused, nothing is reordered: the bits do not depend on the number of
    threads.

    Args:
        function: of NumPy arrays and numbers, in the part of Python that Numba compiles.
    """
    options = {"fastmath": {"contract"}, "nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        _warn_of_no_cache()
        return numba.njit(**options)(function)


@cache
def _warn_of_no_cache() -> None:
    LOG.warning(
        "kernels are compiled in each run, since neither the package's folder nor a home can be "
        "written; set NUMBA_CACHE_DIR to a folder that can"
    )


@compile_kernel
def convolve_direct(x, weight, maps):
    """Convolve inputs with a small number of channels, 2 x 2 pixels at a time.

    Args:
        x: padded, [N, K, H + 2, W + 2].
        weight: [K, 9, C].
        maps: [N, H, W, C], written; H and W even.
    """
    for n in range(len(maps)):
        for i in range(0, maps.shape[1], 2):
            _convolve_two_lines(x[n], i, weight, maps[n, i], maps[n, i + 1])


@compile_kernel
def _convolve_two_lines(x, i, weight, upper, lower):
    upper[:] = ZERO
    lower[:] = ZERO
    for j in range(0, len(upper), 2):
        for k in range(len(x)):
            p0, p1, p2, p3 = x[k, i, j], x[k, i, j + 1], x[k, i, j + 2], x[k, i, j + 3]
            q0, q1 = x[k, i + 1, j], x[k, i + 1, j + 1]
            q2, q3 = x[k, i + 1, j + 2], x[k, i + 1, j + 3]
            r0, r1 = x[k, i + 2, j], x[k, i + 2, j + 1]
            r2, r3 = x[k, i + 2, j + 2], x[k, i + 2, j + 3]
            s0, s1 = x[k, i + 3, j], x[k, i + 3, j + 1]
            s2, s3 = x[k, i + 3, j + 2], x[k, i + 3, j + 3]
            for c in range(upper.shape[1]):
                a, b, d = weight[k, 0, c], weight[k, 1, c], weight[k, 2, c]
                e, f, g = weight[k, 3, c], weight[k, 4, c], weight[k, 5, c]
                h, u, v = weight[k, 6, c], weight[k, 7, c], weight[k, 8, c]
                upper[j, c] += (
                    a * p0 + b * p1 + d * p2 + e * q0 + f * q1 + g * q2 + h * r0 + u * r1 + v * r2
                )
                upper[j + 1, c] += (
                    a * p1 + b * p2 + d * p3 + e * q1 + f * q2 + g * q3 + h * r1 + u * r2 + v * r3
                )
                lower[j, c] += (
                    a * q0 + b * q1 + d * q2 + e * r0 + f * r1 + g * r2 + h * s0 + u * s1 + v * s2
                )
                lower[j + 1, c] += (
                    a * q1 + b * q2 + d * q3 + e * r1 + f * r2 + g * r3 + h * s1 + u * s2 + v * s3
                )


@compile_kernel
def backprop_direct(x, grad, weight):
    """Compute the weight's gradient of `convolve_direct`.

    Args:
        x: padded, [N, K, H + 2, W + 2].
        grad: gradient of the maps, [N, H, W, C].
        weight: its gradient [K, 9, C], written.
    """
    weight[:] = ZERO
    for n in range(len(x)):
        for i in range(grad.shape[1]):
            for k in range(len(weight)):
                _backprop_line(x[n, k, i : i + 3], grad[n, i], weight[k])


@compile_kernel
def _backprop_line(x, grad, weight):
    for j in range(len(grad)):
        p0, p1, p2 = x[0, j], x[0, j + 1], x[0, j + 2]
        q0, q1, q2 = x[1, j], x[1, j + 1], x[1, j + 2]
        r0, r1, r2 = x[2, j], x[2, j + 1], x[2, j + 2]
        for c in range(grad.shape[1]):
            s = grad[j, c]
            weight[0, c] += p0 * s
            weight[1, c] += p1 * s
            weight[2, c] += p2 * s
            weight[3, c] += q0 * s
            weight[4, c] += q1 * s
            weight[5, c] += q2 * s
            weight[6, c] += r0 * s
            weight[7, c] += r1 * s
            weight[8, c] += r2 * s


@compile_kernel
def convolve_winograd(x, factors, maps):
    """Convolve by F(4 x 4, 3 x 3) of Lavin and Gray, CVPR 2016: Y = A' ((G g G') * (B' d B)) A.

    The products are summed over K as matrices.

    Args:
        x: padded, [N, 4 a + 2, 4 b + 2, K].
        factors: G g G', [36, K, C]; C is a multiple of WIDTHS.
        maps: [N, 4 a, 4 b, C], written.
    """
    tiles = np.empty((36, TILES, x.shape[3]), np.float32)
    products = np.empty((36, TILES, maps.shape[3]), np.float32)
    tiles[:] = ZERO
    count = maps.shape[0] * maps.shape[1] * maps.shape[2] // 16
    for first in range(0, count, TILES):
        batch = min(TILES, count - first)
        _transform_input(x, first, batch, tiles.reshape(6, 6 * TILES, -1))
        for pair in range(36):
            left, right, out = tiles[pair], factors[pair], products[pair]
            for column in range(0, right.shape[1], VECTORS * LANES):
                for row in range(0, batch, ROWS):
                    multiply_block(left, row, right, column, out)
        _transform_output(products.reshape(6, 6 * TILES, -1), first, batch, maps)


@compile_kernel
def _locate_tile(tile, high, wide):
    """Return a tile's instance, first line and first column; an instance has high x wide tiles."""
    row, j = divmod(tile, wide)
    n, i = divmod(row, high)
    return n, 4 * i, 4 * j


@compile_kernel
def _transform_input(x, first, batch, tiles):
    """Compute B' d B of the tiles from the `first` on, [6, 6 TILES, K]."""
    lines = np.empty((6, 6, x.shape[3]), np.float32)
    high, wide = x.shape[1] // 4, x.shape[2] // 4
    for t in range(batch):
        n, i, j = _locate_tile(first + t, high, wide)
        for a in range(6):
            _transform_input_line(x[n, i + a, j : j + 6], lines, a)
        for b in range(6):
            _transform_input_line(lines[b], tiles, b * TILES + t)


@compile_kernel
def _transform_input_line(source, target, at):
    for c in range(source.shape[1]):
        s0, s1, s2 = source[0, c], source[1, c], source[2, c]
        s3, s4, s5 = source[3, c], source[4, c], source[5, c]
        even, odd, near, far = s4 - FOUR * s2, s3 - FOUR * s1, s4 - s2, TWO * (s3 - s1)
        target[0, at, c] = FOUR * s0 - FIVE * s2 + s4
        target[1, at, c], target[2, at, c] = even + odd, even - odd
        target[3, at, c], target[4, at, c] = near + far, near - far
        target[5, at, c] = FOUR * s1 - FIVE * s3 + s5


@compile_kernel
def _transform_output(tiles, first, batch, maps):
    """Compute A' m A of products [6, 6 TILES, C], and write the maps' tiles from `first` on."""
    lines = np.empty((4, 6, maps.shape[3]), np.float32)
    high, wide = maps.shape[1] // 4, maps.shape[2] // 4
    for t in range(batch):
        n, i, j = _locate_tile(first + t, high, wide)
        for b in range(6):
            _transform_output_column(tiles, b * TILES + t, lines, b)
        for a in range(4):
            _transform_output_row(lines[a], maps[n, i + a, j : j + 4])


@compile_kernel
def _transform_output_column(source, at, target, to):
    for c in range(source.shape[2]):
        s1, s2, s3, s4 = source[1, at, c], source[2, at, c], source[3, at, c], source[4, at, c]
        p, q, r, s = s1 + s2, s1 - s2, s3 + s4, s3 - s4
        target[0, to, c], target[1, to, c] = source[0, at, c] + p + r, q + TWO * s
        target[2, to, c], target[3, to, c] = p + FOUR * r, q + EIGHT * s + source[5, at, c]


@compile_kernel
def _transform_output_row(source, target):
    for c in range(source.shape[1]):
        s1, s2, s3, s4 = source[1, c], source[2, c], source[3, c], source[4, c]
        p, q, r, s = s1 + s2, s1 - s2, s3 + s4, s3 - s4
        target[0, c], target[1, c] = source[0, c] + p + r, q + TWO * s
        target[2, c], target[3, c] = p + FOUR * r, q + EIGHT * s + source[5, c]


@compile_kernel
def backprop_winograd(x, grad, factors):
    """Compute the gradient of the factors of `convolve_winograd`.

    The gradient of G g G' is the sum over tiles of (B' d B) times (A s A').

    Args:
        x: padded, [N, 4 a + 2, 4 b + 2, K].
        grad: gradient s of the maps, padded too, [N, 4 a + 2, 4 b + 2, C].
        factors: their gradient [36, K + ROWS, C], written; the last ROWS mean nothing. K and C are
            multiples of WIDTHS.
    """
    depth, width = x.shape[3], grad.shape[3]
    # A block's rows may go beyond a tile's K numbers, so the buffer is longer than the last tile.
    buffer = np.zeros(36 * TILES * depth + ROWS, np.float32)
    tiles = buffer[: 36 * TILES * depth].reshape(36, TILES, depth)
    grad_tiles = np.empty((36, TILES, width), np.float32)
    factors[:] = ZERO
    count = len(x) * (x.shape[1] // 4) * (x.shape[2] // 4)
    for first in range(0, count, TILES):
        batch = min(TILES, count - first)
        _transform_input(x, first, batch, tiles.reshape(6, 6 * TILES, depth))
        _transform_gradient(grad, first, batch, grad_tiles.reshape(6, 6 * TILES, width))
        for pair in range(36):
            left, right, out = tiles[pair], grad_tiles[pair], factors[pair]
            for column in range(0, width, VECTORS * LANES):
                for row in range(0, depth, ROWS):
                    multiply_add_block(left, row, right, column, out, batch)


@compile_kernel
def _transform_gradient(grad, first, batch, tiles):
    """Compute A s A' of the tiles from the `first` on, [6, 6 TILES, C]."""
    lines = np.empty((6, 4, grad.shape[3]), np.float32)
    high, wide = grad.shape[1] // 4, grad.shape[2] // 4
    for t in range(batch):
        n, i, j = _locate_tile(first + t, high, wide)
        for a in range(4):
            _transform_gradient_line(grad[n, i + a + 1, j + 1 : j + 5], lines, a)
        for b in range(6):
            _transform_gradient_line(lines[b], tiles, b * TILES + t)


@compile_kernel
def _transform_gradient_line(source, target, at):
    for c in range(source.shape[1]):
        s0, s1, s2, s3 = source[0, c], source[1, c], source[2, c], source[3, c]
        even, odd, near, far = s0 + s2, s1 + s3, s0 + FOUR * s2, TWO * s1 + EIGHT * s3
        target[0, at, c] = s0
        target[1, at, c], target[2, at, c] = even + odd, even - odd
        target[3, at, c], target[4, at, c] = near + far, near - far
        target[5, at, c] = s3


@compile_kernel
def compute_moments(maps, size, weight, bias, eps, moments):
    """Compute the moments of each instance and channel.

    Args:
        maps: [N, H, W, C].
        size: high and wide of the maps.
        weight: of the norm, [C].
        bias: of the norm, [C].
        eps: of the norm.
        moments: [N, 4, C], written.
    """
    pixels = np.float32(size[0] * size[1])
    for n in range(len(maps)):
        scale, shift, mean, inverse = moments[n, 0], moments[n, 1], moments[n, 2], moments[n, 3]
        mean[:] = ZERO
        inverse[:] = ZERO
        for i in range(size[0]):
            _add_sums(maps[n, i, : size[1]], mean, inverse)
        for c in range(len(mean)):
            mean[c] /= pixels
            inverse[c] = ONE / np.sqrt(max(inverse[c] / pixels - mean[c] * mean[c], ZERO) + eps)
            scale[c] = inverse[c] * weight[c]
            shift[c] = bias[c] - mean[c] * scale[c]


@compile_kernel
def _add_sums(line, total, square):
    for j in range(len(line)):
        for c in range(line.shape[1]):
            total[c] += line[j, c]
            square[c] += line[j, c] * line[j, c]


@compile_kernel
def pool(maps, moments, rows, columns, out):
    """Normalise the maps, rectify them, and average them over each window.

    Args:
        maps: [N, H, W, C].
        moments: [N, 4, C].
        rows: int [2, h], the windows' lines.
        columns: int [2, w], the windows' columns.
        out: [N, h, w, C], written.
    """
    for n in range(len(maps)):
        for a in range(rows.shape[1]):
            _pool_row(
                maps[n, rows[0, a] : rows[1, a]], moments[n, 0], moments[n, 1], columns, out[n, a]
            )


@compile_kernel
def _pool_row(maps, scale, shift, columns, out):
    for b in range(len(out)):
        share = ONE / np.float32(len(maps) * (columns[1, b] - columns[0, b]))
        out[b] = ZERO
        for i in range(len(maps)):
            for j in range(columns[0, b], columns[1, b]):
                for c in range(out.shape[1]):
                    value = maps[i, j, c] * scale[c] + shift[c]
                    out[b, c] += ZERO if value < ZERO else value  # NaN stays NaN
        for c in range(out.shape[1]):
            out[b, c] *= share


@compile_kernel
def backprop_pool(maps, size, moments, grad, rows, columns, edge, out, sums):
    """Compute the gradients of `pool` and of the norm.

    With g the gradient where the ReLU is open and z the normalised maps, the gradient of the maps
    is scale (g - mean g - z mean (g z)), which is scale g + factor maps + rest.

    Args:
        maps: [N, H, W, C].
        size: high and wide of the maps.
        moments: [N, 4, C].
        grad: gradient of the pool's result, [N, h, w, C].
        rows: int [2, h], the windows' lines.
        columns: int [2, w], the windows' columns.
        edge: pixels between the upper left corner of `out` and the maps' gradient in it.
        out: the maps' gradient, written; 0 beside it.
        sums: [N, 2, C], written: g z and g summed, the gradients of the norm's weight and bias.
    """
    factor, rest = np.empty(maps.shape[3], np.float32), np.empty(maps.shape[3], np.float32)
    pixels = np.float32(size[0] * size[1])
    for n in range(len(maps)):
        scale, shift, mean, inverse = moments[n, 0], moments[n, 1], moments[n, 2], moments[n, 3]
        out[n] = ZERO
        for a in range(rows.shape[1]):
            _backprop_pool_row(
                grad[n, a], columns, edge, out[n, rows[0, a] + edge : rows[1, a] + edge]
            )
        factor[:] = ZERO
        rest[:] = ZERO
        for i in range(size[0]):
            _backprop_relu_row(
                maps[n, i, : size[1]], scale, shift, edge, out[n, i + edge], rest, factor
            )
        for c in range(len(factor)):
            sums[n, 0, c], sums[n, 1, c] = inverse[c] * (factor[c] - mean[c] * rest[c]), rest[c]
            tilt = inverse[c] * sums[n, 0, c] / pixels
            factor[c] = -scale[c] * tilt
            rest[c] = scale[c] * (mean[c] * tilt - rest[c] / pixels)
        for i in range(size[0]):
            _backprop_norm_row(maps[n, i, : size[1]], scale, factor, rest, edge, out[n, i + edge])


@compile_kernel
def _backprop_pool_row(grad, columns, edge, out):
    for b in range(len(grad)):
        share = ONE / np.float32(len(out) * (columns[1, b] - columns[0, b]))
        for i in range(len(out)):
            for j in range(columns[0, b] + edge, columns[1, b] + edge):
                for c in range(grad.shape[1]):
                    out[i, j, c] += grad[b, c] * share


@compile_kernel
def _backprop_relu_row(line, scale, shift, edge, grad, total, product):
    for j in range(len(line)):
        for c in range(line.shape[1]):
            passed = grad[j + edge, c] if line[j, c] * scale[c] + shift[c] > ZERO else ZERO
            grad[j + edge, c] = passed
            total[c] += passed
            product[c] += passed * line[j, c]


@compile_kernel
def _backprop_norm_row(line, scale, factor, rest, edge, grad):
    for j in range(len(line)):
        for c in range(line.shape[1]):
            grad[j + edge, c] = scale[c] * grad[j + edge, c] + factor[c] * line[j, c] + rest[c]
