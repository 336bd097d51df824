"""Differentiable Siamese augmentation (DSA: Zhao and Bilen, ICML 2021).

One call applies one operation, with one draw for the whole batch. The operations of pictures are
those of DSA; those of log-mels keep the class of a sound: shift in time, gain, masking. The sizes
follow DSA: crop 1/8, cutout 1/2, scale 1.2, rotate 15 degrees, brightness 1, saturation 2, contrast
0.5.
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
    """Apply one of the operations to all rows; without operations return them unchanged.

    Args:
        rows: normalised rows [N, ..., C, H, W].
        operations: names of OPERATIONS, one of which is drawn.
        fill: value of pixels beyond the edges, in normalised units.
        generator: draws the operation and its size; two calls with equal generators do the same to
            two batches (Siamese).
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
    """Change brightness, saturation and contrast in one sum; the last two keep the mean."""
    brightness, saturation, contrast = draw[0] - 0.5, 2 * draw[1], draw[2] + 0.5
    grey = x.mean(1, keepdim=True)
    rest = (
        grey * ((1 - saturation) * contrast)
        + grey.mean((2, 3), keepdim=True) * (1 - contrast)
        + brightness
    )
    return torch.add(rest, x, alpha=saturation * contrast)


def _crop(x: Tensor, draw: list[float]) -> Tensor:
    down, right = (
        _draw_offset(size, 0.125, u) for size, u in zip(x.shape[-2:], draw, strict=False)
    )
    return _translate(x, down, right)


def _cutout(x: Tensor, draw: list[float]) -> Tensor:
    mask = x.new_ones(x.shape[-2:])
    (top, bottom), (left, right) = (
        _draw_hole(size, 0.5, u) for size, u in zip(x.shape[-2:], draw, strict=False)
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
    return _translate(x, 0, _draw_offset(x.shape[-1], 0.125, draw[0]))


def _gain(x: Tensor, draw: list[float]) -> Tensor:
    return x + (draw[0] - 0.5)


def _mask_time(x: Tensor, draw: list[float]) -> Tensor:
    left, right = _draw_hole(x.shape[-1], 0.25, draw[0])
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


def _draw_offset(size: int, fraction: float, u: float) -> int:
    """Return a whole number of cells within +-fraction of the size, for u in [0, 1)."""
    reach = int(size * fraction + 0.5)
    return int(u * (2 * reach + 1)) - reach


def _draw_hole(size: int, fraction: float, u: float) -> tuple[int, int]:
    """Return the first and last + 1 cell of a hole, for u in [0, 1).

    Its middle is anywhere, so a part of it may be beyond the edge.
    """
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
    # Not x.new_tensor, which would wait for the GPU.
    theta = torch.tensor([matrix], dtype=torch.float64).to(x, non_blocking=True)
    grid = F.affine_grid(theta, [1, *x.shape[1:]], align_corners=False)
    return F.grid_sample(
        x, grid.expand(len(x), -1, -1, -1), padding_mode="zeros", align_corners=False
    )


class Warp(torch.autograd.Function):
    """`_warp` with the same bits each time on a GPU too.

    There the library scatters gradients and adds them in any order. Here a pixel's gradient is
    gathered instead, from the output pixels around its image, each with the pixel's weight there.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: list[list[float]]) -> Tensor:
        """Warp x [N, C, H, W] by an affine matrix [2, 3]."""
        ctx.matrix = matrix
        return _warp(x.detach(), matrix)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Gradient of the output [N, C, H, W] -> gradient of the input [N, C, H, W]."""
        (high, wide), ((xx, xy, _), (yx, yy, _)) = grad.shape[-2:], ctx.matrix
        # In cells around the middle, which stays where it is: from output to input, and back.
        xy, yx, determinant = xy * wide / high, yx * high / wide, xx * yy - xy * yx
        y, x = (
            torch.arange(side, dtype=torch.float64, device=grad.device) - (side - 1) / 2
            for side in (high, wide)
        )
        y, x = y[:, None], x[None, :]
        image_x = (yy * x - xy * y) / determinant + (wide - 1) / 2
        image_y = (xx * y - yx * x) / determinant + (high - 1) / 2
        reach = int(max(abs(yy) + abs(xy), abs(xx) + abs(yx)) / abs(determinant) + 0.5)
        offsets = torch.arange(-reach, reach + 1, device=grad.device)
        # [row of the neighbourhood, its column, H, W]
        column = image_x.round() + offsets[None, :, None, None]
        row = image_y.round() + offsets[:, None, None, None]
        inside = (column >= 0) & (column < wide) & (row >= 0) & (row < high)
        p, q = column - (wide - 1) / 2, row - (high - 1) / 2
        weight_x = (1 - (xx * p + xy * q - x).abs()).clamp_min(0)
        weight_y = (1 - (yx * p + yy * q - y).abs()).clamp_min(0)
        weights = (weight_x * weight_y * inside).to(grad.dtype).flatten(0, 1)
        index = (row * wide + column).where(inside, 0).long().flatten(0, 1)
        total, flat = torch.zeros_like(grad), grad.flatten(2)
        for weight, position in zip(weights, index, strict=True):
            total.addcmul_(flat[..., position], weight)
        return total, None
