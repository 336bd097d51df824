"""The Triton kernels of a ConvNet block, and of rows at an index.

A program has some pixels of one instance. Maps are bfloat16 [N, H, W, C], sums are float32. The
sizes of a pool are `PoolPlan.numbers`: high and wide of the maps, tall and broad of the part that
is pooled, h and w of the cells. `moments` are [4, N, C]: scale and shift of the norm, mean, and
one over the standard deviation. A padded picture has `lines` of `line` numbers, ROOM per pixel.
Results are written to `out`, `partial` or `moments`.
"""
# mypy: ignore-errors
# ruff: noqa: N803

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def take(rows, index, affine, out, planes, pixels, CHANNELS: tl.constexpr, TILE: tl.constexpr):
    """Gather rows at an index; multiply each channel by its factor and add its shift.

    A program has some pixels of one plane of one row.

    Args:
        rows: stored rows [N, planes, pixels].
        index: int64 [B].
        affine: float32 [2, CHANNELS], factors and shifts.
        out: float32 [B, planes, pixels].
        planes: of a row, frames times channels.
        pixels: of a plane.
        CHANNELS: of a row.
        TILE: pixels of a program.
    """
    number, plane = tl.program_id(0) // planes, tl.program_id(0) % planes
    source = tl.load(index + number).to(tl.int64)
    factor = tl.load(affine + plane % CHANNELS)
    shift = tl.load(affine + CHANNELS + plane % CHANNELS)
    at = tl.program_id(1) * TILE + tl.arange(0, TILE)
    values = tl.load(rows + (source * planes + plane) * pixels + at, at < pixels).to(tl.float32)
    tl.store(
        out + tl.program_id(0).to(tl.int64) * pixels + at, values * factor + shift, at < pixels
    )


@triton.jit
def sum_channels(maps, partial, pixels, SPAN: tl.constexpr, C: tl.constexpr, TILE: tl.constexpr):
    """Compute the sum and the sum of squares of each channel.

    Args:
        maps, partial: [N, H, W, C], and the sums [N, chunks, 2, C].
        pixels, SPAN, TILE: of an instance, of a program, and of one load.
        C: channels.
    """
    n, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    channel = tl.arange(0, C)
    # Summed over the pixels once, at the end: to sum a tile, all its warps have to synchronise.
    total = tl.zeros([TILE, C], tl.float32)
    square = tl.zeros([TILE, C], tl.float32)
    for first in range(0, SPAN, TILE):
        row = chunk * SPAN + first + tl.arange(0, TILE)[:, None]
        values = tl.load(
            maps + n * pixels * C + (row * C + channel[None, :]), row < pixels, 0.0
        ).to(tl.float32)
        total += values
        square += values * values
    at = partial + (n * tl.num_programs(1) + chunk) * 2 * C + channel
    tl.store(at, tl.sum(total, 0))
    tl.store(at + C, tl.sum(square, 0))


@triton.jit
def _store_moments(moments, n, count, mean, square, weight, bias, eps, C: tl.constexpr):
    channel = tl.arange(0, C)
    inverse = tl.rsqrt(tl.maximum(square - mean * mean, 0.0) + eps)
    scale = inverse * tl.load(weight + channel)
    tl.store(moments + n * C + channel, scale)
    tl.store(moments + (count + n) * C + channel, tl.load(bias + channel) - mean * scale)
    tl.store(moments + (2 * count + n) * C + channel, mean)
    tl.store(moments + (3 * count + n) * C + channel, inverse)


@triton.jit
def compute_moments(
    partial, weight, bias, moments, pixels, eps, CHUNKS: tl.constexpr, C: tl.constexpr
):
    """Compute the moments from the sums of `sum_channels`.

    Args:
        partial, moments: [N, CHUNKS, 2, C] and [4, N, C].
        weight, bias, eps: of the norm.
        pixels, CHUNKS, C: of an instance, of `partial`, and channels.
    """
    n, channel = tl.program_id(0), tl.arange(0, C)
    total = tl.zeros([C], tl.float32)
    square = tl.zeros([C], tl.float32)
    for chunk in range(CHUNKS):
        total += tl.load(partial + (n * CHUNKS + chunk) * 2 * C + channel)
        square += tl.load(partial + (n * CHUNKS + chunk) * 2 * C + C + channel)
    _store_moments(
        moments, n, tl.num_programs(0), total / pixels, square / pixels, weight, bias, eps, C
    )


