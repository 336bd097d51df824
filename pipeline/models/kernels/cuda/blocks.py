"""Blocks of the ConvNet on a GPU: what stands between two convolutions reads the maps twice and writes their pooled quarter.

A block is convolution, instance norm, ReLU and average pool. Layer by layer each writes its maps for the next one to read, in
float32 under autocast; the arithmetic is nothing beside that. Here maps are bfloat16 and lie as [N, H, W, C]; one kernel sums them
for the norm, one normalises, rectifies and pools as it reads. A first convolution has so few channels that its maps are never
written down: their sums follow from the products of the pixels of a patch, and the pooled maps are computed from the patches.
Biases before a norm of one channel each would be taken away again, so none is added. Sums are float32, in a fixed order: same bits.
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

# Programs that keep a GPU busy; numbers that a pixel takes in a picture whose patches are read, of which it may use all.
PROGRAMS, ROOM = 4096, 4
# Pixels and warps of a program, by kernel: as fast as any on an H200, and no register is spilled.
SUMS = {"TILE": 32, "num_warps": 4}
CELLS = {"TILE": 16, "num_warps": 4}
SLOPES = {"TILE": 32, "num_warps": 4}
PATCHES = {"TILE": 128, "num_warps": 4}
FORMED = {"TILE": 64, "num_warps": 4}


@dataclass(frozen=True, kw_only=True)
class PoolPlan:
    """An average pool of maps high x wide to cells: each averages a window, and windows may share pixels.

    Args:
        size: high, wide; `covered`: tall, broad of what is pooled, all or all but an odd edge; `cells`: h, w.
    """

    size: tuple[int, int]
    covered: tuple[int, int]
    cells: tuple[int, int]

    @classmethod
    def from_layer(cls, size: tuple[int, int], layer: nn.Module) -> PoolPlan:
        """An adaptive pool, where cell a has rows floor(a H / h) to ceil((a + 1) H / h), or one that halves."""
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            grid = int(layer.output_size)  # type: ignore[arg-type]
            return cls(size=size, covered=size, cells=(grid, grid))
        cells = size[0] // 2, size[1] // 2
        return cls(size=size, covered=(2 * cells[0], 2 * cells[1]), cells=cells)

    @property
    def numbers(self) -> tuple[int, ...]:
        """In the order in which kernels take them."""
        return (*self.size, *self.covered, *self.cells)

    @property
    def halves(self) -> bool:
        """Whether each cell has two by two pixels of its own."""
        return all(side == 2 * cells for side, cells in zip(self.covered, self.cells, strict=True))

    @property
    def windows(self) -> dict[str, int | bool]:
        """The largest window."""
        if self.halves:
            return {"TALL": 2, "BROAD": 2, "HALVED": True}
        tall, broad = (
            max(-(-(a + 1) * side // n) - a * side // n for a in range(n))
            for side, n in zip(self.covered, self.cells, strict=True)
        )
        return {"TALL": tall, "BROAD": broad, "HALVED": False}

    @property
    def overlap(self) -> dict[str, int | bool]:
        """In how many windows of a line a pixel can lie."""
        even = all(side % n == 0 for side, n in zip(self.covered, self.cells, strict=True))
        return {"OVERLAP": 1 if even else 2, "HALVED": self.halves}


def run_block(x: Tensor, layers: Sequence[nn.Module]) -> Tensor:
    """Maps [N, C, H, W] -> pooled ones [N, width, h, w], bfloat16 and channels last; gradients flow to x.

    Args:
        layers: convolution, norm, ReLU, and an adaptive pool or one that halves. They are computed one by one where channels are no
            power of two or share a group of the norm, or a weight asks for its gradient.
    """
    conv, norm = cast("nn.Conv2d", layers[0]), cast("nn.GroupNorm", layers[1])
    width, padding = conv.out_channels, int(conv.padding[0])
    alone = norm.num_groups == width and width >= 16 and width & (width - 1) == 0
    if not alone or any(
        values.requires_grad for layer in (conv, norm) for values in layer.parameters()
    ):
        return cast("Tensor", nn.Sequential(*layers)(x))
    pool = PoolPlan.from_layer(
        (x.shape[-2] + 2 * padding - 2, x.shape[-1] + 2 * padding - 2), layers[3]
    )
    if (
        conv.in_channels <= ROOM
        and pool.halves
        and not (x.requires_grad and torch.is_grad_enabled())
    ):
        return _run_first_block(x, conv, norm, pool)
    weight = conv.weight.to(torch.bfloat16, memory_format=torch.channels_last)
    maps = F.conv2d(
        x.to(torch.bfloat16, memory_format=torch.channels_last), weight, None, padding=padding
    )
    return cast("Tensor", _NormReluPool.apply(maps, norm, pool))  # type: ignore[no-untyped-call]


class _NormReluPool(torch.autograd.Function):
    """Instance norm, ReLU and pool of convolved maps [N, C, H, W]."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, norm: nn.GroupNorm, pool: PoolPlan) -> Tensor:
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
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        (maps, moments), pool = ctx.saved_tensors, ctx.pool
        count, width = maps.shape[:2]
        pixels = pool.size[0] * pool.size[1]
        slope = slope.to(torch.bfloat16, memory_format=torch.channels_last)
        chunks, span, partial = _split_pixels(maps, pixels, (2, width), SLOPES)
        shape = {**pool.overlap, "C": width, **SLOPES}
        _kernels.sum_gradients[count, chunks](
            maps, moments, slope, partial, *pool.numbers, SPAN=span, **shape
        )
        out, means = torch.empty_like(maps), partial.sum(1) / pixels
        grid = count, triton.cdiv(pixels, SLOPES["TILE"])
        _kernels.backprop_pool[grid](maps, moments, means, slope, out, *pool.numbers, **shape)
        return out, None, None


