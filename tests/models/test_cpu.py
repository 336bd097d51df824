"""The kernels of a CPU against float64, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pipeline.core.errors import CellError
from pipeline.models.kernels.cpu import _kernels, blocks, disable_kernels
from pipeline.models.networks.convnet import HalvingPool, Network
from tests.toys.kernels import apart, convnet_block

# Winograd's rounding, of the maps' deviation; directly it is a tenth of that.
ROUNDED = 1e-4
# Channels in, width, H, W, padding, grid of an adaptive pool or none.
BLOCKS = [
    (3, 32, 20, 14, 1, None),
    (1, 64, 13, 12, 3, None),
    (4, 32, 9, 10, 1, None),
    (3, 32, 11, 9, 1, 4),
    (32, 32, 11, 10, 1, None),
    (32, 64, 14, 14, 1, 7),
    (32, 32, 13, 9, 1, 4),
    (64, 32, 4, 4, 1, None),
]
SHAPES = ("channels", "width", "high", "wide", "padding", "grid")


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize(SHAPES, BLOCKS)
@pytest.mark.parametrize("moving", [False, True])
def test_a_block_is_its_layers(
    channels: int, width: int, high: int, wide: int, padding: int, grid: int | None, *, moving: bool
) -> None:
    layers = convnet_block(channels, width, padding, grid)
    x = torch.randn(3, channels, high, wide)
    expected = layers.double()(x.double())
    found = blocks.run_block(x.requires_grad_(moving), [*layers.float()])
    assert (
        found.shape == expected.shape
        and found.requires_grad == moving
        and apart(found, expected) < ROUNDED
    )


@pytest.mark.parametrize(
    ("high", "wide", "grid"), [(12, 10, None), (13, 9, None), (14, 14, 7), (13, 9, 4)]
)
def test_slopes_of_norm_and_pool_are_those_of_the_layers(
    high: int, wide: int, grid: int | None
) -> None:
    layers = convnet_block(3, 32, 1, grid)[1:]
    maps = torch.randn(3, 32, high, wide)
    here = maps.double().requires_grad_()
    expected = layers.double().requires_grad_()(here)
    slope = torch.randn_like(expected)
    expected.backward(slope)
    affine_slopes = layers[0].weight.grad, layers[0].bias.grad
    layers = layers.float().requires_grad_(False)
    maps, slope, moments = (
        maps.movedim(1, -1).contiguous(),
        slope.float().movedim(1, -1).contiguous(),
        np.empty((3, 4, 32), "f4"),
    )
    affine = (layers[0].weight.numpy(), layers[0].bias.numpy(), np.float32(layers[0].eps))
    _kernels.compute_moments(maps.numpy(), (high, wide), *affine, moments)
    found, sums = torch.full((3, high + 2, wide + 2, 32), torch.nan), torch.empty(3, 2, 32)
    windows = [blocks._locate_windows(side, layers[2]) for side in (high, wide)]
    _kernels.backprop_pool(
        maps.numpy(), (high, wide), moments, slope.numpy(), *windows, 1, found.numpy(), sums.numpy()
    )
    assert (
        apart(found[:, 1:-1, 1:-1].movedim(-1, 1), here.grad) < ROUNDED
        and found[:, [0, -1]].eq(0).all()
    )
    assert all(
        apart(ours, theirs) < ROUNDED
        for ours, theirs in zip(sums.sum(0), affine_slopes, strict=True)
    )


@pytest.mark.parametrize(SHAPES, BLOCKS)
def test_slopes_of_a_convolution_are_those_of_its_layer(
    channels: int, width: int, high: int, wide: int, padding: int, grid: int | None
) -> None:
    weight = convnet_block(channels, width, padding, grid)[0].weight
    here, there = (
        torch.randn(3, channels, high, wide).double().requires_grad_(),
        weight.double().requires_grad_(),
    )
    maps = F.conv2d(here, there, padding=padding)
    slope = torch.randn_like(maps)
    maps.backward(slope)
    own = (
        blocks._DirectConvolution
        if channels <= blocks.DIRECT_CHANNELS
        else blocks._TiledConvolution
    )(weight, padding, (high, wide))
    blank = own.allocate_gradient(3).zero_()
    blank[:, own.edge : own.edge + own.size[0], own.edge : own.edge + own.size[1]] = slope.movedim(
        1, -1
    )
    learnt = own.recover_taps(own.backprop_weight(here.detach().float(), blank))
    assert (
        apart(own.backprop_input(blank), here.grad) < ROUNDED
        and apart(learnt, there.grad) < ROUNDED
    )


@pytest.mark.parametrize("channels", [3, 32])
@pytest.mark.usefixtures("two_threads")
def test_threads_change_no_bit(channels: int) -> None:
    """Each instance has maps that a cache holds, so that there are several parts."""
    layers, x = [*convnet_block(channels, 64, 1, None)], torch.randn(5, channels, 64, 64)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        moved = x.clone().requires_grad_()
        out = blocks.run_block(moved, layers)
        out.square().sum().backward()
        found.append((out, moved.grad))
    assert torch.get_num_threads() == 2
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize(SHAPES, BLOCKS)
def test_weights_learn_what_they_learn_from_the_layers(
    channels: int, width: int, high: int, wide: int, padding: int, grid: int | None
) -> None:
    """Where rounding opens or closes a ReLU a slope is another, hence the bound."""
    layers, x = (
        convnet_block(channels, width, padding, grid).requires_grad_(),
        torch.randn(3, channels, high, wide),
    )
    found, expected = (
        gradients(own, x.to(kind))
        for own, kind in ((layers, torch.float32), (deepcopy(layers), torch.float64))
    )
    assert all(
        apart(found[name], expected[name]) < 1e-2 for name in ("0.weight", "1.weight", "1.bias")
    )
    # What the norm takes away again: all but nothing in float64.
    assert found["0.bias"].eq(0).all() and expected["0.bias"].abs().max() < 1e-9


def gradients(layers: nn.Sequential, x: Tensor) -> dict[str, Tensor]:
    """Of each weight, in the precision of x."""
    layers.to(x.dtype).zero_grad()
    out = blocks.run_block(x, [*layers])
    (
        out * torch.linspace(-1, 1, out[0].numel(), dtype=x.dtype).reshape(out.shape[1:])
    ).sum().backward()
    return {name: values.grad.clone() for name, values in layers.named_parameters()}


@pytest.mark.parametrize("channels", [3, 32])
def test_gradients_have_gradients(channels: int) -> None:
    """As gradient matching asks for them: of the weights' gradient with regard to what was seen."""
    layers, x = (
        convnet_block(channels, 32, 1, None).requires_grad_(),
        torch.randn(2, channels, 8, 8),
    )
    found, expected = (
        of_gradients(deepcopy(layers).to(kind), x.to(kind))
        for kind in (torch.float32, torch.float64)
    )
    assert apart(found, expected) < 1e-2