@triton.jit
def _locate_window(cell, side, cells, HALVED: tl.constexpr):
    """Return a cell's first and last + 1 pixel; a pool that halves needs no division."""
    if HALVED:
        return 2 * cell, 2 * cell + 2
    return cell * side // cells, ((cell + 1) * side + cells - 1) // cells


@triton.jit
def pool(
    maps,
    moments,
    out,
    high,
    wide,
    tall,
    broad,
    h,
    w,
    TALL: tl.constexpr,
    BROAD: tl.constexpr,
    HALVED: tl.constexpr,
    C: tl.constexpr,
    TILE: tl.constexpr,
):
    """Normalise the maps, rectify them, and average them over the window of each cell.

    Args:
        maps, moments, out: [N, H, W, C], [4, N, C] and [N, h, w, C].
        high, wide, tall, broad, h, w: `PoolPlan.numbers`.
        TALL, BROAD, HALVED: `PoolPlan.windows`.
        C, TILE: channels, and cells of a program.
    """
    n, count = tl.program_id(0).to(tl.int64), tl.num_programs(0)
    channel = tl.arange(0, C)[None, :]
    scale = tl.load(moments + n * C + channel)
    shift = tl.load(moments + (count + n) * C + channel)
    cell = tl.program_id(1) * TILE + tl.arange(0, TILE)[:, None]
    top, bottom = _locate_window(cell // w, tall, h, HALVED)
    left, right = _locate_window(cell % w, broad, w, HALVED)
    total, instance = tl.zeros([TILE, C], tl.float32), maps + n * high * wide * C
    for k in tl.static_range(TALL * BROAD):
        i, j = top + k // BROAD, left + k % BROAD
        inside = (cell < h * w) & (i < bottom) & (j < right)
        values = tl.load(instance + ((i * wide + j) * C + channel), inside, 0.0).to(tl.float32)
        total += tl.where(inside, tl.maximum(values * scale + shift, 0.0), 0.0)
    mean = total / ((bottom - top) * (right - left)).to(tl.float32)
    tl.store(out + n * h * w * C + (cell * C + channel), mean.to(tl.bfloat16), cell < h * w)


@triton.jit
def _load_pixels(
    maps,
    moments,
    grad,
    row,
    high,
    wide,
    tall,
    broad,
    h,
    w,
    OVERLAP: tl.constexpr,
    HALVED: tl.constexpr,
    C: tl.constexpr,
):
    """Return (maps - mean) / deviation and the gradient after the norm, [TILE, C] each."""
    n, count = tl.program_id(0).to(tl.int64), tl.num_programs(0)
    channel = tl.arange(0, C)[None, :]
    values = tl.load(maps + n * high * wide * C + (row * C + channel), row < high * wide, 0.0).to(
        tl.float32
    )
    i, j = row // wide, row % wide
    total = tl.zeros_like(values)
    for k in tl.static_range(OVERLAP * OVERLAP):
        if HALVED:
            a, b = i // 2, j // 2
        else:
            a, b = i * h // tall + k // OVERLAP, j * w // broad + k % OVERLAP
        top, bottom = _locate_window(a, tall, h, HALVED)
        left, right = _locate_window(b, broad, w, HALVED)
        inside = (row < high * wide) & (a < h) & (b < w) & (top <= i) & (left <= j)
        pooled = tl.load(grad + n * h * w * C + ((a * w + b) * C + channel), inside, 0.0)
        total += pooled.to(tl.float32) / ((bottom - top) * (right - left)).to(tl.float32)
    scale = tl.load(moments + n * C + channel)
    shift = tl.load(moments + (count + n) * C + channel)
    mean = tl.load(moments + (2 * count + n) * C + channel)
    inverse = tl.load(moments + (3 * count + n) * C + channel)
    return (values - mean) * inverse, tl.where(values * scale + shift > 0, total, 0.0)


@triton.jit
def sum_gradients(
    maps,
    moments,
    grad,
    partial,
    high,
    wide,
    tall,
    broad,
    h,
    w,
    SPAN: tl.constexpr,
    OVERLAP: tl.constexpr,
    HALVED: tl.constexpr,
    C: tl.constexpr,
    TILE: tl.constexpr,
):
    """Sum the gradient after the norm, and its product with the normalised maps.

    Args:
        maps, moments, grad, partial: as of `_load_pixels`, and the sums [N, chunks, 2, C].
        high, wide, tall, broad, h, w: `PoolPlan.numbers`.
        SPAN, OVERLAP, HALVED: pixels of a program, and `PoolPlan.overlap`.
        C, TILE: channels, and pixels of one load.
    """
    n, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    total = tl.zeros([TILE, C], tl.float32)
    product = tl.zeros([TILE, C], tl.float32)
    for first in range(0, SPAN, TILE):
        row = chunk * SPAN + first + tl.arange(0, TILE)[:, None]
        values, passed = _load_pixels(
            maps, moments, grad, row, high, wide, tall, broad, h, w, OVERLAP, HALVED, C
        )
        total += passed
        product += passed * values
    at = partial + (n * tl.num_programs(1) + chunk) * 2 * C + tl.arange(0, C)
    tl.store(at, tl.sum(total, 0))
    tl.store(at + C, tl.sum(product, 0))


@triton.jit
def backprop_pool(
    maps,
    moments,
    means,
    grad,
    out,
    high,
    wide,
    tall,
    broad,
    h,
    w,
    OVERLAP: tl.constexpr,
    HALVED: tl.constexpr,
    C: tl.constexpr,
    TILE: tl.constexpr,
):
    """Compute the gradient before the norm from the gradient after the pool.

    Args:
        maps, moments, grad, out: as of `_load_pixels`, and the gradient [N, H, W, C].
        means: the sums of `sum_gradients` divided by the number of pixels, [N, 2, C].
        high, wide, tall, broad, h, w: `PoolPlan.numbers`.
        OVERLAP, HALVED, C, TILE: `PoolPlan.overlap`, channels, and pixels of a program.
    """
    n = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, C)[None, :]
    row = tl.program_id(1) * TILE + tl.arange(0, TILE)[:, None]
    values, passed = _load_pixels(
        maps, moments, grad, row, high, wide, tall, broad, h, w, OVERLAP, HALVED, C
    )
    mean = tl.load(means + n * 2 * C + channel)
    mean_product = tl.load(means + (n * 2 + 1) * C + channel)
    scale, instance = tl.load(moments + n * C + channel), out + n * high * wide * C
    result = (scale * (passed - mean - values * mean_product)).to(tl.bfloat16)
    tl.store(instance + (row * C + channel), result, row < high * wide)


