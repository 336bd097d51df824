"""Blocks of the ConvNet on a CPU, for a small number of instances at a time.

A block is convolution, instance norm, ReLU and average pool. Layer by layer, each writes its maps
to memory for the next one to read. That takes longer than the arithmetic of all but the
convolution. Here the maps of an instance are read again while they are in the cache.

Winograd's F(4 x 4, 3 x 3) needs a quarter of the multiplications of a convolution (Lavin and Gray,
CVPR 2016): 16 pixels of a channel are made from 36 products, one for each pair of frequencies.
Rounding is about 1e-5 of the maps' standard deviation, where a direct convolution has 1e-6. An
instance norm subtracts any bias before it, so none is added.
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
# Inputs of at most so many channels are convolved directly.
DIRECT_CHANNELS = 4
# Numbers in the maps of the instances that are computed together; a cache holds them.
CACHED_NUMBERS = 2**18
# G of Lavin and Gray: three taps -> the factor of each of six frequencies.
TAPS = torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24


def run_block(x: Tensor, layers: Sequence[nn.Module]) -> Tensor:
    """Return the pooled maps [N, width, h, w], channels last; gradients flow to x and all weights.

    The layers run one by one where x is no float32, the maps have less than 2 x 2 pixels, the norm
    is no instance norm, or a number of channels is no multiple of `WIDTHS` (and, of those that come
    in, more than `DIRECT_CHANNELS`).

    Args:
        x: maps [N, C, H, W].
        layers: convolution, norm, ReLU, and an adaptive pool or a `HalvingPool`.
    """
    conv, norm = cast("nn.Conv2d", layers[0]), cast("nn.GroupNorm", layers[1])
    direct = conv.in_channels <= DIRECT_CHANNELS
    tiled = conv.in_channels % WIDTHS == 0 and conv.padding == (1, 1)
    instance_norm = norm.num_groups == conv.out_channels and conv.out_channels % WIDTHS == 0
    large_enough = x.numel() > 0 and min(x.shape[-2:]) + 2 * int(conv.padding[0]) > 3
    if not (instance_norm and (direct or tiled) and large_enough and x.dtype == torch.float32):
        return cast("Tensor", nn.Sequential(*layers)(x))
    weights = conv.weight, conv.bias, norm.weight, norm.bias
    return cast("Tensor", _ConvBlock.apply(layers, x, *weights))  # type: ignore[no-untyped-call]


class _Convolution(Protocol):
    """A way to convolve; buffers of maps [n, H, W, C] may be larger than the maps.

    Args:
        size: high and wide of the maps.
        edge: pixels between the upper left corner of a gradient's buffer and the gradient.
    """

    size: tuple[int, int]
    edge: int

    def convolve(self, x: Tensor) -> Tensor:
        """Instances [n, K, H, W] -> a buffer of maps [n, H', W', C]."""
        ...

    def allocate_gradient(self, count: int) -> Tensor:
        """Return an empty buffer for the gradient of the maps of `count` instances."""
        ...

    def backprop_input(self, grad: Tensor) -> Tensor:
        """Buffer of the maps' gradient -> gradient of the instances [n, K, H, W]."""
        ...

    def backprop_weight(self, x: Tensor, grad: Tensor) -> Tensor:
        """Instances, and the buffer of their maps' gradient -> gradient of the kernel's factors."""
        ...

    def recover_taps(self, grad: Tensor) -> Tensor:
        """Gradient of the kernel's factors -> gradient of the weight [C, K, 3, 3]."""
        ...


class _DirectConvolution:
    """A convolution of inputs with a small number of channels."""

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

    def backprop_input(self, grad: Tensor) -> Tensor:
        """Add the gradient of each tap to its input pixel."""
        taps = self._weight.flatten(1).T @ grad.flatten(1, 2).transpose(1, 2)
        return F.fold(taps, self._picture, 3, padding=self._padding)

    def backprop_weight(self, x: Tensor, grad: Tensor) -> Tensor:
        weight = grad.new_empty(self._weight.shape[1], 9, len(self._weight))
        _kernels.backprop_direct(self._pad(x).numpy(), grad.numpy(), weight.numpy())
        return weight

    def recover_taps(self, grad: Tensor) -> Tensor:
        return grad.movedim(-1, 0).reshape(self._weight.shape)

    def _pad(self, x: Tensor) -> Tensor:
        """Add the padding, and one more line or column where maps are odd: pixels come in 2 x 2."""
        down, right = (self._padding + side % 2 for side in self.size)
        return F.pad(x, (self._padding, right, self._padding, down)).contiguous()


