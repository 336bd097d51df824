"""The Numba kernels: maps are float32 [N, H, W, C], so that the innermost loop runs along channels and becomes vector instructions.

Maps lie in buffers that may be larger than they are, which tiles hang over: `size` is what counts, high and wide. `moments` are
[N, 4, C]: scale and shift of the norm, mean, one over the deviation. `rows` and `columns` are [2, cells]: where the windows of a
pool begin and end. Kernels hold no lock of the interpreter, and none divides its work: an instance is one thread's.
"""
# mypy: ignore-errors

from __future__ import annotations

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

ZERO, ONE, TWO, FOUR, FIVE, EIGHT = (np.float32(value) for value in (0, 1, 2, 4, 5, 8))
# Tiles of 4 x 4 pixels at a time: with their products, 36 matrices of tiles x channels, they fit a cache of 1 MB at 128 channels.
TILES = 4 * ROWS


def compile_kernel(work: Any) -> Any:
    """Compiled when it is first called, and kept beside this file or in the user's cache, where one of them can be written.

    Products and sums may be fused, nothing is reordered: the bits do not depend on the number of threads.
    """
    options = {"fastmath": {"contract"}, "nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(work)
    except RuntimeError:  # no place to keep it
        return numba.njit(**options)(work)


@compile_kernel
def convolve_direct(x, weight, maps):
    """Convolution of few channels: padded x [N, K, H + 2, W + 2], weight [K, 9, C] -> maps, two by two pixels at a time."""
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
            q0, q1, q2, q3 = (
                x[k, i + 1, j],
                x[k, i + 1, j + 1],
                x[k, i + 1, j + 2],
                x[k, i + 1, j + 3],
            )
            r0, r1, r2, r3 = (
                x[k, i + 2, j],
                x[k, i + 2, j + 1],
                x[k, i + 2, j + 2],
                x[k, i + 2, j + 3],
            )
            s0, s1, s2, s3 = (
                x[k, i + 3, j],
                x[k, i + 3, j + 1],
                x[k, i + 3, j + 2],
                x[k, i + 3, j + 3],
            )
            for c in range(upper.shape[1]):
                a, b, d, e, f = (
                    weight[k, 0, c],
                    weight[k, 1, c],
                    weight[k, 2, c],
                    weight[k, 3, c],
                    weight[k, 4, c],
                )
                g, h, u, v = weight[k, 5, c], weight[k, 6, c], weight[k, 7, c], weight[k, 8, c]
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
def backprop_direct(x, slope, weight):
    """Slope [N, H, W, C] of what `few` made of padded x -> that of its weight [K, 9, C]."""
    weight[:] = ZERO
    for n in range(len(x)):
        for i in range(slope.shape[1]):
            for k in range(len(weight)):
                _backprop_line(x[n, k, i : i + 3], slope[n, i], weight[k])


@compile_kernel
def _backprop_line(x, slope, weight):
    for j in range(len(slope)):
        p0, p1, p2, q0, q1, q2, r0, r1, r2 = (
            x[0, j],
            x[0, j + 1],
            x[0, j + 2],
            x[1, j],
            x[1, j + 1],
            x[1, j + 2],
            x[2, j],
            x[2, j + 1],
            x[2, j + 2],
        )
        for c in range(slope.shape[1]):
            s = slope[j, c]
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
    """Convolution of padded x [N, 4 a + 2, 4 b + 2, K] by factors [36, K, C] -> maps [N, 4 a, 4 b, C], C a multiple of WIDTHS.

    F(4 x 4, 3 x 3) of Lavin and Gray, CVPR 2016: Y = A' ((G g G') * (B' d B)) A, the products summed over K as matrices.
    """
    tiles, products = (
        np.empty((36, TILES, x.shape[3]), np.float32),
        np.empty((36, TILES, maps.shape[3]), np.float32),
    )
    tiles[:] = ZERO
    count = maps.shape[0] * maps.shape[1] * maps.shape[2] // 16
    for first in range(0, count, TILES):
        together = min(TILES, count - first)
        _transform_input(x, first, together, tiles.reshape(6, 6 * TILES, -1))
        for pair in range(36):
            left, right, out = tiles[pair], factors[pair], products[pair]
            for column in range(0, right.shape[1], VECTORS * LANES):
                for row in range(0, together, ROWS):
                    multiply_block(left, row, right, column, out)
        _transform_output(products.reshape(6, 6 * TILES, -1), first, together, maps)


@compile_kernel
def _locate_tile(tile, high, wide):
    """Instance, line and column where a tile begins; an instance has high x wide of them."""
    row, j = divmod(tile, wide)
    n, i = divmod(row, high)
    return n, 4 * i, 4 * j


@compile_kernel
def _transform_input(x, first, together, tiles):
    """B' d B of the tiles from the `first` on -> [6, 6 TILES, K]."""
    lines = np.empty((6, 6, x.shape[3]), np.float32)
    high, wide = x.shape[1] // 4, x.shape[2] // 4
    for t in range(together):
        n, i, j = _locate_tile(first + t, high, wide)
        for a in range(6):
            _transform_input_line(x[n, i + a, j : j + 6], lines, a)
        for b in range(6):
            _transform_input_line(lines[b], tiles, b * TILES + t)


@compile_kernel
def _transform_input_line(source, target, at):
    for c in range(source.shape[1]):
        s0, s1, s2, s3, s4, s5 = (
            source[0, c],
            source[1, c],
            source[2, c],
            source[3, c],
            source[4, c],
            source[5, c],
        )
        even, odd, near, far = s4 - FOUR * s2, s3 - FOUR * s1, s4 - s2, TWO * (s3 - s1)
        target[0, at, c] = FOUR * s0 - FIVE * s2 + s4
        target[1, at, c], target[2, at, c] = even + odd, even - odd
        target[3, at, c], target[4, at, c] = near + far, near - far
        target[5, at, c] = FOUR * s1 - FIVE * s3 + s5


@compile_kernel
def _transform_output(tiles, first, together, maps):
    """A' m A of tiles [6, 6 TILES, C], which are the maps' from the `first` on."""
    lines = np.empty((4, 6, maps.shape[3]), np.float32)
    high, wide = maps.shape[1] // 4, maps.shape[2] // 4
    for t in range(together):
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
def backprop_winograd(x, slope, factors):
    """Slope of the maps that `tiled` made of padded x, padded too, [N, 4 a + 2, 4 b + 2, C] -> of its factors, [36, K + ROWS, C].

    Of G g G' it is the sum over tiles of (B' d B) times (A s A'); the last ROWS mean nothing. K and C are multiples of WIDTHS.
    """
    depth, width = x.shape[3], slope.shape[3]
    # A block's rows may go beyond a tile's K numbers, so that the last tile is followed by some.
    room, heights = (
        np.zeros(36 * TILES * depth + ROWS, np.float32),
        np.empty((36, TILES, width), np.float32),
    )
    tiles = room[: 36 * TILES * depth].reshape(36, TILES, depth)
    factors[:] = ZERO
    count = len(x) * (x.shape[1] // 4) * (x.shape[2] // 4)
    for first in range(0, count, TILES):
        together = min(TILES, count - first)
        _transform_input(x, first, together, tiles.reshape(6, 6 * TILES, depth))
        _transform_gradient(slope, first, together, heights.reshape(6, 6 * TILES, width))
        for pair in range(36):
            left, right, out = tiles[pair], heights[pair], factors[pair]
            for column in range(0, width, VECTORS * LANES):
                for row in range(0, depth, ROWS):
                    multiply_add_block(left, row, right, column, out, together)


@compile_kernel
def _transform_gradient(slope, first, together, tiles):
    """A s A' of the tiles from the `first` on -> [6, 6 TILES, C]."""
    lines = np.empty((6, 4, slope.shape[3]), np.float32)
    high, wide = slope.shape[1] // 4, slope.shape[2] // 4
    for t in range(together):
        n, i, j = _locate_tile(first + t, high, wide)
        for a in range(4):
            _transform_gradient_line(slope[n, i + a + 1, j + 1 : j + 5], lines, a)
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
    """Maps -> moments of each instance and channel."""
    pixels = np.float32(size[0] * size[1])
    for n in range(len(maps)):
        scale, shift, mean, over = moments[n, 0], moments[n, 1], moments[n, 2], moments[n, 3]
        mean[:] = ZERO
        over[:] = ZERO
        for i in range(size[0]):
            _add_sums(maps[n, i, : size[1]], mean, over)
        for c in range(len(mean)):
            mean[c] /= pixels
            over[c] = ONE / np.sqrt(max(over[c] / pixels - mean[c] * mean[c], ZERO) + eps)
            scale[c] = over[c] * weight[c]
            shift[c] = bias[c] - mean[c] * scale[c]


@compile_kernel
def _add_sums(line, total, square):
    for j in range(len(line)):
        for c in range(line.shape[1]):
            total[c] += line[j, c]
            square[c] += line[j, c] * line[j, c]


@compile_kernel
def pool(maps, moments, rows, columns, out):
    """Maps -> out [N, h, w, C]: normalised, rectified, averaged over each window."""
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
                    out[b, c] += ZERO if value < ZERO else value  # NaN is no less, and stays
        for c in range(out.shape[1]):
            out[b, c] *= share


@compile_kernel
def backprop_pool(maps, size, moments, slope, rows, columns, edge, out, sums):
    """Slope [N, h, w, C] of `pool` -> that of the maps, in the middle of out, `edge` pixels from its upper left corner, and `sums`.

    With g the slope where the ReLU is open and z the normalised maps it is scale (g - mean g - z mean (g z)), so of the maps
    themselves a line: scale g + factor maps + rest. `sums` [N, 2, C] are g z and g summed: slopes of the norm's weight and bias.
    """
    factor, rest = np.empty(maps.shape[3], np.float32), np.empty(maps.shape[3], np.float32)
    pixels = np.float32(size[0] * size[1])
    for n in range(len(maps)):
        scale, shift, mean, over = moments[n, 0], moments[n, 1], moments[n, 2], moments[n, 3]
        out[n] = ZERO
        for a in range(rows.shape[1]):
            _backprop_pool_row(
                slope[n, a], columns, edge, out[n, rows[0, a] + edge : rows[1, a] + edge]
            )
        factor[:] = ZERO
        rest[:] = ZERO
        for i in range(size[0]):
            _backprop_relu_row(
                maps[n, i, : size[1]], scale, shift, edge, out[n, i + edge], rest, factor
            )
        for c in range(len(factor)):
            sums[n, 0, c], sums[n, 1, c] = over[c] * (factor[c] - mean[c] * rest[c]), rest[c]
            tilt = over[c] * sums[n, 0, c] / pixels
            factor[c], rest[c] = -scale[c] * tilt, scale[c] * (mean[c] * tilt - rest[c] / pixels)
        for i in range(size[0]):
            _backprop_norm_row(maps[n, i, : size[1]], scale, factor, rest, edge, out[n, i + edge])


@compile_kernel
def _backprop_pool_row(slope, columns, edge, out):
    for b in range(len(slope)):
        share = ONE / np.float32(len(out) * (columns[1, b] - columns[0, b]))
        for i in range(len(out)):
            for j in range(columns[0, b] + edge, columns[1, b] + edge):
                for c in range(slope.shape[1]):
                    out[i, j, c] += slope[b, c] * share


@compile_kernel
def _backprop_relu_row(line, scale, shift, edge, slope, total, product):
    for j in range(len(line)):
        for c in range(line.shape[1]):
            passed = slope[j + edge, c] if line[j, c] * scale[c] + shift[c] > ZERO else ZERO
            slope[j + edge, c] = passed
            total[c] += passed
            product[c] += passed * line[j, c]


@compile_kernel
def _backprop_norm_row(line, scale, factor, rest, edge, slope):
    for j in range(len(line)):
        for c in range(line.shape[1]):
            slope[j + edge, c] = scale[c] * slope[j + edge, c] + factor[c] * line[j, c] + rest[c]
