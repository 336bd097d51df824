"""Blocks of the ConvNet on a GPU, with the norm, the ReLU and the pool in two kernels.

A block is convolution, instance norm, ReLU and average pool. Layer by layer, each writes its maps
for the next one to read, in float32 under autocast, and the arithmetic costs almost nothing beside
that. Here maps are bfloat16 [N, H, W, C] in memory; one kernel sums them for the norm, and one
reads them, normalises, rectifies and pools. So they are read twice, and only the pooled quarter is
written.

The maps of a first convolution are never written, since its input has so small a number of
channels. Their sums follow from the products of a patch's pixels, and the pooled maps are computed
from the patches. An instance norm subtracts any bias before it, so none is added. Sums are float32
in a fixed order, so the bits are the same each time.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
import triton
from torch import Tensor, nn

from pipeline.models.kernels.cuda import _kernels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Programs that keep a GPU busy.
PROGRAMS = 4096
# Numbers per pixel of a padded picture: the largest number of channels that a first block takes.
ROOM = 4
# Pixels and warps of a program, by kernel: as fast as any choice on an H200, no register spilled.
SUMS = {"TILE": 32, "num_warps": 4}
CELLS = {"TILE": 16, "num_warps": 4}
SLOPES = {"TILE": 32, "num_warps": 4}
PATCHES = {"TILE": 128, "num_warps": 4}
FIRST_CELLS = {"TILE": 64, "num_warps": 4}


@dataclass(frozen=True, kw_only=True)
class PoolPlan:
    """An average pool of maps to cells: each averages a window, and windows may share pixels.

    Args:
        size: high and wide of the maps.
        covered: tall and broad of the part that is pooled: all of it, or all but an odd edge.
        cells: rows and columns of the result.
    """

    size: tuple[int, int]
    covered: tuple[int, int]
    cells: tuple[int, int]

    @classmethod
    def from_layer(cls, size: tuple[int, int], layer: nn.Module) -> PoolPlan:
        """Return the plan of an adaptive pool or a `HalvingPool`.

        Cell a of an adaptive pool has rows floor(a H / h) to ceil((a + 1) H / h).

        Args:
            size: high and wide of the maps.
            layer: the pool.
        """
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            grid = int(layer.output_size)  # type: ignore[arg-type]
            return cls(size=size, covered=size, cells=(grid, grid))
        cells = size[0] // 2, size[1] // 2
        return cls(size=size, covered=(2 * cells[0], 2 * cells[1]), cells=cells)

    @property
    def numbers(self) -> tuple[int, ...]:
        """All six numbers, in the order of the kernels' parameters."""
        return (*self.size, *self.covered, *self.cells)

    @property
    def halves(self) -> bool:
        """Whether each cell averages 2 x 2 pixels that no other cell has."""
        return all(side == 2 * cells for side, cells in zip(self.covered, self.cells, strict=True))

    @property
    def windows(self) -> dict[str, int | bool]:
        """Constants of the pool's kernel: the size of the largest window."""
        if self.halves:
            return {"TALL": 2, "BROAD": 2, "HALVED": True}
        tall, broad = (
            max(-(-(a + 1) * side // n) - a * side // n for a in range(n))
            for side, n in zip(self.covered, self.cells, strict=True)
        )
        return {"TALL": tall, "BROAD": broad, "HALVED": False}

    @property
    def overlap(self) -> dict[str, int | bool]:
        """Constants of the gradient's kernels: in how many windows of a line a pixel can be."""
        even = all(side % n == 0 for side, n in zip(self.covered, self.cells, strict=True))
        return {"OVERLAP": 1 if even else 2, "HALVED": self.halves}


def run_block(x: Tensor, layers: Sequence[nn.Module]) -> Tensor:
    """Return the pooled maps [N, width, h, w], bfloat16 and channels last; gradients flow to x.

    The layers run one by one where the width is no power of two or below 16, the norm is no
    instance norm, or a weight needs its gradient.

    Args:
        x: maps [N, C, H, W].
        layers: convolution, norm, ReLU, and an adaptive pool or a `HalvingPool`.
    """
    conv, norm = cast("nn.Conv2d", layers[0]), cast("nn.GroupNorm", layers[1])
    width, padding = conv.out_channels, int(conv.padding[0])
    instance_norm = norm.num_groups == width and width >= 16 and width & (width - 1) == 0
    weights = itertools.chain(conv.parameters(), norm.parameters())
    if not instance_norm or any(values.requires_grad for values in weights):
        return cast("Tensor", nn.Sequential(*layers)(x))
    size = x.shape[-2] + 2 * padding - 2, x.shape[-1] + 2 * padding - 2
    pool = PoolPlan.from_layer(size, layers[3])
    needs_gradient = x.requires_grad and torch.is_grad_enabled()
    if conv.in_channels <= ROOM and pool.halves and not needs_gradient:
        return _run_first_block(x, conv, norm, pool)
    weight = conv.weight.to(torch.bfloat16, memory_format=torch.channels_last)
    rows = x.to(torch.bfloat16, memory_format=torch.channels_last)
    maps = F.conv2d(rows, weight, None, padding=padding)
    return cast("Tensor", _NormReluPool.apply(maps, norm, pool))  # type: ignore[no-untyped-call]


class _NormReluPool(torch.autograd.Function):
    """Instance norm, ReLU and pool of a convolution's maps [N, C, H, W]."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, norm: nn.GroupNorm, pool: PoolPlan) -> Tensor:
        """Maps [N, C, H, W] -> pooled maps bfloat16 [N, C, h, w]."""
        maps = maps.contiguous(memory_format=torch.channels_last)
        count, width = maps.shape[:2]
        pixels = pool.size[0] * pool.size[1]
        chunks, span, partial = _split_pixels(maps, pixels, (2, width), SUMS)
        _kernels.sum_channels[count, chunks](maps, partial, pixels, SPAN=span, C=width, **SUMS)
        moments = maps.new_empty(4, count, width, dtype=torch.float32)
        _kernels.compute_moments[count,](
            partial, norm.weight, norm.bias, moments, pixels, norm.eps, CHUNKS=chunks, C=width
        )
        out = _allocate_maps(maps, width, pool)
        grid = count, triton.cdiv(pool.cells[0] * pool.cells[1], CELLS["TILE"])
        _kernels.pool[grid](maps, moments, out, *pool.numbers, **pool.windows, C=width, **CELLS)
        ctx.save_for_backward(maps, moments)
        ctx.pool = pool
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Gradient of the pooled maps [N, C, h, w] -> gradient of the maps [N, C, H, W]."""
        (maps, moments), pool = ctx.saved_tensors, ctx.pool
        count, width = maps.shape[:2]
        pixels = pool.size[0] * pool.size[1]
        grad = grad.to(torch.bfloat16, memory_format=torch.channels_last)
        chunks, span, partial = _split_pixels(maps, pixels, (2, width), SLOPES)
        shape = {**pool.overlap, "C": width, **SLOPES}
        _kernels.sum_gradients[count, chunks](
            maps, moments, grad, partial, *pool.numbers, SPAN=span, **shape
        )
        out, means = torch.empty_like(maps), partial.sum(1) / pixels
        grid = count, triton.cdiv(pixels, SLOPES["TILE"])
        _kernels.backprop_pool[grid](maps, moments, means, grad, out, *pool.numbers, **shape)
        return out, None, None


def _run_first_block(x: Tensor, conv: nn.Conv2d, norm: nn.GroupNorm, pool: PoolPlan) -> Tensor:
    """Compute a first block from patches of the padded pictures."""
    width, padded = conv.out_channels, _pad(x, int(conv.padding[0]))
    lines, line = padded.shape[1], padded.shape[2] * ROOM
    weight = conv.weight.permute(2, 3, 1, 0)
    moments = _compute_patch_moments(padded, weight, norm, pool)
    out = _allocate_maps(padded, width, pool)
    grid = len(x), triton.cdiv(pool.cells[0] * pool.cells[1], FIRST_CELLS["TILE"])
    sizes = {"ROOM": ROOM, "C": width, **FIRST_CELLS}
    _kernels.convolve_and_pool[grid](
        padded, _place_taps(weight), moments, out, *pool.cells, lines, line, **sizes
    )
    return out


def _compute_patch_moments(
    padded: Tensor, weight: Tensor, norm: nn.GroupNorm, pool: PoolPlan
) -> Tensor:
    """Compute the moments [4, N, width] of maps that are not written.

    One tap of a patch is always one, so that the products of taps include their sums.

    Args:
        padded: pictures bfloat16 [N, lines, pixels, ROOM].
        weight: taps [3, 3, C, width].
        norm: the norm after the convolution.
        pool: has the size of the maps.
    """
    count, lines, line = len(padded), padded.shape[1], padded.shape[2] * ROOM
    channels, width = weight.shape[2:]
    pixels = pool.size[0] * pool.size[1]
    taps = triton.next_power_of_2(max(9 * channels + 1, 16))
    filters = F.pad(weight.reshape(9 * channels, width), (0, 0, 0, taps - 9 * channels))
    chunks, span, partial = _split_pixels(padded, pixels, (taps, taps), PATCHES)
    sizes = {"CHANNELS": channels, "TAPS": taps}
    _kernels.sum_products[count, chunks](
        padded, partial, *pool.size, lines, line, SPAN=span, ROOM=ROOM, **sizes, **PATCHES
    )
    moments = padded.new_empty(4, count, width, dtype=torch.float32)
    inputs = partial, filters.to(torch.bfloat16), norm.weight, norm.bias
    _kernels.compute_product_moments[count,](
        *inputs, moments, pixels, norm.eps, CHUNKS=chunks, C=width, **sizes
    )
    return moments


def _pad(x: Tensor, padding: int) -> Tensor:
    """Pad pictures [N, C, H, W] -> bfloat16 [N, lines, pixels, ROOM].

    The numbers in a line are a multiple of 16.
    """
    count, channels, high, wide = x.shape
    lines, line = high + 2 * padding, -(-(wide + 2 * padding) // 4) * 4 * ROOM
    out = x.new_empty(count, lines, line // ROOM, ROOM, dtype=torch.bfloat16)
    shape = {
        "PADDING": padding,
        "CHANNELS": channels,
        "ROOM": ROOM,
        "LINE": triton.next_power_of_2(line),
    }
    _kernels.pad[count, lines](x.contiguous(), out, high, wide, lines, line, **shape)
    return out


def _place_taps(weight: Tensor) -> Tensor:
    """Place taps [3, 3, C, width] among 4 x 4 pixels, once for each of the middle four.

    The result is bfloat16 [2, 2, 4, 4, ROOM, width].
    """
    out = weight.new_zeros(2, 2, 4, 4, ROOM, weight.shape[-1], dtype=torch.bfloat16)
    for down, right in itertools.product(range(2), repeat=2):
        out[down, right, down : down + 3, right : right + 3, : weight.shape[2]] = weight
    return out


def _split_pixels(
    maps: Tensor, pixels: int, sums: tuple[int, int], kernel: Mapping[str, int]
) -> tuple[int, int, Tensor]:
    """Split an instance's pixels over programs.

    Returns the number of programs, the pixels of each, and a buffer for the sums of each.
    """
    tile = kernel["TILE"]
    span = tile * triton.cdiv(triton.cdiv(pixels, tile), max(PROGRAMS // len(maps), 1))
    count = triton.cdiv(pixels, span)
    return count, span, maps.new_empty(len(maps), count, *sums, dtype=torch.float32)


def _allocate_maps(like: Tensor, width: int, pool: PoolPlan) -> Tensor:
    shape = (len(like), width, *pool.cells)
    return torch.empty(
        shape, dtype=torch.bfloat16, device=like.device, memory_format=torch.channels_last
    )