class _TiledConvolution:
    """Winograd's convolution, in tiles of 4 x 4 pixels."""

    edge = 1

    def __init__(self, weight: Tensor, _: int, picture: tuple[int, int]) -> None:
        self.size, self._weight = picture, weight
        self._covered = [-(-side // 4) * 4 for side in self.size]

    def convolve(self, x: Tensor) -> Tensor:
        return self._run_winograd(self._pad(x), self._forward_factors)

    def allocate_gradient(self, count: int) -> Tensor:
        return self._allocate_padded(count, len(self._weight))

    def backprop_input(self, grad: Tensor) -> Tensor:
        """Convolve the gradient, with the taps flipped and the channels exchanged."""
        buffer = self._run_winograd(grad, self._backward_factors)
        return buffer[:, : self.size[0], : self.size[1]].movedim(-1, 1)

    def backprop_weight(self, x: Tensor, grad: Tensor) -> Tensor:
        width, depth = self._weight.shape[:2]
        factors = grad.new_empty(36, depth + ROWS, width)
        _kernels.backprop_winograd(self._pad(x).numpy(), grad.numpy(), factors.numpy())
        return factors

    def recover_taps(self, grad: Tensor) -> Tensor:
        factors = grad[:, : self._weight.shape[1]].reshape(6, 6, *self._weight.shape[1::-1])
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
    """Return G g G' [36, K, C] of taps [C, K, 3, 3]."""
    return torch.einsum("ai,bj,ckij->abkc", TAPS, TAPS, weight).flatten(0, 1).contiguous()


class _ConvBlock(torch.autograd.Function):
    """The four layers, for some instances at a time.

    The maps are saved where a gradient will be asked for.
    """

    @staticmethod
    def forward(ctx: Any, layers: Sequence[Any], x: Tensor, *weights: Tensor) -> Tensor:
        """Maps [N, K, H, W] and the layers' weights -> pooled maps [N, C, h, w]."""
        conv, norm, _, layer = layers
        ctx.layers, keep_maps, inputs = layers, any(ctx.needs_input_grad), (x, *weights)
        # Detached: a thread has its own gradient mode, and would record the operations.
        x, weight, _, *affine = (values.detach() for values in inputs)
        kind = _DirectConvolution if conv.in_channels <= DIRECT_CHANNELS else _TiledConvolution
        ctx.convolution = kind(weight, int(conv.padding[0]), (x.shape[-2], x.shape[-1]))
        ctx.windows = [_locate_windows(side, layer) for side in ctx.convolution.size]
        moments = x.new_empty(len(x), 4, len(weight))
        out = x.new_empty(len(x), *(windows.shape[1] for windows in ctx.windows), len(weight))
        size, norm_weights = ctx.convolution.size, [values.numpy() for values in affine]

        def run_part(part: slice) -> list[Tensor]:
            maps, stats = ctx.convolution.convolve(x[part]), moments[part].numpy()
            eps = np.float32(norm.eps)
            _kernels.compute_moments(maps.numpy(), size, *norm_weights, eps, stats)
            _kernels.pool(maps.numpy(), stats, *ctx.windows, out[part].numpy())
            return [maps] * keep_maps

        batch = max(CACHED_NUMBERS // (math.prod(size) * len(weight)), 1)
        ctx.parts = [slice(first, first + batch) for first in range(0, len(x), batch)]
        maps = itertools.chain(*_map_parallel(run_part, ctx.parts))
        ctx.save_for_backward(*inputs, moments, *maps)
        return out.movedim(-1, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the pooled maps [N, C, h, w] -> gradients of the maps and the weights."""
        x, weight, bias, scale, shift, moments, *maps = ctx.saved_tensors
        needed, inputs = ctx.needs_input_grad[1:], (x, weight, bias, scale, shift)
        if torch.is_grad_enabled():
            return None, *_backprop_layers(ctx.layers, inputs, needed, grad)
        convolution, rows = ctx.convolution, x.detach()
        grad, sums = grad.movedim(1, -1).contiguous(), torch.empty(len(x), 2, len(weight))

        def backprop_part(part: slice, maps: Tensor) -> tuple[Tensor | None, Tensor | None]:
            buffer = convolution.allocate_gradient(len(maps))
            inputs = maps.numpy(), convolution.size, moments[part].numpy(), grad[part].numpy()
            outputs = buffer.numpy(), sums[part].numpy()
            _kernels.backprop_pool(*inputs, *ctx.windows, convolution.edge, *outputs)
            return (
                convolution.backprop_input(buffer) if needed[0] else None,
                convolution.backprop_weight(rows[part], buffer) if needed[1] else None,
            )

        of_rows, of_factors = zip(*_map_parallel(backprop_part, ctx.parts, maps), strict=True)
        taps = convolution.recover_taps(sum(of_factors)) if needed[1] else None
        # The norm subtracts the bias, so its gradient is 0.
        of_x = torch.cat(of_rows) if needed[0] else None
        gradients = of_x, taps, torch.zeros_like(bias), *sums.sum(0)
        return None, *(one if need else None for one, need in zip(gradients, needed, strict=True))


def _backprop_layers(
    layers: Sequence[Any], inputs: Sequence[Tensor], needed: Sequence[bool], grad: Tensor
) -> list[Tensor | None]:
    """Compute gradients that have gradients, as gradient and trajectory matching need them."""
    x, weight, bias, scale, shift = inputs
    conv, norm, _, pool = layers
    maps = F.conv2d(x, weight, bias, padding=conv.padding)
    out = pool(F.relu(F.group_norm(maps, norm.num_groups, scale, shift, norm.eps)))
    wanted = [values for values, need in zip(inputs, needed, strict=True) if need]
    gradients = iter(torch.autograd.grad(out, wanted, grad, create_graph=True))
    return [next(gradients) if need else None for need in needed]


def _locate_windows(side: int, layer: nn.Module) -> np.ndarray:
    """Return the first and last + 1 pixel of each window, int [2, cells].

    Cell a of an adaptive pool has pixels floor(a side / cells) to ceil((a + 1) side / cells); the
    other pool halves.
    """
    adaptive = isinstance(layer, nn.AdaptiveAvgPool2d)
    cells = int(layer.output_size) if adaptive else side // 2  # type: ignore[arg-type]
    covered = side if adaptive else 2 * cells
    first = np.arange(cells)
    return np.stack([first * covered // cells, -(-(first + 1) * covered // cells)])


def _map_parallel(work: Callable[..., T], *arguments: Sequence[Any]) -> list[T]:
    """Map in parallel, on as many threads as torch uses.

    A part runs on one thread, so the number of threads changes no bit.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        return list(map(work, *arguments))
    with ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1)) as pool:
        try:
            return list(pool.map(work, *arguments))
        finally:
            torch.set_num_threads(threads)
