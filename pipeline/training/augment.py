"""Differentiable Siamese augmentation (Zhao and Bilen, ICML 2021): one operation per call, one draw for the whole batch.

The operations of pictures are those of DSA; those of log-mels leave a sound what it is: shift in time, gain, masking.
Sizes of the draws follow DSA: crop 1/8, cutout 1/2, scale 1.2, rotate 15 degrees, brightness 1, saturation 2, contrast 0.5.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.core.plugins import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def augment(
    rows: Tensor, operations: Sequence[str], fill: float, generator: torch.Generator
) -> Tensor:
    """Apply one of `operations`, drawn from the generator, to rows [N, ..., C, H, W]; no operation leaves them as they are.

    Args:
        fill: what stands for nothing at the edges, in normalised units.
        generator: two calls with equal generators do the same thing to two batches (Siamese).
    """
    if not operations:
        return rows
    draw = torch.rand(8, generator=generator).tolist()
    operation = pick(OPERATIONS, operations[int(draw[0] * len(operations))], "augmentation")
    flat = rows.flatten(0, -4)
    # Around zero, so that zero padding is the fill.
    flat = operation(flat - fill, draw[1:]) + fill if fill else operation(flat, draw[1:])
    return flat.reshape(rows.shape)


def _color(x: Tensor, draw: list[float]) -> Tensor:
    """Brighter, then away from grey, then away from the mean, in one sum: the last two leave the mean where it is."""
    brightness, saturation, contrast = draw[0] - 0.5, 2 * draw[1], draw[2] + 0.5
    grey = x.mean(1, keepdim=True)
    rest = (
        grey * ((1 - saturation) * contrast)
        + grey.mean((2, 3), keepdim=True) * (1 - contrast)
        + brightness
    )
    return torch.add(rest, x, alpha=saturation * contrast)


def _crop(x: Tensor, draw: list[float]) -> Tensor:
    down, right = (_offset(size, 0.125, u) for size, u in zip(x.shape[-2:], draw, strict=False))
    return _translate(x, down, right)


def _cutout(x: Tensor, draw: list[float]) -> Tensor:
    mask = x.new_ones(x.shape[-2:])
    (top, bottom), (left, right) = (
        _hole(size, 0.5, u) for size, u in zip(x.shape[-2:], draw, strict=False)
    )
    mask[top:bottom, left:right] = 0
    return x * mask


def _flip(x: Tensor, draw: list[float]) -> Tensor:
    return x.flip(-1) if draw[0] < 0.5 else x


def _scale(x: Tensor, draw: list[float]) -> Tensor:
    wide, high = (1 / 1.2 + u * (1.2 - 1 / 1.2) for u in draw[:2])
    return _warp(x, [[wide, 0.0, 0.0], [0.0, high, 0.0]])


def _rotate(x: Tensor, draw: list[float]) -> Tensor:
    angle = (2 * draw[0] - 1) * math.radians(15)
    sine, cosine = math.sin(angle), math.cos(angle)
    return _warp(x, [[cosine, -sine, 0.0], [sine, cosine, 0.0]])


def _shift(x: Tensor, draw: list[float]) -> Tensor:
    return _translate(x, 0, _offset(x.shape[-1], 0.125, draw[0]))


def _gain(x: Tensor, draw: list[float]) -> Tensor:
    return x + (draw[0] - 0.5)


def _mask_time(x: Tensor, draw: list[float]) -> Tensor:
    left, right = _hole(x.shape[-1], 0.25, draw[0])
    mask = x.new_ones(x.shape[-1])
    mask[left:right] = 0
    return x * mask


def _mask_mel(x: Tensor, draw: list[float]) -> Tensor:
    return _mask_time(x.transpose(-1, -2), draw).transpose(-1, -2)


Operation = Literal[
    "color", "crop", "cutout", "flip", "scale", "rotate", "shift", "gain", "mask_time", "mask_mel"
]
OPERATIONS: dict[str, Callable[[Tensor, list[float]], Tensor]] = {
    "color": _color,
    "crop": _crop,
    "cutout": _cutout,
    "flip": _flip,
    "scale": _scale,
    "rotate": _rotate,
    "shift": _shift,
    "gain": _gain,
    "mask_time": _mask_time,
    "mask_mel": _mask_mel,
}


def _offset(size: int, fraction: float, u: float) -> int:
    """A whole number of cells within +-fraction of the size."""
    reach = int(size * fraction + 0.5)
    return int(u * (2 * reach + 1)) - reach


def _hole(size: int, fraction: float, u: float) -> tuple[int, int]:
    """First and last+1 cell of a hole whose middle lies anywhere, so that it may hang over the edge."""
    length = int(size * fraction + 0.5)
    first = int(u * (size + 1 - length % 2)) - length // 2
    return max(first, 0), min(first + length, size)


def _translate(x: Tensor, down: int, right: int) -> Tensor:
    padded = F.pad(x, (abs(right), abs(right), abs(down), abs(down)))
    top, left = abs(down) - down, abs(right) - right
    return padded[..., top : top + x.shape[-2], left : left + x.shape[-1]]


def _warp(x: Tensor, matrix: list[list[float]]) -> Tensor:
    if x.is_cuda and x.requires_grad:
        warped: Tensor = Warp.apply(x, matrix)  # type: ignore[no-untyped-call]
        return warped
    # Not x.new_tensor, for which a GPU would be waited for.
    theta = torch.tensor([matrix], dtype=torch.float64).to(x, non_blocking=True)
    grid = F.affine_grid(theta, [1, *x.shape[1:]], align_corners=False)
    return F.grid_sample(
        x, grid.expand(len(x), -1, -1, -1), padding_mode="zeros", align_corners=False
    )


class Warp(torch.autograd.Function):
    """`_warped` with the same bits each time on a GPU too, where the library's slopes are scattered and added in any order.

    A pixel's slope is gathered instead: from the few output pixels around where it lands, each with the weight that it had there.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: list[list[float]]) -> Tensor:
        """As `_warped`."""
        ctx.matrix = matrix
        return _warp(x.detach(), matrix)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        """Slope of the output [N, C, H, W] -> of the input."""
        (high, wide), ((xx, xy, _), (yx, yy, _)) = slope.shape[-2:], ctx.matrix
        # From cells of the output to cells of the input, around the middle, where both stand still; and back.
        xy, yx, over = xy * wide / high, yx * high / wide, xx * yy - xy * yx
        y, x = (
            torch.arange(side, dtype=torch.float64, device=slope.device) - (side - 1) / 2
            for side in (high, wide)
        )
        y, x = y[:, None], x[None, :]
        landed = (
            (yy * x - xy * y) / over + (wide - 1) / 2,
            (xx * y - yx * x) / over + (high - 1) / 2,
        )
        reach = int(max(abs(yy) + abs(xy), abs(xx) + abs(yx)) / abs(over) + 0.5)
        beside = torch.arange(-reach, reach + 1, device=slope.device)
        # [row of the neighbourhood, its column, H, W]
        column, row = (
            landed[0].round() + beside[None, :, None, None],
            landed[1].round() + beside[:, None, None, None],
        )
        inside = (column >= 0) & (column < wide) & (row >= 0) & (row < high)
        p, q = column - (wide - 1) / 2, row - (high - 1) / 2
        near = (1 - (xx * p + xy * q - x).abs()).clamp_min(0) * (
            1 - (yx * p + yy * q - y).abs()
        ).clamp_min(0)
        weights = (near * inside).to(slope.dtype).flatten(0, 1)
        index = (row * wide + column).where(inside, 0).long().flatten(0, 1)
        total, flat = torch.zeros_like(slope), slope.flatten(2)
        for weight, place in zip(weights, index, strict=True):
            total.addcmul_(flat[..., place], weight)
        return total, None
