"""Augmentation: Siamese, differentiable, and the edges are the fill."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import plugins
from pipeline.core.errors import ParamsError, PluginError
from pipeline.core.rng import make_generator
from pipeline.training.augment import OPERATIONS, Operation, Warp, augment
from tests.toys.project import values


@given(operation=st.sampled_from(sorted(OPERATIONS)), seed=st.integers(0, 1000))
def test_every_row_gets_the_same_draw(operation: str, seed: int) -> None:
    rows = torch.rand(1, 1, 3, 16, 16).expand(4, 1, 3, 16, 16)
    seen = augment(rows, [operation], -2.0, make_generator(seed))
    assert seen.shape == rows.shape
    assert torch.allclose(seen, seen[:1].expand_as(seen), atol=1e-5)


@given(operation=st.sampled_from(sorted(OPERATIONS)), seed=st.integers(0, 1000))
def test_equal_streams_do_the_same_to_two_batches(operation: str, seed: int) -> None:
    one, other = torch.rand(2, 1, 12, 10), torch.rand(3, 1, 12, 10)
    together = augment(torch.cat([one, other]), [operation], 0.5, make_generator(seed))
    apart = torch.cat(
        [augment(rows, [operation], 0.5, make_generator(seed)) for rows in (one, other)]
    )
    assert torch.allclose(together, apart, atol=1e-5)


@given(operation=st.sampled_from(sorted(OPERATIONS)), seed=st.integers(0, 200))
def test_every_operation_is_differentiable(operation: str, seed: int) -> None:
    rows = torch.rand(2, 1, 8, 8, requires_grad=True)
    augment(rows, [operation], 0.0, make_generator(seed)).sum().backward()
    assert rows.grad is not None and rows.grad.isfinite().all()


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"gain", "color"}))
def test_what_is_cut_away_becomes_the_fill(operation: str) -> None:
    rows = torch.full((1, 1, 16, 16), -3.5)
    for seed in range(20):
        assert torch.allclose(
            augment(rows, [operation], -3.5, make_generator(seed)), rows, atol=1e-5
        )


def test_no_operation_changes_nothing() -> None:
    rows = torch.rand(2, 1, 4, 4)
    assert augment(rows, [], 0.0, make_generator(0)) is rows


def test_an_unknown_operation_lists_the_known_ones() -> None:
    with pytest.raises(
        PluginError, match="no augmentation named 'blur' was given; there are color, crop"
    ):
        augment(torch.rand(1, 1, 4, 4), ["blur"], 0.0, make_generator(0))


def test_every_operation_has_its_name_in_the_type_that_params_are_checked_by() -> None:
    assert get_args(Operation) == tuple(OPERATIONS)


def test_an_unknown_operation_is_refused_with_the_params() -> None:
    with pytest.raises(ParamsError, match=r"augment.frame.0 is 'blur'"):
        values("distill.dm.augment.frame=[blur]").build("distill.dm", plugins.find("method", "dm"))


@pytest.mark.parametrize("operation", ["scale", "rotate"])
@given(
    high=st.integers(2, 24),
    wide=st.integers(2, 24),
    draw=st.lists(st.floats(0, 1), min_size=2, max_size=2),
)
def test_gathered_slopes_of_a_warp_are_the_scattered_ones(
    operation: str, high: int, wide: int, draw: list[float]
) -> None:
    numbers = torch.Generator().manual_seed(high)
    x, slope = torch.randn(2, 2, 3, high, wide, dtype=torch.float64, generator=numbers).unbind()
    scattered, gathered = x.clone().requires_grad_(), x.clone().requires_grad_()
    matrices: list[list[list[float]]] = []

    def seen(values: torch.Tensor, matrix: list[list[float]]) -> torch.Tensor:
        matrices.append(matrix)
        return values

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipeline.training.augment._warp", seen)
        OPERATIONS[operation](x, draw)
    OPERATIONS[operation](scattered, draw).backward(slope)
    Warp.apply(gathered, matrices[0]).backward(slope)
    torch.testing.assert_close(gathered.grad, scattered.grad)


def test_colour_is_brightness_then_saturation_then_contrast() -> None:
    x, draw = torch.rand(2, 3, 5, 7, dtype=torch.float64), [0.9, 0.2, 0.7]
    bright = x + 0.4
    grey = bright.mean(1, keepdim=True)
    full = (bright - grey) * 0.4 + grey
    mean = full.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(OPERATIONS["color"](x, draw), (full - mean) * 1.2 + mean)
