"""Blocks of the ConvNet on a CPU: a few instances at a time, so that maps are read again while they are in the cache.

A block is convolution, instance norm, ReLU and average pool. Layer by layer each writes its maps into memory for the next one to
read, which takes longer than the arithmetic of all but the convolution. Of that Winograd's F(4 x 4, 3 x 3) needs a quarter of the
multiplications (Lavin and Gray, CVPR 2016): 16 pixels of a channel are the middle of 36 products, one for each pair of frequencies.
Rounding is some 1e-5 of the maps' deviation, where a direct convolution has 1e-6. Biases before a norm of one channel each would be
taken away again, so none is added.
"""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.models.kernels.cpu import _kernels
from pipeline.models.kernels.cpu._product import ROWS, WIDTHS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
# Channels of a picture that is convolved directly; numbers of maps that are read again while a cache holds them.
FEW, NUMBERS = 4, 2**18
# G of Lavin and Gray: three taps -> what each of six frequencies multiplies by.
TAPS = torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24


def run_block(x: Tensor, layers: Sequence[nn.Module]) -> Tensor:
    """Maps [N, C, H, W] -> pooled ones [N, width, h, w], channels last; gradients flow to x and to all weights.

    Args:
        layers: convolution, norm, ReLU, and an adaptive pool or one that halves. They are computed one by one where numbers are
            no float32, maps have less than 2 x 2 pixels, or channels are no multiple of `WIDTHS` (or at most `FEW` that come in) or
            share a group of the norm.
    """
    conv, norm = cast("nn.Conv2d", layers[0]), cast("nn.GroupNorm", layers[1])
    alone = norm.num_groups == conv.out_channels and conv.out_channels % WIDTHS == 0
    taken = alone and (
        conv.in_channels <= FEW or (conv.in_channels % WIDTHS == 0 and conv.padding == (1, 1))
    )
    some = x.numel() > 0 and min(x.shape[-2:]) + 2 * int(conv.padding[0]) > 3
    if not (taken and some and x.dtype == torch.float32):
        return cast("Tensor", nn.Sequential(*layers)(x))
    weights = conv.weight, conv.bias, norm.weight, norm.bias
    return cast("Tensor", _ConvBlock.apply(layers, x, *weights))  # type: ignore[no-untyped-call]


class _Convolution(Protocol):
    """Instances -> maps in a buffer [n, high + some, wide + some, C], and from the slope of maps back to that of instances.

    `size`: high, wide; a slope stands `edge` pixels from the upper left corner of its buffer.
    """

    size: tuple[int, int]
    edge: int

    def convolve(self, x: Tensor) -> Tensor: ...
    def allocate_gradient(self, count: int) -> Tensor: ...
    def backprop_input(self, slope: Tensor) -> Tensor: ...
    def backprop_weight(self, x: Tensor, slope: Tensor) -> Tensor: ...
    def recover_taps(self, learnt: Tensor) -> Tensor: ...


class _DirectConvolution:
    """Of pictures of few channels."""

    edge = 0

    def __init__(self, weight: Tensor, padding: int, picture: tuple[int, int]) -> None:
        self._weight, self._padding, self._picture = weight, padding, picture
        self.size = picture[0] + 2 * padding - 2, picture[1] + 2 * padding - 2

    def convolve(self, x: Tensor) -> Tensor:
        padded = self._pad(x)
        maps = x.new_empty(len(x), padded.shape[2] - 2, padded.shape[3] - 2, len(self._weight))
        weight = self._weight.flatten(2).permute(1, 2, 0).contiguous()
        _kernels.convolve_direct(padded.numpy(), weight.numpy(), maps.numpy())
        return maps

    def allocate_gradient(self, count: int) -> Tensor:
        return self._weight.new_empty(count, *self.size, len(self._weight))

    def backprop_input(self, slope: Tensor) -> Tensor:
        """What each tap gives, added where it came from."""
        taps = self._weight.flatten(1).T @ slope.flatten(1, 2).transpose(1, 2)
        return F.fold(taps, self._picture, 3, padding=self._padding)

    def backprop_weight(self, x: Tensor, slope: Tensor) -> Tensor:
        weight = slope.new_empty(self._weight.shape[1], 9, len(self._weight))
        _kernels.backprop_direct(self._pad(x).numpy(), slope.numpy(), weight.numpy())
        return weight

    def recover_taps(self, learnt: Tensor) -> Tensor:
        return learnt.movedim(-1, 0).reshape(self._weight.shape)

    def _pad(self, x: Tensor) -> Tensor:
        """With its edges; odd maps are made even, for they are made two by two pixels at a time."""
        down, right = (self._padding + side % 2 for side in self.size)
        return F.pad(x, (self._padding, right, self._padding, down)).contiguous()