def towers(depth: int) -> nn.ModuleDict:
    network = Network(width=32, grid=4, depth={"frame": depth}, padding={"frame": 1})
    return network.build({"frame": (1, 3, 16, 16)}, torch.Generator().manual_seed(0)).towers


def test_rows_that_are_too_small_are_refused() -> None:
    with pytest.raises(CellError, match="16 x 16 are too small"):
        towers(7)


def test_no_rows_are_none() -> None:
    assert towers(2)["frame"](torch.empty(0, 3, 16, 16)).shape == (0, 32, 4, 4)


def test_one_may_ask_for_the_layers() -> None:
    tower = towers(2)["frame"]
    x = torch.randn(2, 3, 16, 16)
    with disable_kernels(True):
        assert torch.equal(tower(x), nn.Sequential(*tower)(x))
    assert not torch.equal(tower(x), nn.Sequential(*tower)(x))


def of_gradients(layers: nn.Sequential, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    first = torch.autograd.grad(
        blocks.run_block(x, [*layers]).square().sum(), [*layers.parameters()], create_graph=True
    )
    return torch.autograd.grad(sum(values.square().sum() for values in first), x)[0]


@pytest.mark.parametrize(
    ("channels", "width", "padding"), [(3, 12, 1), (3, 48, 1), (20, 32, 1), (32, 32, 3)]
)
def test_shapes_that_no_kernel_takes_are_computed_layer_by_layer(
    channels: int, width: int, padding: int
) -> None:
    layers, x = convnet_block(channels, width, padding, None), torch.randn(2, channels, 8, 8)
    assert torch.equal(blocks.run_block(x, [*layers]), layers(x))


def test_float64_is_computed_layer_by_layer() -> None:
    layers, x = convnet_block(3, 32, 1, None).double(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert torch.equal(blocks.run_block(x, [*layers]), layers(x))


@pytest.mark.parametrize("channels", [3, 32])
def test_what_is_no_number_stays_none(channels: int) -> None:
    x = torch.randn(2, channels, 8, 8)
    x[0, 0, 3, 3] = torch.nan
    out = blocks.run_block(x, [*convnet_block(channels, 32, 1, None)])
    assert out[0].isnan().all() and out[1].isfinite().all()


def test_kernels_are_compiled_where_none_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    assert _kernels.compile_kernel(lambda x: x + 1)(1) == 2


@given(side=st.integers(1, 60), cells=st.integers(1, 20))
def test_windows_are_those_of_the_adaptive_pool(side: int, cells: int) -> None:
    """From PyTorch's pool of an identity: row c is 1 / window at the pixels of cell c."""
    cells = min(cells, side)
    first, last = blocks._locate_windows(side, nn.AdaptiveAvgPool2d(cells))
    pixels = np.arange(side)[:, None]
    inside = torch.from_numpy((first <= pixels) & (pixels < last))
    assert torch.equal(inside, F.adaptive_avg_pool1d(torch.eye(side), cells) > 0)


@given(side=st.integers(2, 60))
def test_windows_of_the_other_pool_halve(side: int) -> None:
    first, last = blocks._locate_windows(side, HalvingPool())
    assert first.tolist() == [*range(0, side - 1, 2)] and (last - first == 2).all()
