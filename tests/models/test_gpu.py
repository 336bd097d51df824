"""A GPU's kernels against float64, by layer; without a GPU in Triton's interpreter."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline.core.records import Normalisation
from tests.toys.kernels import apart, convnet_block
from tests.toys.project import CPU

triton = pytest.importorskip("triton", reason="Triton comes with torch on Linux alone")
from pipeline.models.kernels.cuda import blocks  # noqa: E402
from pipeline.models.kernels.cuda.rows import take_rows  # noqa: E402

DEVICE = torch.device("cuda") if torch.cuda.is_available() else CPU
# bfloat16 keeps 8 bits: what is rounded to it once is off by a 500th, on average.
ROUNDED = 4e-3
# Channels in, width, H, W, padding, grid of an adaptive pool or none.
BLOCKS = [
    (3, 16, 20, 14, 1, None),
    (1, 32, 13, 12, 3, None),
    (4, 16, 9, 10, 1, None),
    (16, 16, 11, 10, 1, None),
    (16, 32, 14, 14, 1, 7),
    (16, 16, 13, 9, 1, 4),
    (3, 16, 11, 9, 1, 4),
]


@pytest.fixture(autouse=True)
def products_of_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's interpreter keeps bfloat16 as its bits, and multiplies them as they are."""
    if DEVICE != CPU:
        return
    interpreter = sys.modules["triton.runtime.interpreter"]
    product = interpreter.InterpreterBuilder.create_dot

    def widened(handle: Any) -> Any:
        if handle.dtype != triton.language.bfloat16:
            return handle
        return interpreter.TensorHandle(
            (handle.data.astype("uint32") << 16).view("float32"), triton.language.float32
        )

    monkeypatch.setattr(
        interpreter.InterpreterBuilder,
        "create_dot",
        lambda self, a, b, *rest: product(self, widened(a), widened(b), *rest),
    )


def rounded(layers: nn.Sequential) -> nn.Sequential:
    """With taps that bfloat16 holds, so that only maps are rounded."""
    layers[0].weight.copy_(layers[0].weight.bfloat16())
    return layers


@pytest.mark.parametrize(("channels", "width", "high", "wide", "padding", "grid"), BLOCKS)
@pytest.mark.parametrize("moving", [False, True])
def test_a_block_is_its_layers(
    channels: int, width: int, high: int, wide: int, padding: int, grid: int | None, *, moving: bool
) -> None:
    layers = rounded(convnet_block(channels, width, padding, grid))
    x = torch.randn(3, channels, high, wide).bfloat16().float()
    expected = layers.double()(x.double())
    found = blocks.run_block(x.to(DEVICE).requires_grad_(moving), [*layers.float().to(DEVICE)])
    assert (
        found.shape == expected.shape
        and found.requires_grad == moving
        and apart(found, expected) < ROUNDED
    )


@pytest.mark.parametrize(("channels", "width", "high", "wide", "padding", "grid"), BLOCKS)
def test_slopes_of_norm_and_pool_are_those_of_the_layers(
    channels: int, width: int, high: int, wide: int, padding: int, grid: int | None
) -> None:
    """Of the same maps: where they are rounded, a ReLU may open or close."""
    layers = rounded(convnet_block(channels, width, padding, grid))
    maps = torch.randn(3, width, high, wide).bfloat16()
    here, there = maps.double().requires_grad_(), maps.to(DEVICE).requires_grad_()
    expected = layers[1:].double()(here)
    slope = torch.randn_like(expected).bfloat16()
    expected.backward(slope.double())
    found = blocks._NormReluPool.apply(
        there, layers[1].float().to(DEVICE), blocks.PoolPlan.from_layer((high, wide), layers[3])
    )
    found.backward(slope.to(DEVICE))
    assert apart(there.grad, here.grad) < ROUNDED


def test_weights_that_ask_for_gradients_are_given_them() -> None:
    layers = convnet_block(3, 16, 1, None).requires_grad_().to(DEVICE)
    blocks.run_block(torch.randn(2, 3, 8, 8, device=DEVICE), [*layers]).sum().backward()
    assert all(values.grad is not None for values in layers.parameters())


def test_widths_that_no_kernel_takes_are_computed_layer_by_layer() -> None:
    layers = convnet_block(3, 12, 1, None)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(blocks.run_block(x, [*layers]), layers(x))


@given(side=st.integers(1, 60), cells=st.integers(1, 20))
def test_windows_and_cells_of_a_pixel_stay_within_their_bounds(side: int, cells: int) -> None:
    """From PyTorch's pool of an identity: row c is 1 / window at the pixels of cell c."""
    pool = blocks.PoolPlan.from_layer((side, side), nn.AdaptiveAvgPool2d(min(cells, side)))
    shares = F.adaptive_avg_pool1d(torch.eye(side), min(cells, side)) > 0
    assert (
        shares.sum(0).max() == pool.windows["TALL"]
        and shares.sum(1).max() <= pool.overlap["OVERLAP"]
    )


@pytest.mark.parametrize("kind", [torch.uint8, torch.float16])
def test_rows_are_taken_as_they_are_normalised(kind: torch.dtype) -> None:
    normalisation = Normalisation(
        scale=1 / 255, mean=(0.5, 0.4, 0.3), std=(0.29, 0.2, 0.1), fill=0.0
    )
    # Channels last in memory, as a row is on disk.
    rows, index = (
        (255 * torch.rand(9, 2, 11, 17, 3)).to(kind).movedim(-1, -3),
        torch.tensor([3, 3, 8, 0]),
    )
    torch.testing.assert_close(
        take_rows(rows.to(DEVICE), index, normalisation).cpu(), normalisation.apply(rows[index])
    )