class _TiledConvolution:
    """By tiles of 4 x 4 pixels."""

    edge = 1

    def __init__(self, weight: Tensor, _: int, picture: tuple[int, int]) -> None:
        self.size, self._weight = picture, weight
        self._covered = [-(-side // 4) * 4 for side in self.size]

    def convolve(self, x: Tensor) -> Tensor:
        return self._run_winograd(self._pad(x), self._forward_factors)

    def allocate_gradient(self, count: int) -> Tensor:
        return self._allocate_padded(count, len(self._weight))

    def backprop_input(self, slope: Tensor) -> Tensor:
        """A convolution of the slope: taps turned around, channels exchanged."""
        found = self._run_winograd(slope, self._backward_factors)
        return found[:, : self.size[0], : self.size[1]].movedim(-1, 1)

    def backprop_weight(self, x: Tensor, slope: Tensor) -> Tensor:
        width, depth = self._weight.shape[:2]
        factors = slope.new_empty(36, depth + ROWS, width)
        _kernels.backprop_winograd(self._pad(x).numpy(), slope.numpy(), factors.numpy())
        return factors

    def recover_taps(self, learnt: Tensor) -> Tensor:
        factors = learnt[:, : self._weight.shape[1]].reshape(6, 6, *self._weight.shape[1::-1])
        return torch.einsum("ai,bj,abkc->ckij", TAPS, TAPS, factors)

    def _pad(self, x: Tensor) -> Tensor:
        padded = self._allocate_padded(len(x), x.shape[1])
        padded[:, 1 : 1 + self.size[0], 1 : 1 + self.size[1]] = x.movedim(1, -1)
        return padded

    def _allocate_padded(self, count: int, channels: int) -> Tensor:
        return self._weight.new_zeros(count, self._covered[0] + 2, self._covered[1] + 2, channels)

    def _run_winograd(self, padded: Tensor, factors: Tensor) -> Tensor:
        maps = padded.new_empty(len(padded), *self._covered, factors.shape[-1])
        _kernels.convolve_winograd(padded.numpy(), factors.numpy(), maps.numpy())
        return maps

    @cached_property
    def _forward_factors(self) -> Tensor:
        return _transform_weight(self._weight)

    @cached_property
    def _backward_factors(self) -> Tensor:
        return _transform_weight(self._weight.flip(2, 3).transpose(0, 1))


def _transform_weight(weight: Tensor) -> Tensor:
    """Taps [C, K, 3, 3] -> G g G', [36, K, C]."""
    return torch.einsum("ai,bj,ckij->abkc", TAPS, TAPS, weight).flatten(0, 1).contiguous()


class _ConvBlock(torch.autograd.Function):
    """The four layers, some instances at a time; their maps are kept where a gradient will be asked for."""

    @staticmethod
    def forward(ctx: Any, layers: Sequence[Any], x: Tensor, *weights: Tensor) -> Tensor:
        conv, norm, _, layer = layers
        ctx.layers, kept, inputs = layers, any(ctx.needs_input_grad), (x, *weights)
        x, weight, _, *affine = (
            values.detach() for values in inputs
        )  # in a thread gradients would be asked for anew
        ctx.convolution = (_DirectConvolution if conv.in_channels <= FEW else _TiledConvolution)(
            weight, int(conv.padding[0]), (x.shape[-2], x.shape[-1])
        )
        ctx.windows = [_windows(side, layer) for side in ctx.convolution.size]
        moments = x.new_empty(len(x), 4, len(weight))
        out = x.new_empty(len(x), *(own.shape[1] for own in ctx.windows), len(weight))

        def run_part(part: slice) -> list[Tensor]:
            maps, own = ctx.convolution.convolve(x[part]), moments[part].numpy()
            _kernels.compute_moments(
                maps.numpy(),
                ctx.convolution.size,
                *(one.numpy() for one in affine),
                np.float32(norm.eps),
                own,
            )
            _kernels.pool(maps.numpy(), own, *ctx.windows, out[part].numpy())
            return [maps] * kept

        together = max(NUMBERS // (math.prod(ctx.convolution.size) * len(weight)), 1)
        ctx.parts = [slice(first, first + together) for first in range(0, len(x), together)]
        ctx.save_for_backward(
            *inputs, moments, *itertools.chain(*_map_parallel(run_part, ctx.parts))
        )
        return out.movedim(-1, 1)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, scale, shift, moments, *kept = ctx.saved_tensors
        asked, inputs = ctx.needs_input_grad[1:], (x, weight, bias, scale, shift)
        if torch.is_grad_enabled():
            return None, *_backprop_layers(ctx.layers, inputs, asked, slope)
        above, found = slope.movedim(1, -1).contiguous(), torch.empty(len(x), 2, len(weight))
        convolution, seen = ctx.convolution, x.detach()

        def backprop_part(part: slice, maps: Tensor) -> tuple[Tensor | None, Tensor | None]:
            blank = convolution.allocate_gradient(len(maps))
            own = maps.numpy(), convolution.size, moments[part].numpy(), above[part].numpy()
            _kernels.backprop_pool(
                *own, *ctx.windows, convolution.edge, blank.numpy(), found[part].numpy()
            )
            return convolution.backprop_input(blank) if asked[
                0
            ] else None, convolution.backprop_weight(seen[part], blank) if asked[1] else None

        rows, learnt = zip(*_map_parallel(backprop_part, ctx.parts, kept), strict=True)
        taps = convolution.recover_taps(sum(learnt)) if asked[1] else None
        # What a norm takes away again has no slope.
        whole = torch.cat(rows) if asked[0] else None, taps, torch.zeros_like(bias), *found.sum(0)
        return None, *(values if one else None for values, one in zip(whole, asked, strict=True))


def _backprop_layers(
    layers: Sequence[Any], inputs: Sequence[Tensor], asked: Sequence[bool], slope: Tensor
) -> list[Tensor | None]:
    """Gradients that have gradients, as gradient matching and matching of trajectories need them."""
    x, weight, bias, scale, shift = inputs
    conv, norm, _, pool = layers
    maps = F.conv2d(x, weight, bias, padding=conv.padding)
    out = pool(F.relu(F.group_norm(maps, norm.num_groups, scale, shift, norm.eps)))
    found = iter(
        torch.autograd.grad(
            out,
            [values for values, one in zip(inputs, asked, strict=True) if one],
            slope,
            create_graph=True,
        )
    )
    return [next(found) if one else None for one in asked]


def _windows(side: int, layer: nn.Module) -> np.ndarray:
    """Where windows begin and end, [2, cells].

    Cell a of an adaptive pool has pixels floor(a side / cells) to ceil((a + 1) side / cells); the other pool halves.
    """
    adaptive = isinstance(layer, nn.AdaptiveAvgPool2d)
    cells = int(layer.output_size) if adaptive else side // 2  # type: ignore[arg-type]
    covered = side if adaptive else 2 * cells
    first = np.arange(cells)
    return np.stack([first * covered // cells, -(-(first + 1) * covered // cells)])


def _map_parallel(work: Callable[..., T], *arguments: Sequence[Any]) -> list[T]:
    """Side by side on as many threads as operations have; a part is one thread's, so that their number changes no bit."""
    threads = torch.get_num_threads()
    if threads == 1:
        return list(map(work, *arguments))
    with ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1)) as pool:
        try:
            return list(pool.map(work, *arguments))
        finally:
            torch.set_num_threads(threads)