def _run_first_block(x: Tensor, conv: nn.Conv2d, norm: nn.GroupNorm, pool: PoolPlan) -> Tensor:
    """The block from patches of the padded picture; a one among a patch's taps makes sums of products."""
    count, channels, width, pixels = (
        len(x),
        conv.in_channels,
        conv.out_channels,
        pool.size[0] * pool.size[1],
    )
    padded = _pad(x, int(conv.padding[0]))
    lines, line = padded.shape[1], padded.shape[2] * ROOM
    taps = triton.next_power_of_2(max(9 * channels + 1, 16))
    weight = conv.weight.permute(2, 3, 1, 0)
    filters = F.pad(weight.reshape(9 * channels, width), (0, 0, 0, taps - 9 * channels)).to(
        torch.bfloat16
    )
    chunks, span, partial = _split_pixels(padded, pixels, (taps, taps), PATCHES)
    shape = {"CHANNELS": channels, "TAPS": taps}
    _kernels.sum_products[count, chunks](
        padded, partial, *pool.size, lines, line, SPAN=span, ROOM=ROOM, **shape, **PATCHES
    )
    moments = x.new_empty(4, count, width, dtype=torch.float32)
    _kernels.compute_product_moments[count,](
        partial,
        filters,
        norm.weight,
        norm.bias,
        moments,
        pixels,
        norm.eps,
        CHUNKS=chunks,
        C=width,
        **shape,
    )
    out = _allocate_maps(padded, width, pool)
    grid = count, triton.cdiv(pool.cells[0] * pool.cells[1], FORMED["TILE"])
    _kernels.convolve_and_pool[grid](
        padded,
        _place_taps(weight),
        moments,
        out,
        *pool.cells,
        lines,
        line,
        ROOM=ROOM,
        C=width,
        **FORMED,
    )
    return out


def _pad(x: Tensor, padding: int) -> Tensor:
    """Pictures [N, C, H, W] with their edges -> bfloat16 [N, lines, pixels, ROOM]; a line is a multiple of 16 numbers."""
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
    """Taps [3, 3, C, width] -> bfloat16 [4, 4 x 4 x ROOM, width]: where they lie among 4 x 4 pixels for each of the middle four."""
    out = weight.new_zeros(2, 2, 4, 4, ROOM, weight.shape[-1], dtype=torch.bfloat16)
    for down, right in itertools.product(range(2), repeat=2):
        out[down, right, down : down + 3, right : right + 3, : weight.shape[2]] = weight
    return out


def _split_pixels(
    maps: Tensor, pixels: int, sums: tuple[int, int], kernel: Mapping[str, int]
) -> tuple[int, int, Tensor]:
    """How many programs share an instance's pixels, how many each has, and room for the sums of each."""
    tile = kernel["TILE"]
    span = tile * triton.cdiv(triton.cdiv(pixels, tile), max(PROGRAMS // len(maps), 1))
    count = triton.cdiv(pixels, span)
    return count, span, maps.new_empty(len(maps), count, *sums, dtype=torch.float32)


def _allocate_maps(like: Tensor, width: int, pool: PoolPlan) -> Tensor:
    shape = (len(like), width, *pool.cells)
    return torch.empty(
        shape, dtype=torch.bfloat16, device=like.device, memory_format=torch.channels_last
    )