@triton.jit
def pad(
    x,
    out,
    high,
    wide,
    lines,
    line,
    PADDING: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROOM: tl.constexpr,
    LINE: tl.constexpr,
):
    """Pad pictures; a program has one line.

    Args:
        x, out: pictures [N, CHANNELS, high, wide], and padded ones [N, lines, line].
        high, wide, lines, line: sizes of the pictures and the padded pictures.
        PADDING, CHANNELS, ROOM: pixels beyond each edge, and numbers per pixel before and after.
        LINE: a power of two, `line` or more.
    """
    n, i = tl.program_id(0).to(tl.int64), tl.program_id(1) - PADDING
    at = tl.arange(0, LINE)
    j, channel = at // ROOM - PADDING, at % ROOM
    inside = (channel < CHANNELS) & (i >= 0) & (i < high) & (j >= 0) & (j < wide)
    values = tl.load(
        x + n * CHANNELS * high * wide + ((channel * high + i) * wide + j), inside, 0.0
    )
    tl.store(
        out + n * lines * line + (tl.program_id(1) * line + at), values.to(tl.bfloat16), at < line
    )


@triton.jit
def sum_products(
    x,
    partial,
    high,
    wide,
    lines,
    line,
    SPAN: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROOM: tl.constexpr,
    TAPS: tl.constexpr,
    TILE: tl.constexpr,
):
    """Sum the products of a patch's taps over patches of 3 x 3 pixels.

    The first tap beyond the patch is one, so its products are sums of taps.

    Args:
        x, partial: padded pictures [N, lines, line], and the sums [N, chunks, TAPS, TAPS].
        high, wide, lines, line: sizes of the maps and of the padded pictures.
        SPAN, TILE: pixels of a program, and of one load.
        CHANNELS, ROOM, TAPS: channels, numbers per pixel, and a power of two above 9 CHANNELS.
    """
    n, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    tap = tl.arange(0, TAPS)
    within = tap % (3 * CHANNELS)
    offset = tap // (3 * CHANNELS) * line + within // CHANNELS * ROOM + within % CHANNELS
    offset = tl.where(tap < 9 * CHANNELS, offset, 0)[None, :]
    total, picture = tl.zeros([TAPS, TAPS], tl.float32), x + n * lines * line
    for first in range(0, SPAN, TILE):
        row = chunk * SPAN + first + tl.arange(0, TILE)[:, None]
        live = row < high * wide
        patches = tl.load(picture + (row // wide * line + row % wide * ROOM + offset), live, 0.0)
        ones = live.to(tl.float32).to(tl.bfloat16)
        patches = tl.where(tap[None, :] == 9 * CHANNELS, ones, patches)
        total += tl.dot(tl.trans(patches), patches)
    at = partial + (n * tl.num_programs(1) + chunk) * TAPS * TAPS
    tl.store(at + tap[:, None] * TAPS + tap[None, :], total)


@triton.jit
def compute_product_moments(
    partial,
    filters,
    weight,
    bias,
    moments,
    pixels,
    eps,
    CHUNKS: tl.constexpr,
    C: tl.constexpr,
    CHANNELS: tl.constexpr,
    TAPS: tl.constexpr,
):
    """Compute the moments from the sums of `sum_products`.

    Args:
        partial, moments: [N, CHUNKS, TAPS, TAPS] and [4, N, C].
        filters: [TAPS, C]; the maps are their products with the patches.
        weight, bias, eps: of the norm.
        pixels, CHUNKS, C: of an instance, of `partial`, and channels of the maps.
        CHANNELS, TAPS: channels of the picture, and a power of two above 9 CHANNELS.
    """
    n, tap, channel = tl.program_id(0).to(tl.int64), tl.arange(0, TAPS), tl.arange(0, C)
    total = tl.zeros([TAPS, TAPS], tl.float32)
    sums = tl.zeros([TAPS], tl.float32)
    for chunk in range(CHUNKS):
        at = partial + (n * CHUNKS + chunk) * TAPS * TAPS
        total += tl.load(at + tap[:, None] * TAPS + tap[None, :])
        sums += tl.load(at + 9 * CHANNELS * TAPS + tap)
    taps = tl.load(filters + tap[:, None] * C + channel[None, :]).to(tl.float32)
    mean = tl.sum(sums[:, None] * taps, 0) / pixels
    square = tl.sum(tl.dot(total, taps, input_precision="ieee") * taps, 0) / pixels
    _store_moments(moments, n, tl.num_programs(0), mean, square, weight, bias, eps, C)


@triton.jit
def convolve_and_pool(
    x,
    filters,
    moments,
    out,
    h,
    w,
    lines,
    line,
    ROOM: tl.constexpr,
    C: tl.constexpr,
    TILE: tl.constexpr,
):
    """Convolve, normalise, rectify, and average over 2 x 2 pixels.

    The four pixels of a cell are products of the same 4 x 4 pixels.

    Args:
        x, moments, out: padded pictures [N, lines, line], [4, N, C] and [N, h, w, C].
        filters: [4, 16 ROOM, C], 3 x 3 taps among these, moved by nothing, right, down, and both.
        h, w, lines, line: sizes of the result and of the padded pictures.
        ROOM, C, TILE: numbers per pixel, channels of the maps, and cells of a program.
    """
    n, count = tl.program_id(0).to(tl.int64), tl.num_programs(0)
    channel, tap = tl.arange(0, C)[None, :], tl.arange(0, 16 * ROOM)
    scale = tl.load(moments + n * C + channel)
    shift = tl.load(moments + (count + n) * C + channel)
    offset = (tap // (4 * ROOM) * line + tap % (4 * ROOM))[None, :]
    cell = tl.program_id(1) * TILE + tl.arange(0, TILE)[:, None]
    start = cell // w * 2 * line + cell % w * (2 * ROOM) + offset
    patches = tl.load(x + n * lines * line + start, cell < h * w, 0.0)
    total, instance = tl.zeros([TILE, C], tl.float32), out + n * h * w * C
    # Not unrolled: all four products at once would use up the registers.
    for k in range(4):
        taps = tl.load(filters + k * 16 * ROOM * C + (tap[:, None] * C + channel))
        total += tl.maximum(tl.dot(patches, taps) * scale + shift, 0.0)
    mean = (total * 0.25).to(tl.bfloat16)
    tl.store(instance + (cell * C + channel), mean, cell < h * w)
